import type { EventStore } from "../store/event_store.ts";
import { casesOf, type ConformanceCase } from "./conformance.ts";
import { appending } from "./event_store/appending.ts";
import { badInput } from "./event_store/bad_input.ts";
import { deletion } from "./event_store/deletion.ts";
import { fencing } from "./event_store/fencing.ts";
import { lifetime } from "./event_store/lifetime.ts";
import { limits } from "./event_store/limits.ts";
import { races } from "./event_store/races.ts";
import { reading } from "./event_store/reading.ts";
import { readingAll } from "./event_store/reading_all.ts";
import type { Promises } from "./event_store/scene.ts";
import { transactions } from "./event_store/transactions.ts";

const PROMISES: Promises = {
  ...appending,
  ...fencing,
  ...badInput,
  ...limits,
  ...reading,
  ...readingAll,
  ...transactions,
  ...deletion,
  ...races,
  ...lifetime,
};

/** Options of {@linkcode eventStoreConformance}. */
export interface EventStoreConformanceOptions {
  /**
   * `open` called twice with one namespace gives two stores over the same events: the cases that race or repeat then go
   * over several of them, as several processes would. @default false
   */
  readonly shared?: boolean | undefined;
}

/**
 * Every promise of an event store, for any test runner: each case opens a namespace of its own, and is named after what
 * it holds the store to.
 *
 * @example
 * ```ts
 * import { InMemoryEventStore } from "@aether/aether";
 * import { eventStoreConformance } from "@aether/aether/testing";
 * import { it } from "node:test";
 *
 * for (const { name, run } of eventStoreConformance(() => new InMemoryEventStore())) it(name, run);
 * ```
 */
export function eventStoreConformance(
  open: (namespace: string) => EventStore | Promise<EventStore>,
  { shared = false }: EventStoreConformanceOptions = {},
): ConformanceCase[] {
  return casesOf(PROMISES, async (namespace, keep) => {
    const store = await keep(open(namespace));
    return {
      store,
      namespace,
      another: () => shared ? keep(open(namespace)) : Promise.resolve(store),
      elsewhere: () => keep(open(`${namespace}-else`)),
    };
  });
}
