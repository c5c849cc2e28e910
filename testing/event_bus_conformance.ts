import type { EventBus } from "../bus/event_bus.ts";
import type { EventStore } from "../store/event_store.ts";
import { casesOf, type ConformanceCase, type Keep } from "./conformance.ts";
import { commits } from "./event_bus/commits.ts";
import { filters } from "./event_bus/filters.ts";
import { groups } from "./event_bus/groups.ts";
import { handlers } from "./event_bus/handlers.ts";
import { lifetime } from "./event_bus/lifetime.ts";
import { overflow } from "./event_bus/overflow.ts";
import { publishing } from "./event_bus/publishing.ts";
import { Collected, type Promises, type Scene, type StoreScene } from "./event_bus/scene.ts";
import { eventOf } from "./event_store/scene.ts";

const PROMISES: Promises = { ...publishing, ...filters, ...groups, ...handlers, ...overflow, ...lifetime };

/** Options of {@linkcode eventBusConformance}. */
export interface EventBusConformanceOptions {
  /** `open` called twice with one namespace gives two buses over the same events. @default false */
  readonly shared?: boolean;
  /** A store whose commits the bus of its namespace announces; left out, the cases about commits are not there. */
  readonly store?: (namespace: string, bus: EventBus) => EventStore | Promise<EventStore>;
}

/**
 * Every promise of an event bus, for any test runner: each case opens a namespace of its own, with 64 shards, and is
 * named after what it holds the bus to.
 *
 * @example
 * ```ts
 * import { InMemoryEventStore, LocalEventBus } from "@aether/aether";
 * import { eventBusConformance } from "@aether/aether/testing";
 * import { it } from "node:test";
 *
 * const cases = eventBusConformance((namespace) => new LocalEventBus({ namespace }), {
 *   store: (namespace, bus) => new InMemoryEventStore({ namespace, bus }),
 * });
 * for (const { name, run } of cases) it(name, run);
 * ```
 */
export function eventBusConformance(
  open: (namespace: string) => EventBus | Promise<EventBus>,
  { shared = false, store: openStore }: EventBusConformanceOptions = {},
): ConformanceCase[] {
  const sceneOf = async (namespace: string, keep: Keep): Promise<Scene> => {
    const bus = await keep(open(namespace));
    return {
      bus,
      another: () => shared ? keep(open(namespace)) : Promise.resolve(bus),
      elsewhere: () => keep(open(`${namespace}-else`)),
      settled: () => settled(bus),
    };
  };
  if (openStore === undefined) return casesOf(PROMISES, sceneOf);
  return casesOf<StoreScene>({ ...PROMISES, ...commits }, async (namespace, keep) => {
    const scene = await sceneOf(namespace, keep);
    return { ...scene, store: await keep(openStore(namespace, scene.bus)) };
  });
}

/** An event behind all others, twice: when the second has come, every subscription of the bus has had the first. */
async function settled(bus: EventBus): Promise<void> {
  const actorId = `settled-${crypto.randomUUID()}`;
  const seen = new Collected();
  await using watching = bus.on({ actorId }, seen.take);
  await watching.ready;
  for (const version of [1, 2]) await bus.publish(eventOf(actorId, version, { eventType: "Settled" }));
  await seen.atLeast(2);
}
