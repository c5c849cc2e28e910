/** The same promises, kept in memory and on JetStream. */
import { describe, it } from "node:test";
import { type EventStore, InMemoryEventStore, JetStreamEventStore } from "../../../mod.ts";
import { wrapped } from "../../support/counter.ts";
import { connectedTo } from "../../support/servers.ts";

/** Says what holds of a store that has nothing in it. */
export type Promising = (name: string, keep: (store: EventStore) => Promise<void>) => void;

export function onBothStores(name: string, say: (promises: Promising) => void): void {
  let count = 0;
  const on = (open: (namespace: string) => EventStore | Promise<EventStore>): void =>
    say((name, keep) => {
      it(name, async () => {
        await using store = await open(`execute-${count++}`);
        await keep(store);
      });
    });
  describe(`${name}, in memory`, () => on((namespace) => new InMemoryEventStore({ namespace })));
  describe(`${name}, on JetStream`, () => {
    const connection = connectedTo();
    on((namespace) => JetStreamEventStore.open(connection(), { namespace }));
  });
}

/** Another writer's event. */
export const added = (by: number) => ({ eventType: "Added", data: { by } }) as const;

/** How often a store is appended to through it. */
export function counting(store: EventStore): { readonly store: EventStore; count(): number } {
  let count = 0;
  const counted = wrapped(store, {
    append(actorId, events, options) {
      count++;
      return store.append(actorId, events, options) as never;
    },
  });
  return { store: counted, count: () => count };
}

/** Whole numbers from one to another, both among them. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}
