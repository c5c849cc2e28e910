/** What is executed on one actor of one store in this process stands in a queue: it would only conflict with itself. */
import type { Event } from "../event.ts";
import type { EventStore } from "../store/event_store.ts";
import type { Standing } from "./standing.ts";

const lanes = new WeakMap<EventStore, Map<string, Lane>>();

/** The queue of one actor. */
export class Lane {
  readonly #waiting: (() => void)[] = [];
  /** What the one before left, by its decider and its store: whoever waited need not load again. */
  readonly #left = new Map<object, { readonly store: EventStore; readonly standing: Standing<unknown, Event> }>();

  /** Does the work when all that came before it has ended; leaves the queue when the signal comes first. */
  static async run<T>(
    store: EventStore,
    actorId: string,
    signal: AbortSignal | undefined,
    work: (lane: Lane) => Promise<T>,
  ): Promise<T> {
    const ofStore = lanes.get(store) ?? new Map<string, Lane>();
    lanes.set(store, ofStore);
    let lane = ofStore.get(actorId);
    if (lane === undefined) ofStore.set(actorId, lane = new Lane());
    else await lane.#turn(signal);
    try {
      return await work(lane);
    } finally {
      const next = lane.#waiting.shift();
      if (next === undefined) ofStore.delete(actorId);
      else next();
    }
  }

  /** What was left for the next one with the same decider on the same view of the store. */
  take(store: EventStore, decider: object): Standing<unknown, Event> | undefined {
    const left = this.#left.get(decider);
    this.#left.delete(decider);
    return left?.store === store ? left.standing : undefined;
  }

  /** Leaves it for the next one, if there is one. */
  leave(store: EventStore, decider: object, standing: Standing<unknown, Event>): void {
    if (this.#waiting.length > 0) this.#left.set(decider, { store, standing });
  }

  async #turn(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = (): void => {
      const index = this.#waiting.indexOf(resolve);
      if (index < 0) return; // it is its turn already
      this.#waiting.splice(index, 1);
      reject(signal?.reason);
    };
    this.#waiting.push(resolve);
    signal?.addEventListener("abort", abort);
    try {
      await promise;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }
}
