import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { it } from "node:test";
import {
  AetherError,
  type EventStore,
  isAetherError,
  JetStreamEventStore,
  typed,
  VersionConflictError,
} from "../../mod.ts";
import { NatsServer } from "../../testing/mod.ts";
import { Account, Order, type OrderEvent } from "./shop.ts";

async function ship(store: EventStore<OrderEvent>, orderId: `order-${string}`, carrier: string): Promise<number> {
  for (;;) {
    const events = await store.getEvents(orderId);
    if (events.some((event) => event.eventType === "OrderShipped")) return events.length;
    const expectedVersion = events.at(-1)?.version ?? 0;
    try {
      return (await store.append(orderId, [{ eventType: "OrderShipped", data: { carrier } }], { expectedVersion }))
        .version;
    } catch (error) {
      if (!(error instanceof VersionConflictError)) throw error;
      console.log(`${error.actorId} is at ${error.actualVersion}, not ${error.expectedVersion}`);
    }
  }
}

it("program 4: optimistic concurrency, by hand", async () => {
  await using server = await NatsServer.start();
  await using nc = await connect({ servers: server.url });
  await using raw = await JetStreamEventStore.open(nc, { namespace: "shop" });
  const orders = typed(raw, Order);
  const shop = typed(raw, Order, Account);
  await shop.append("order-123", [{ eventType: "OrderPlaced", data: { total: 42, currency: "EUR" } }]);

  assert.equal(await ship(typed(raw, Order), "order-123", "UPS"), 2);
  assert.equal(await ship(orders, "order-123", "DHL"), 2);
  // Ten at once: the order is shipped once.
  await Promise.all(Array.from({ length: 10 }, () => ship(orders, "order-124", "UPS")));
  assert.equal(await orders.getLatestVersion("order-124"), 1);
  // @ts-expect-error a store of more is not silently a store of less: narrow with typed(…)
  assert.equal(await ship(shop, "order-123", "UPS"), 2);

  try {
    await shop.append("order-1", [], { expectedVersion: "exists" });
    assert.fail("no order is there");
  } catch (error) {
    if (isAetherError(error, "VERSION_CONFLICT")) assert.equal(error.actualVersion satisfies number, 0);
    else if (isAetherError(error)) {
      switch (error.code) {
        case "EVENT_TOO_LARGE":
          error.limit satisfies number;
          break;
        case "SCHEMA":
          error.issues satisfies readonly { readonly message: string }[];
          break;
      }
      throw error;
    } else if (error instanceof AetherError) throw error.code satisfies string;
    else throw error;
  }
});
