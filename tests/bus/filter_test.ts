import assert from "node:assert/strict";
import fc from "fast-check";
import process from "node:process";
import { describe, it } from "node:test";
import { type Commit, type Event, InMemoryEventStore, LocalEventBus, shardOf } from "../../mod.ts";
import { eventOf } from "../../testing/event_store/scene.ts";

/** `AETHER_SEED=…` repeats a run. */
const seed = Number(process.env.AETHER_SEED ?? Date.now() % 2 ** 31);
const SHARDS = 4;
const IDS = ["order-1", "order-2", "order", "account-1", "-x", "a.b-1", "*", "ü-1", "order-1-2"];
const TYPES = ["A", "B", "C", "*"];

interface Given {
  readonly eventTypes?: string[];
  readonly actorTypes?: string[];
  readonly actorId?: string;
  readonly shards?: number[];
}

const filters: fc.Arbitrary<Given> = fc.record({
  eventTypes: fc.subarray(TYPES),
  actorTypes: fc.subarray(["order", "account", "-x", "a.b", "*", "ü"]),
  actorId: fc.constantFrom(...IDS),
  shards: fc.subarray([0, 1, 2, 3]),
}, { requiredKeys: [] });

const step = fc.oneof(
  fc.record({ subscribe: filters }),
  fc.record({ leave: fc.nat(20) }),
  fc.record({ publish: fc.constantFrom(...IDS), type: fc.constantFrom(...TYPES) }),
  fc.record({
    append: fc.constantFrom(...IDS),
    types: fc.array(fc.constantFrom(...TYPES), { minLength: 1, maxLength: 4 }),
  }),
  fc.record({ erase: fc.constantFrom(...IDS) }),
);

/** Word for word what an EventFilter says. */
function meansActor({ actorTypes, actorId, shards }: Given, id: string): boolean {
  const type = /^([^-]+)-/.exec(id)?.[1] ?? id;
  return (actorTypes === undefined || actorTypes.includes(type)) && (actorId === undefined || actorId === id) &&
    (shards === undefined || shards.includes(shardOf(id, SHARDS)));
}

function means(filter: Given, { eventType, actorId }: Event): boolean {
  return meansActor(filter, actorId) && (filter.eventTypes === undefined || filter.eventTypes.includes(eventType));
}

describe(`random filters let through what a naive one does (AETHER_SEED=${seed})`, () => {
  it("in the order of what happened, while others come and go", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
        const bus = new LocalEventBus({ shards: SHARDS });
        const store = new InMemoryEventStore({ shards: SHARDS, bus });
        const all: { filter: Given; seen: string[]; expected: string[]; leave?: () => PromiseLike<void> }[] = [];
        const expect = (text: string, meant: (filter: Given) => boolean): void => {
          for (const { filter, expected, leave } of all) if (leave && meant(filter)) expected.push(text);
        };
        const expectAll = ({ actorId, events, deleted }: Commit): void => {
          if (deleted) expect(`deleted ${actorId}`, (filter) => meansActor(filter, actorId));
          for (const event of events) expect(event.id, (filter) => means(filter, event));
        };
        let version = 0;
        for (const step of steps) {
          if ("subscribe" in step) {
            const seen: string[] = [];
            const onDeleted = (actorId: string): void => void seen.push(`deleted ${actorId}`);
            const filter = step.subscribe;
            const subscription = bus.on({ ...filter, onDeleted }, ({ id }) => void seen.push(id));
            all.push({ filter, seen, expected: [], leave: () => subscription[Symbol.asyncDispose]() });
          } else if ("leave" in step) {
            const one = all[step.leave];
            await one?.leave?.();
            delete one?.leave;
          } else if ("publish" in step) {
            const event = eventOf(step.publish, ++version, { eventType: step.type });
            expect(event.id, (filter) => means(filter, event));
            await bus.publish(event);
          } else if ("append" in step) {
            const events = step.types.map((eventType) => ({ eventType, data: null }));
            await store.append(step.append, events).then(expectAll, () => {}); // it may be deleted
          } else {
            const before = await store.position();
            const commit = await store.deleteActor(step.erase);
            if (commit.position > before) expectAll(commit);
          }
          await new Promise((resolve) => queueMicrotask(() => resolve(undefined)));
        }
        for (const { filter, seen, expected } of all) assert.deepEqual(seen, expected, JSON.stringify(filter));
      }),
      { seed, numRuns: 300 },
    );
  });
});
