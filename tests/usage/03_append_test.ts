import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { it } from "node:test";
import { JetStreamEventStore, typed } from "../../mod.ts";
import { NatsServer } from "../../testing/mod.ts";
import { Account, type AccountEvent, Order, type OrderEvent } from "./shop.ts";

it("program 3: append with inference: the store numbers", async () => {
  await using server = await NatsServer.start();
  await using nc = await connect({ servers: server.url });
  await using shop = typed(await JetStreamEventStore.open(nc, { namespace: "shop" }), Order, Account);

  const { version, events } = await shop.append("order-123", [
    { eventType: "OrderPlaced", data: { total: 42, currency: "EUR" } },
    { eventType: "OrderShipped", data: { carrier: "DHL" } },
  ], { expectedVersion: 0 });
  const saved: readonly OrderEvent[] = events;
  assert.deepEqual([version, saved.length], [2, 2]);

  const total = shop.append("order-123", [
    // @ts-expect-error wrong data for the event type
    { eventType: "OrderPlaced", data: { total: "42", currency: "EUR" } },
  ]);
  await assert.rejects(total, { code: "SCHEMA", eventType: "OrderPlaced", actorId: "order-123" });
  // @ts-expect-error an order is not deposited to
  const deposit = shop.append("order-123", [{ eventType: "Deposited", data: { amount: 1 } }]);
  await assert.rejects(deposit, { code: "SCHEMA", eventType: "Deposited" });
  // @ts-expect-error no such actor type
  const typo = shop.append("ordr-123", [{ eventType: "OrderShipped", data: { carrier: "DHL" } }]);
  await assert.rejects(typo, { code: "INVALID_ARGUMENT", argument: "actorId" });
  assert.equal(await shop.position(), 1);

  await shop.append("order-123", [{ eventType: "Closed", data: { reason: "done" } }]);
  const key: string = crypto.randomUUID();
  const byTemplate: OrderEvent[] = await shop.getEvents(`order-${key}`);
  const byHelper: OrderEvent[] = await shop.getEvents(Order.id(key));
  const id: string = "account-1";
  const byString: (OrderEvent | AccountEvent)[] = await shop.getEvents(id); // unknown id: the whole union
  assert.deepEqual([byTemplate, byHelper, byString], [[], [], []]);
  let closed = 0;
  for (const event of await shop.getEvents("order-123")) {
    if (event.eventType === "Closed") closed += (event.data.reason satisfies "done").length; // not the account's Closed
  }
  assert.equal(closed, 4);
});
