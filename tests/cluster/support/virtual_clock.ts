/** A clock whose time passes only when nothing else happens. */
import { setImmediate } from "node:timers/promises";
import type { Clock } from "../../../cluster/clock.ts";

interface Timer {
  readonly at: number;
  readonly fire: () => void;
}

/** Looks without a timer before a promise that does not settle is given up. */
const PATIENCE = 500;

export class VirtualClock implements Clock {
  #now = 0;
  readonly #timers = new Set<Timer>();

  now(): number {
    return this.#now;
  }

  wall(): number {
    return 1_700_000_000_000 + this.#now;
  }

  /** How many wait for time to pass. */
  get sleepers(): number {
    return this.#timers.size;
  }

  async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer: Timer = { at: this.#now + Math.max(0, milliseconds), fire: resolve };
    this.#timers.add(timer);
    signal?.addEventListener("abort", timer.fire, { once: true });
    try {
      await promise;
    } finally {
      this.#timers.delete(timer);
      signal?.removeEventListener("abort", timer.fire);
    }
  }

  timer(milliseconds: number, run: () => void): () => void {
    const timer: Timer = { at: this.#now + Math.max(0, milliseconds), fire: run };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** Lets so much time pass. */
  async pass(milliseconds: number): Promise<void> {
    const until = this.#now + milliseconds;
    for (;;) {
      await quiet();
      const next = this.#next();
      if (next === undefined || next.at > until) break;
      this.#jump(next);
    }
    this.#now = until;
    await quiet();
  }

  /** Lets time pass until the promise settles. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settle = (): void => void (isSettled = true);
    void promise.then(settle, settle);
    for (let looks = 0; !isSettled; looks++) {
      await quiet();
      if (isSettled) break;
      const next = this.#next();
      if (next !== undefined) {
        looks = 0;
        this.#jump(next);
      } else if (looks > PATIENCE) throw new Error("nothing happens any more, and the promise is not settled");
    }
    return await promise;
  }

  #next(): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) if (next === undefined || timer.at < next.at) next = timer;
    return next;
  }

  #jump(timer: Timer): void {
    this.#now = Math.max(this.#now, timer.at);
    this.#timers.delete(timer);
    timer.fire();
  }
}

/** Short real timers that run: a decider that lost a race waits for some milliseconds by the clock on the wall. */
const real = new Set<unknown>();
const { setTimeout: set, clearTimeout: clear } = globalThis;
globalThis.setTimeout = ((work: (...args: unknown[]) => void, milliseconds = 0, ...args: unknown[]) => {
  const timer = set(() => {
    real.delete(timer);
    work(...args);
  }, milliseconds);
  if (milliseconds <= 100) real.add(timer);
  return timer;
}) as typeof setTimeout;
globalThis.clearTimeout = (timer) => {
  real.delete(timer);
  clear(timer);
};

/** All that can happen without time has happened. */
export async function quiet(): Promise<void> {
  for (let turn = 0; turn < 2 || real.size > 0; turn++) await setImmediate();
}
