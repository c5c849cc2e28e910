import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { it } from "node:test";
import { JetStreamEventStore, load, replay, typed } from "../../mod.ts";
import { NatsServer } from "../../testing/mod.ts";
import { Account, Order, orderDecider } from "./shop.ts";

it("program 7: time travel by version, by position, by clock", async () => {
  await using server = await NatsServer.start();
  await using nc = await connect({ servers: server.url });
  await using raw = await JetStreamEventStore.open(nc, { namespace: "shop" });
  const shop = typed(raw, Order, Account);
  const timestamp = "2025-12-31T23:59:59.999Z";
  await shop.append("order-123", [{ eventType: "OrderPlaced", data: { total: 42, currency: "EUR" }, timestamp }]);
  await shop.append("order-123", [{ eventType: "OrderShipped", data: { carrier: "DHL" } }]);
  await shop.append("order-2", [{ eventType: "OrderPlaced", data: { total: 2, currency: "USD" } }]);

  const asOf = await load(shop, orderDecider, "order-123", { toVersion: 1 });
  const moment = (await shop.append("order-1", [{ eventType: "OrderShipped", data: { carrier: "x" } }])).position;
  await shop.append("order-2", [{ eventType: "OrderShipped", data: { carrier: "y" } }]);
  const both = await Promise.all(
    ["order-1", "order-2"].map((id) => load(shop, orderDecider, id, { toPosition: moment })),
  );
  const lastYear = (await shop.getEvents("order-123")).filter((event) => event.timestamp < "2026-01-01");

  assert.deepEqual(asOf.state, { status: "placed", total: 42 });
  assert.deepEqual(both.map(({ state }) => state.status), ["shipped", "placed"]);
  assert.equal(replay(orderDecider, lastYear).status, "placed");
});
