import { InvalidArgumentError } from "../errors.ts";
import type { Event } from "../event.ts";
import { checkOptionNames } from "../options.ts";
import type { EventStore } from "../store/event_store.ts";
import type { Standing } from "./standing.ts";

/** Where a cache has the state of one actor. */
export interface Place {
  /** What was taken out of it. */
  readonly standing: Standing<unknown, Event> | undefined;
  /** Puts it back, unless the cache was told meanwhile to forget: it may have been this one. */
  put(standing: Standing<unknown, Event>): void;
}

// What only this library may do with a cache.
let take: (cache: StateCache, key: string) => Place;

/** Options of {@linkcode StateCache}. */
export interface StateCacheOptions {
  /** How many states it holds; the one that was not used for longest goes first. @default 1000 */
  readonly size?: number | undefined;
}

/**
 * Keeps the states of actors between commands, so that a command on one that is known takes one round trip: the append,
 * whose expectation tells whether the state was the latest. May be shared by any number of stores and deciders; another
 * view of a store, or a decider that is made again, has states of its own. States are not copied: nobody may change them.
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
  /** How often it was told to forget. */
  #forgot = 0;

  /** Empty. */
  constructor(options: StateCacheOptions = {}) {
    checkOptionNames("new StateCache", options, ["size"]);
    const { size = 1_000 } = options;
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
    this.#forgot++;
    this.#standings.clear();
  }

  /** Forgets what it holds of an actor, of whatever store and decider. */
  delete(actorId: string): void {
    this.#forgot++;
    for (const key of this.#standings.keys()) if (actorIdOf(key) === actorId) this.#standings.delete(key);
  }

  static {
    take = (cache, key): Place => {
      const standing = cache.#standings.get(key);
      cache.#standings.delete(key);
      const forgot = cache.#forgot;
      return { standing, put: (standing) => cache.#forgot === forgot && cache.#put(key, standing) };
    };
  }

  #put(key: string, standing: Standing<unknown, Event>): void {
    this.#standings.delete(key);
    this.#standings.set(key, standing); // now it is the latest
    if (this.#standings.size <= this.#size) return;
    for (const oldest of this.#standings.keys()) {
      this.#standings.delete(oldest);
      return;
    }
  }
}

/** Takes out what a cache holds of an actor. */
export function placeIn(cache: StateCache, store: EventStore, decider: object, actorId: string): Place {
  return take(cache, keyOf(store, decider, actorId));
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
