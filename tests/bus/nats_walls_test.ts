/** Namespaces are walls, on a real server, whatever ids and filters are like. */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import fc from "fast-check";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { actorTypeOf, encodeToken } from "../../actor_id.ts";
import { type Event, JetStreamEventStore, NatsEventBus, shardOf } from "../../mod.ts";
import { Collected, take } from "../../testing/event_bus/scene.ts";
import { added, eventOf } from "../../testing/event_store/scene.ts";
import { NatsServer } from "../../testing/mod.ts";

/** `AETHER_SEED=…` repeats a run. */
const seed = Number(process.env.AETHER_SEED ?? Date.now() % 2 ** 31);
const SHARDS = 5;
/** One begins as the other does; ids that try to be subjects of the other. */
const NAMESPACES = ["wall", "wall-2"] as const;
const IDS = [
  "order-1",
  "order",
  "account-1",
  "-",
  "-x",
  "*",
  ">",
  ".",
  "a.b-1",
  "*-1",
  ">-1",
  "=2A-1",
  "ü-é",
  "order-1 \r\n",
  "\0",
  "wall-2.bus.>",
  "aether.wall-2.bus.0.order.order-1",
  "../order-1",
  "$JS.API-1",
  "order-1.*",
  " ",
  "=",
  "日本-1",
];
const TYPES = ["A", "B", "*", ">"];

interface Given {
  readonly eventTypes?: string[];
  readonly actorTypes?: string[];
  readonly actorId?: string;
  readonly shards?: number[];
  readonly group?: string;
}

const id = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...IDS) },
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }),
)
  .filter((text) => text.isWellFormed() && encodeToken(text).length <= 512);
const filter: fc.Arbitrary<Given> = fc.record({
  eventTypes: fc.subarray(TYPES),
  actorTypes: fc.array(id.map(actorTypeOf), { maxLength: 4 }),
  actorId: id,
  shards: fc.subarray([0, 1, 2, 3, 4]),
  group: fc.constantFrom("g", "*", "a b"),
}, { requiredKeys: [] });

const deed = fc.record({
  namespace: fc.constantFrom(0, 1),
  actorId: id,
  eventTypes: fc.array(fc.constantFrom(...TYPES), { minLength: 1, maxLength: 3 }),
  publish: fc.boolean(),
});

function lets({ eventTypes, actorTypes, actorId, shards }: Given, event: Event): boolean {
  return (eventTypes?.includes(event.eventType) ?? true) && (actorId ?? event.actorId) === event.actorId &&
    (actorTypes?.includes(actorTypeOf(event.actorId)) ?? true) &&
    (shards?.includes(shardOf(event.actorId, SHARDS)) ?? true);
}

describe(`two namespaces on one server, hostile ids and filters (AETHER_SEED=${seed})`, () => {
  let server: NatsServer;
  const connections: NatsConnection[] = [];
  before(async () => {
    server = await NatsServer.start();
    for (let count = 0; count < 2; count++) connections.push(await connect({ servers: server.url }));
  });
  after(async () => {
    for (const nc of connections) await nc.close();
    await server.stop();
  });

  it("nothing crosses, and within one a filter lets through what a naive one does", async () => {
    const [writer, reader] = connections as [NatsConnection, NatsConnection];
    const stores: JetStreamEventStore[] = [];
    const buses: NatsEventBus[] = [];
    const publishers: NatsEventBus[] = [];
    for (const namespace of NAMESPACES) {
      stores.push(await JetStreamEventStore.open(writer, { namespace, shards: SHARDS }));
      publishers.push(await NatsEventBus.open(writer, { namespace }));
      buses.push(await NatsEventBus.open(reader, { namespace }));
    }
    const subscriptions = fc.array(fc.tuple(fc.constantFrom(0, 1), filter), { minLength: 1, maxLength: 8 });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(subscriptions, fc.array(deed, { maxLength: 12 }), async (given, deeds) => {
        run++;
        const listeners = given.map(([namespace, filter], index) => {
          const seen = new Collected();
          // A group of its own for each: members with another filter are refused.
          const options = filter.group === undefined ? filter : { ...filter, group: `${filter.group}${index}` };
          return { namespace, filter, seen, subscription: (buses[namespace] as NatsEventBus).on(options, seen.take) };
        });
        const ends = buses.map((bus) => bus.subscribe({ actorId: "the-end" }));
        await Promise.all([
          ...listeners.map(({ subscription }) => subscription.ready),
          ...ends.map(({ ready }) => ready),
        ]);
        const happened: Event[][] = [[], []];
        for (const { namespace, actorId, eventTypes, publish } of deeds) {
          const data = { of: NAMESPACES[namespace], run };
          if (publish) {
            const event = eventOf(actorId, 1_000, { eventType: eventTypes[0] as string, data });
            await publishers[namespace]?.publish(event);
            happened[namespace]?.push(event);
          } else {
            const events = eventTypes.map((eventType) => added(1, { eventType, data }));
            const result = await stores[namespace]?.append(actorId, events);
            happened[namespace]?.push(...result?.events ?? []);
          }
        }
        for (const publisher of publishers) {
          for (const version of [1, 2]) await publisher.publish(eventOf("the-end", version));
        }
        for (const end of ends) {
          await take(end[Symbol.asyncIterator](), 2);
          await end[Symbol.asyncDispose]();
        }
        for (const { namespace, filter, seen, subscription } of listeners) {
          await subscription.drain();
          const got = seen.items.filter(({ actorId }) => actorId !== "the-end");
          assert.deepEqual(got, happened[namespace]?.filter((event) => lets(filter, event)));
        }
      }),
      { seed, numRuns: 60 },
    );
    for (const each of [...buses, ...publishers, ...stores]) await each[Symbol.asyncDispose]();
  });
});
