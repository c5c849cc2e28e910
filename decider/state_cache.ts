import { InvalidArgumentError } from "../errors.ts";
import type { Event } from "../event.ts";
import type { EventStore } from "../store/event_store.ts";
import type { Standing } from "./standing.ts";

// What only this library may do with a cache.
let take: (cache: StateCache, key: string) => Standing<unknown, Event> | undefined;
let put: (cache: StateCache, key: string, standing: Standing<unknown, Event>) => void;

/** Options of {@linkcode StateCache}. */
export interface StateCacheOptions {
  /** How many states it holds; the one that was not used for longest goes first. @default 1000 */
  readonly size?: number;
}

/**
 * Keeps the states of actors between commands, so that a command on one that is known takes one round trip: the append,
 * whose expectation tells whether the state was the latest. May be shared by any number of stores and deciders. Its states
 * are not copied: nobody may change them.
 *
 * @example
 * ```ts
 * import { type ActorEvents, defineDecider, execute, InMemoryEventStore, StateCache } from "@aether/aether";
 *
 * type CounterEvent = ActorEvents<"counter", { Added: { by: number } }>;
 * const counter = defineDecider({
 *   initialState: () => 0,
 *   evolve: (state: number, event: CounterEvent) => state + event.data.by,
 *   decide: (command: { add: number }) => ({ eventType: "Added", data: { by: command.add } }),
 * });
 * const cache = new StateCache({ size: 10_000 });
 * await execute(new InMemoryEventStore(), counter, "counter-1", { add: 2 }, { cache });
 * ```
 */
export class StateCache {
  readonly #size: number;
  readonly #standings = new Map<string, Standing<unknown, Event>>();

  /** Empty. */
  constructor({ size = 1_000 }: StateCacheOptions = {}) {
    if (!Number.isSafeInteger(size) || size < 1) {
      throw new InvalidArgumentError({ argument: "size" }, `size is a whole number from 1, not ${size}`);
    }
    this.#size = size;
  }

  /** How many states it holds. */
  get size(): number {
    return this.#standings.size;
  }

  /** Forgets all. */
  clear(): void {
    this.#standings.clear();
  }

  /** Forgets what it holds of an actor, of whatever store and decider. */
  delete(actorId: string): void {
    for (const key of this.#standings.keys()) if (actorIdOf(key) === actorId) this.#standings.delete(key);
  }

  static {
    take = (cache, key): Standing<unknown, Event> | undefined => {
      const standing = cache.#standings.get(key);
      cache.#standings.delete(key);
      return standing;
    };
    put = (cache, key, standing): void => {
      cache.#standings.set(key, standing); // it was taken out: now it is the latest
      if (cache.#standings.size <= cache.#size) return;
      for (const oldest of cache.#standings.keys()) {
        cache.#standings.delete(oldest);
        return;
      }
    };
  }
}

/** Takes out what a cache holds of an actor. */
export function takeStanding(
  cache: StateCache,
  store: EventStore,
  decider: object,
  actorId: string,
): Standing<unknown, Event> | undefined {
  return take(cache, keyOf(store, decider, actorId));
}

/** Puts it back. */
export function putStanding(
  cache: StateCache,
  store: EventStore,
  decider: object,
  actorId: string,
  standing: Standing<unknown, Event>,
): void {
  put(cache, keyOf(store, decider, actorId), standing);
}

const numbers = new WeakMap<object, number>();
let last = 0;

function keyOf(store: EventStore, decider: object, actorId: string): string {
  return `${numberOf(store)} ${numberOf(decider)} ${actorId}`;
}

function actorIdOf(key: string): string {
  return key.slice(key.indexOf(" ", key.indexOf(" ") + 1) + 1);
}

function numberOf(thing: object): number {
  const known = numbers.get(thing);
  if (known !== undefined) return known;
  numbers.set(thing, ++last);
  return last;
}
