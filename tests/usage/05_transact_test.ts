import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { it } from "node:test";
import { isAetherError, JetStreamEventStore, type NewEvent, typed } from "../../mod.ts";
import { NatsServer } from "../../testing/mod.ts";
import { Account, type AccountEvent, Order } from "./shop.ts";

it("program 5: two accounts, all or nothing; each commit typed by its own id; a check without a write", async () => {
  await using server = await NatsServer.start();
  await using nc = await connect({ servers: server.url });
  await using shop = typed(await JetStreamEventStore.open(nc, { namespace: "shop" }), Order, Account);
  const deposit: NewEvent<AccountEvent> = { eventType: "Deposited", data: { amount: 10 } };
  await shop.append("account-1", Array.from({ length: 7 }, () => deposit));
  await shop.append("order-9", [{ eventType: "OrderShipped", data: { carrier: "DHL" } }]);

  const [from, to, check] = await shop.transact([
    { actorId: "account-1", expectedVersion: 7, events: [{ eventType: "Withdrawn", data: { amount: 10 } }] },
    { actorId: "account-2", events: [{ eventType: "Deposited", data: { amount: 10 } }] },
    { actorId: "order-9", expectedVersion: "exists", events: [] },
  ]);
  from.events satisfies readonly AccountEvent[];
  to.position satisfies number;
  assert.deepEqual([from.version, to.version, check.version], [8, 1, 1]);

  // Neither is stored, and the error names who lost.
  try {
    await shop.transact([
      { actorId: "account-2", events: [{ eventType: "Deposited", data: { amount: 10 } }] },
      { actorId: "account-1", expectedVersion: 7, events: [{ eventType: "Withdrawn", data: { amount: 10 } }] },
    ]);
    assert.fail("account-1 is at 8");
  } catch (error) {
    if (!isAetherError(error, "VERSION_CONFLICT")) throw error;
    assert.deepEqual([error.actorId, error.expectedVersion, error.actualVersion], ["account-1", 7, 8]);
    assert.equal((await shop.getEvents("account-1", 7 + 1)).length, 1); // what was missed
  }
  assert.equal(await shop.getLatestVersion("account-2"), 1);

  const shipped = shop.transact([
    // @ts-expect-error an account is not shipped
    { actorId: "account-1", events: [{ eventType: "OrderShipped", data: { carrier: "DHL" } }] },
  ]);
  await assert.rejects(shipped, { code: "SCHEMA", actorId: "account-1" });
  const many: NewEvent<AccountEvent>[] = [{ eventType: "Deposited", data: { amount: 1 } }];
  const results = await shop.transact(["1", "2"].map((n) => ({ actorId: Account.id(n), events: many })));
  assert.deepEqual(results.map(({ version }) => version), [9, 2]);
});
