import type { Operation } from "./operation.ts";

/** Runs tasks of one key one after another, in the order of the calls; tasks of different keys side by side. */
export class Lanes {
  /** By key: settled when the last task that has called is through. */
  readonly #tails = new Map<string, Promise<void>>();

  /** Starts at once, before it returns, where nothing of these keys is under way. */
  async run<T>(keys: readonly string[], operation: Operation, task: () => Promise<T>): Promise<T> {
    const { promise: mine, resolve } = Promise.withResolvers<void>();
    const before: Promise<void>[] = [];
    for (const key of keys) {
      const tail = this.#tails.get(key);
      if (tail !== undefined) before.push(tail);
      this.#tails.set(key, mine);
    }
    const leave = (): void => {
      for (const key of keys) if (this.#tails.get(key) === mine) this.#tails.delete(key);
      resolve();
    };
    if (before.length > 0) {
      const turn = Promise.all(before);
      try {
        await operation.until(turn);
      } catch (aborted) {
        void turn.then(leave); // those behind wait for those before, whoever left in between
        throw aborted;
      }
    }
    try {
      return await task();
    } finally {
      leave();
    }
  }
}
