/** What the cases of the suite have in common. */
import assert from "node:assert/strict";
import type { EventBus } from "../../bus/event_bus.ts";
import type { Event } from "../../event.ts";
import type { EventStore } from "../../store/event_store.ts";
import { eventOf } from "../event_store/scene.ts";

/** How long something that must happen may take: a server on a busy machine takes its time. */
const PATIENCE = 30_000;

/** A bus of a namespace without subscribers. */
export interface Scene {
  readonly bus: EventBus;
  /** A bus with the same events, where the implementation has such a thing: else the same bus. */
  another(): Promise<EventBus>;
  /** A bus of another namespace. */
  elsewhere(): Promise<EventBus>;
  /**
   * Resolves once everything that was published on this bus before has reached the subscriptions of this bus. Its own
   * events are of the type `Settled`.
   */
  settled(): Promise<void>;
}

/** A scene with a store whose commits the bus announces. */
export interface StoreScene extends Scene {
  readonly store: EventStore;
}

/** A promise and what must hold. */
export type Promises<S extends Scene = Scene> = Readonly<Record<string, (scene: S) => Promise<void>>>;

/** What the subscriptions listen to that must not hear of `settled`. */
export const ADDED = { eventTypes: ["Added"] } as const;

/** Events `from` to `to` of an actor. */
export function stretch(actorId: string, from: number, to: number): Event[] {
  return Array.from({ length: to - from + 1 }, (_, index) => eventOf(actorId, from + index));
}

/** In order. */
export async function publishAll(bus: EventBus, events: readonly Event[]): Promise<void> {
  for (const event of events) await bus.publish(event);
}

/** Collects, and waits for what is to come. */
export class Collected<T = Event> {
  readonly items: T[] = [];
  readonly #waiting = new Set<() => void>();

  readonly take = (item: T): void => {
    this.items.push(item);
    for (const look of this.#waiting) look();
  };

  /** So many, or more. */
  async atLeast(count: number): Promise<readonly T[]> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = (): void => void (this.items.length >= count && resolve());
    this.#waiting.add(look);
    look();
    try {
      await inTime(promise, () => `${this.items.length} of ${count} came`);
    } finally {
      this.#waiting.delete(look);
    }
    return this.items;
  }
}

/** What must happen, or the case fails instead of hanging. */
export async function inTime<T>(promise: Promise<T>, problem: () => string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new assert.AssertionError({ message: `Too late: ${problem()}` })), PATIENCE);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** So many events of an iteration. */
export async function take<T>(iterator: AsyncIterator<T>, count: number): Promise<T[]> {
  const items: T[] = [];
  while (items.length < count) {
    const result = await inTime(iterator.next(), () => `${items.length} of ${count} were given`);
    assert(!result.done, `ended after ${items.length} of ${count}`);
    items.push(result.value);
  }
  return items;
}

/** Type, actor and version of each. */
export function outline(events: readonly Event[]): string[] {
  return events.map(({ eventType, actorId, version }) => `${eventType} ${actorId}@${version}`);
}
