import assert from "node:assert/strict";
import { it } from "node:test";
import { createEvent, type Event, InMemoryEventStore, isAetherError } from "../../mod.ts";

it("program 1: plain types, full events, a fold by switch", async () => {
  type OrderEvent =
    | Event<"OrderPlaced", { total: number }>
    | Event<"OrderShipped", { carrier: string }>;

  const store = new InMemoryEventStore<OrderEvent>();
  await store.saveEvent(
    createEvent({ actorId: "order-123", version: 1, eventType: "OrderPlaced", data: { total: 42 } }),
  );
  await store.saveEvent(
    createEvent({ actorId: "order-123", version: 2, eventType: "OrderShipped", data: { carrier: "DHL" } }),
  );

  let order = { total: 0, shippedBy: "" };
  for (const event of await store.getEvents("order-123", 0)) {
    switch (event.eventType) {
      case "OrderPlaced":
        order = { ...order, total: event.data.total };
        break;
      case "OrderShipped":
        order = { ...order, shippedBy: event.data.carrier };
        break;
      default:
        event satisfies never;
    }
  }
  const version: number = await store.getLatestVersion("order-123");
  assert.deepEqual([order, version], [{ total: 42, shippedBy: "DHL" }, 2]);

  const lost = createEvent({ actorId: "order-123", version: 3, eventType: "OrderLost", data: {} });
  // @ts-expect-error a wrong event type
  await store.saveEvent(lost);
  const text = createEvent({ actorId: "order-123", version: 4, eventType: "OrderPlaced", data: { total: "42" } });
  // @ts-expect-error wrong data for the event type
  await store.saveEvent(text);
  // @ts-expect-error written out in the call
  await store.saveEvent(createEvent({ actorId: "order-123", version: 5, eventType: "OrderLost", data: {} }));

  // Without any type it works too; data is then unknown.
  const anything = new InMemoryEventStore();
  await anything.saveEvent(createEvent({ actorId: "x", version: 1, eventType: "Any", data: { a: 1 } }));
  const [first] = await anything.getEvents("x");
  // @ts-expect-error unknown is not trusted
  assert.equal(first?.data.a, 1);
});

it("errors narrow by their code", async () => {
  const store = new InMemoryEventStore();
  try {
    await store.append("order-1", [], { expectedVersion: "exists" });
    assert.fail("no order is there");
  } catch (error) {
    if (!isAetherError(error)) throw error;
    switch (error.code) {
      case "EVENT_TOO_LARGE":
        error.limit satisfies number;
        break;
      case "SCHEMA":
        error.issues satisfies readonly { readonly message: string }[];
        break;
      case "VERSION_CONFLICT":
        assert.equal(error.actualVersion satisfies number, 0);
    }
  }
});
