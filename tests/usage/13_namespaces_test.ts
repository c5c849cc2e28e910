import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { it } from "node:test";
import { type ActorEvents, JetStreamEventStore } from "../../mod.ts";
import { NatsServer } from "../../testing/mod.ts";

type OrderEvent = ActorEvents<"order", { OrderShipped: { carrier: string } }>;

it("program 13: namespaces are walls", async () => {
  await using server = await NatsServer.start();
  await using nc = await connect({ servers: server.url });

  await using eu = await JetStreamEventStore.open<OrderEvent>(nc, { namespace: "shop-eu" });
  await using us = await JetStreamEventStore.open<OrderEvent>(nc, { namespace: "shop-us" });
  await eu.append("order-1", [{ eventType: "OrderShipped", data: { carrier: "DHL" } }]);
  assert.equal((await us.getEvents("order-1")).length, 0);
  assert.equal((await eu.getEvents("order-1")).length, 1);

  // @ts-expect-error no such actor type: an order's union does not fit
  await eu.append("ordr-1", [{ eventType: "OrderShipped", data: { carrier: "DHL" } }]);
});
