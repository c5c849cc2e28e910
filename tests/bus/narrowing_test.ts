import assert from "node:assert/strict";
import { it } from "node:test";
import { type ActorEvents, createEvent, type Event, LocalEventBus } from "../../mod.ts";

type OrderEvent = ActorEvents<"order", { OrderShipped: { carrier: string }; OrderPlaced: { total: number } }>;
type AccountEvent = ActorEvents<"account", { Deposited: { amount: number }; Closed: { closedBy: string } }>;

it("the filter narrows the union", async () => {
  await using bus = new LocalEventBus<OrderEvent | AccountEvent>({ namespace: "shop" });
  const closedBy: string[] = [];
  await using closed = bus.on(
    { eventTypes: ["Closed"], actorTypes: ["account"], group: "mailer", onError: (_, event) => event.data.closedBy },
    (event) => void closedBy.push(event.data.closedBy),
  );
  await closed.ready;
  const subscription = bus.subscribe({ eventTypes: ["OrderShipped", "Deposited"] });
  const shipped = { eventType: "OrderShipped", data: { carrier: "DHL" } } as const;
  await bus.publish(createEvent({ actorId: "order-1", version: 1, ...shipped }));
  await bus.publish(createEvent({ actorId: "account-1", version: 1, eventType: "Closed", data: { closedBy: "me" } }));
  for await (const event of subscription) {
    if (event.eventType === "OrderShipped") assert.equal(event.data.carrier satisfies string, "DHL");
    else event.data.amount satisfies number;
    break;
  }
  await closed.drain();
  assert.deepEqual(closedBy, ["me"]);
  // @ts-expect-error no such event type
  bus.subscribe({ eventTypes: ["OrderLost"] });
  // @ts-expect-error no such actor type
  bus.subscribe({ actorTypes: ["ordr"] });
  // @ts-expect-error not of this bus
  await bus.publish(createEvent({ actorId: "order-1", version: 1, eventType: "OrderLost", data: null }));
});

it("where types are any text, so is what is let through", async () => {
  await using bus = new LocalEventBus();
  const subscription = bus.subscribe({ eventTypes: ["Added"], actorTypes: ["order"] });
  await bus.publish(createEvent({ actorId: "order-1", version: 1, eventType: "Added", data: 1 }));
  for await (const event of subscription) {
    assert.equal((event satisfies Event).version, 1);
    break;
  }
});
