import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { it } from "node:test";
import { InMemorySnapshotStore, isAetherError, JetStreamEventStore, typed } from "../../mod.ts";
import { NatsServer } from "../../testing/mod.ts";
import { Account, Order } from "./shop.ts";

it("program 14: forget a person", async () => {
  await using server = await NatsServer.start();
  await using nc = await connect({ servers: server.url });
  await using raw = await JetStreamEventStore.open(nc, { namespace: "shop" });
  const shop = typed(raw, Order, Account);
  const snapshots = new InMemorySnapshotStore();
  const { version, position } = await shop.append("account-1", [{ eventType: "Deposited", data: { amount: 1 } }]);
  const timestamp = new Date().toISOString();
  await snapshots.saveSnapshot({ actorId: "account-1", version, position, state: 1, schemaVersion: 1, timestamp });

  const gone = await shop.deleteActor("account-1");
  await snapshots.deleteSnapshot("account-1");
  assert.equal(gone.deleted satisfies true | undefined, true);
  assert.equal(await snapshots.getLatestSnapshot("account-1"), undefined);
  try {
    await shop.append("account-1", [{ eventType: "Deposited", data: { amount: 1 } }]);
    assert.fail("it came back");
  } catch (error) {
    if (!isAetherError(error, "ACTOR_DELETED")) throw error;
    assert.equal(error.deletedAtVersion, 1);
  }
});
