import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { it } from "node:test";
import { createEvent, LocalEventBus, NatsEventBus, typed } from "../../mod.ts";
import { NatsServer } from "../../testing/mod.ts";
import { Account, Order, type OrderEvent } from "./shop.ts";

it("program 8: the bus: the filter narrows the union", async () => {
  await using server = await NatsServer.start();
  await using nc = await connect({ servers: server.url });
  // Put there first: events are published, as long as the program runs.
  await using publisher = await NatsEventBus.open(nc, { namespace: "shop" });
  const of = { actorId: "order-1", version: 1 } as const;
  const publish = async (): Promise<void> => {
    await publisher.publish(createEvent({ ...of, eventType: "Closed", data: { reason: "done" } }));
    await publisher.publish(createEvent({ ...of, eventType: "OrderShipped", data: { carrier: "DHL" } }));
    await publisher.publish(
      createEvent({ actorId: "account-1", version: 1, eventType: "Closed", data: { closedBy: "me" } }),
    );
  };
  const publishing = setInterval(() => void publish(), 20);
  const seen: string[] = [];
  const told = Promise.withResolvers<string>();
  const console = { log: told.resolve, error: told.reject };
  try {
    await using bus = typed(await NatsEventBus.open(nc, { namespace: "shop" }), Order, Account);
    const timeout = AbortSignal.timeout(10_000);
    for await (const event of bus.subscribe({ eventTypes: ["OrderShipped", "Deposited"], signal: timeout })) {
      if (event.eventType === "OrderShipped") seen.push(event.data.carrier satisfies string);
      else event.data.amount satisfies number;
      break;
    }
    await using closed = bus.on(
      {
        eventTypes: ["Closed"],
        actorTypes: ["account"],
        group: "mailer",
        onError: (error, event) => console.error([error, event.id]),
      },
      (event) => console.log(event.data.closedBy),
    );
    await closed.ready;
    assert.deepEqual([seen, await told.promise], [["DHL"], "me"]);
    // @ts-expect-error no such event type
    bus.subscribe({ eventTypes: ["OrderLost"] });
    // @ts-expect-error no such actor type
    bus.subscribe({ actorTypes: ["ordr"] });
    const local = new LocalEventBus<OrderEvent>({ namespace: "shop" });
    await local.publish(
      createEvent({ actorId: "order-1", version: 1, eventType: "OrderShipped", data: { carrier: "DHL" } }),
    );
  } finally {
    clearInterval(publishing);
  }
});
