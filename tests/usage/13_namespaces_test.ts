import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { it } from "node:test";
import { JetStreamEventStore, typed } from "../../mod.ts";
import { NatsServer } from "../../testing/mod.ts";
import { Order } from "./shop.ts";

it("program 13: namespaces are walls", async () => {
  await using server = await NatsServer.start();
  await using nc = await connect({ servers: server.url });

  await using eu = typed(await JetStreamEventStore.open(nc, { namespace: "shop-eu" }), Order);
  await using us = typed(await JetStreamEventStore.open(nc, { namespace: "shop-us" }), Order);
  await eu.append("order-1", [{ eventType: "OrderShipped", data: { carrier: "DHL" } }]);
  assert.equal((await us.getEvents("order-1")).length, 0);
  assert.equal((await eu.getEvents("order-1")).length, 1);

  // @ts-expect-error no such actor type: an order's union does not fit
  const typo = eu.append("ordr-1", [{ eventType: "OrderShipped", data: { carrier: "DHL" } }]);
  await assert.rejects(typo, { code: "INVALID_ARGUMENT", argument: "actorId" });
});
