import { createEvent, type Event, type EventStore, InMemoryEventStore } from "../mod.ts";

/** What happens to an order. */
export type OrderEvent =
  | Event<"OrderPlaced", { total: number; items: number }>
  | Event<"OrderShipped", { carrier: string; tracking: string }>;

/** Saves two events, reads them back, and folds them into a state: on any store. */
export async function quickStart(store: EventStore<OrderEvent>): Promise<string> {
  await store.saveEvent(createEvent({
    actorId: "order-123",
    version: 1,
    eventType: "OrderPlaced",
    data: { total: 99.99, items: 3 },
  }));
  await store.saveEvent(createEvent({
    actorId: "order-123",
    version: 2,
    eventType: "OrderShipped",
    data: { carrier: "FastShip", tracking: "FS123456" },
  }));

  const events = await store.getEvents("order-123", 0);
  let order = { status: "none", total: 0, tracking: "" };
  for (const event of events) {
    switch (event.eventType) {
      case "OrderPlaced":
        order = { ...order, status: "placed", total: event.data.total };
        break;
      case "OrderShipped":
        order = { ...order, status: "shipped", tracking: event.data.tracking };
        break;
    }
  }

  return `Order state after replaying ${events.length} events:
 Status: ${order.status}
 Total: $${order.total}
 Tracking: ${order.tracking}`;
}

if (import.meta.main) console.log(await quickStart(new InMemoryEventStore<OrderEvent>()));
