/** Events that imports of tests take, and what a store must hold then. */
import assert from "node:assert/strict";
import process from "node:process";
import { createEvent, type Event, type EventStore } from "../../mod.ts";
import { numbers } from "./random.ts";

/** In the titles: IMPORT_SEED repeats it. */
export const seed = Number(process.env.IMPORT_SEED ?? Math.floor(Math.random() * 2 ** 32));

/** Events of some 300 actors, in no order but that of their versions; a tenth with a gap before them. */
export function history(seed: number, length: number): Event[] {
  const random = numbers(seed);
  const versions = new Map<string, number>();
  let actorId = "order-0";
  return Array.from({ length }, () => {
    if (random() < 0.7) actorId = `order-${Math.floor(random() ** 2 * 300)}`;
    const version = (versions.get(actorId) ?? 0) + (random() < 0.1 ? 1 + Math.floor(random() * 3) : 1);
    versions.set(actorId, version);
    return event(actorId, version);
  });
}

/** With an id of its actor and version, where none is given. */
export function event(actorId: string, version: number, id = `${actorId}@${version}`): Event {
  const timestamp = new Date(1_500_000_000_000 + version).toISOString();
  const metadata = version % 2 ? { correlationId: `c-${version}` } : undefined;
  return createEvent({ id, actorId, version, eventType: "Added", data: { version }, timestamp, metadata });
}

/** One after the other, as one that reads a file. */
export async function* eachOf<T>(items: readonly T[], onItem?: (index: number) => void): AsyncGenerator<T> {
  for (const [index, item] of items.entries()) {
    onItem?.(index);
    yield item;
    if (index % 500 === 0) await new Promise((resolve) => setTimeout(resolve));
  }
}

/** Exactly these events, or at least these, those of each actor in this order. */
export async function holds(store: EventStore, events: readonly Event[], exactly = true): Promise<void> {
  const expected = Map.groupBy(events, ({ actorId }) => actorId);
  const found = new Map<string, Event[]>();
  for await (const { events } of store.readAll()) {
    for (const event of events) found.set(event.actorId, [...found.get(event.actorId) ?? [], event]);
  }
  if (exactly) assert.deepEqual([...found.keys()].sort(), [...expected.keys()].sort());
  for (const [actorId, list] of expected) {
    const stored = found.get(actorId) ?? [];
    assert.deepEqual(exactly ? stored : stored.slice(0, list.length), list);
  }
}
