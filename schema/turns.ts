/** Writes whose events are not encoded yet, each in its turn. */
import { untilAborted } from "../store/operation.ts";
import { isPromise, type MaybePromise } from "./maybe_promise.ts";

/**
 * Sends in the order of the calls, per actor: where a schema answers later, what is behind it waits. Where nothing does,
 * everything is sent at once.
 */
export class Turns {
  readonly #waiting = new Map<string, Promise<unknown>>();

  /**
   * Calls `send` when the events are encoded and all earlier writes of these actors were sent; not, once the signal was
   * aborted before that: a schema may never answer.
   */
  take<T, U>(
    actorIds: readonly string[],
    encode: () => MaybePromise<T>,
    send: (encoded: T) => Promise<U>,
    signal?: AbortSignal,
  ): Promise<U> {
    let encoded: MaybePromise<T>;
    try {
      encoded = encode();
      if (this.#waiting.size === 0 && !isPromise(encoded)) return send(encoded);
    } catch (error) {
      return Promise.reject(error);
    }
    const before: Promise<unknown>[] = [];
    for (const actorId of actorIds) {
      const earlier = this.#waiting.get(actorId);
      if (earlier !== undefined) before.push(earlier);
    }
    if (before.length === 0 && !isPromise(encoded)) return send(encoded);
    const all = Promise.allSettled([encoded, ...before] as const);
    const ready = untilAborted(all, signal);
    const sent = ready.then(([own]) => {
      signal?.throwIfAborted();
      if (own.status === "rejected") throw own.reason;
      return send(own.value as T);
    });
    // Who comes behind waits for those before, whatever became of this one; by then it was sent.
    const turn = Promise.allSettled([ready, ...before]).then(() => {
      for (const actorId of actorIds) if (this.#waiting.get(actorId) === turn) this.#waiting.delete(actorId);
    });
    for (const actorId of actorIds) this.#waiting.set(actorId, turn);
    return sent;
  }
}
