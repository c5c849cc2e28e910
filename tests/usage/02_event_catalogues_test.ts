import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { it } from "node:test";
import { z } from "zod";
import { type ActorCatalogue, defineEvents, type EventStore, JetStreamEventStore, typed } from "../../mod.ts";
import { NatsServer } from "../../testing/mod.ts";
import { Account, type AccountEvent, Order, type OrderEvent } from "./shop.ts";

it("program 2: event catalogues from schemas: no generic anywhere, several actor types, upcasting", async () => {
  await using server = await NatsServer.start();
  await using nc = await connect({ servers: server.url });
  const raw = await JetStreamEventStore.open(nc, { namespace: "shop" });
  await raw.append("order-123", [{ eventType: "OrderCreated", data: { total: 42 } }]);

  await using shop = typed(raw, Order, Account); // the id says which union is meant
  shop satisfies EventStore<OrderEvent | AccountEvent>;
  Order satisfies ActorCatalogue<"order", OrderEvent>;
  Order.id("123") satisfies "order-123";
  const [placed] = await shop.getEvents("order-123");
  if (placed?.eventType !== "OrderPlaced") assert.fail("it was upcast");
  placed.data.currency satisfies "EUR" | "USD";
  assert.deepEqual(placed.data, { total: 42, currency: "EUR" });
  assert.equal(placed.metadata?.schemaVersion, "2");
});

it("what JSON cannot carry is no event data; an actor type has no -", () => {
  // @ts-expect-error a Date would come back as a string
  defineEvents("order", { OrderDated: z.object({ at: z.date() }) });
  const deep = z.object({ all: z.array(z.object({ at: z.map(z.string(), z.int()) })) });
  // @ts-expect-error also deep inside, and where the event type has a history
  defineEvents("order", { OrderDated: { schema: deep } });
  // @ts-expect-error nor where it is one of several
  defineEvents("order", { OrderDated: z.object({ at: z.bigint().optional() }) });
  const optional = defineEvents("order", {
    OrderPlaced: z.object({ note: z.string().optional(), more: z.unknown(), list: z.array(z.string()).readonly() }),
  });
  assert.deepEqual(optional.eventTypes, ["OrderPlaced"]);
  assert.throws(() => {
    // @ts-expect-error sales-order-1 would be of the type "sales"
    defineEvents("sales-order", { Placed: z.object({}) });
  }, { code: "INVALID_ARGUMENT" });
});
