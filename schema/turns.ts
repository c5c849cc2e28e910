/** Writes whose events are not encoded yet, each in its turn. */
import { isPromise, type MaybePromise } from "./maybe_promise.ts";

/**
 * Sends in the order of the calls, per actor: where a schema answers later, what is behind it waits. Where nothing does,
 * everything is sent at once.
 */
export class Turns {
  readonly #waiting = new Map<string, Promise<unknown>>();

  /** Calls `send` when the events are encoded and all earlier writes of these actors were sent. */
  take<T, U>(
    actorIds: readonly string[],
    encode: () => MaybePromise<T>,
    send: (encoded: T) => Promise<U>,
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
    const ready = Promise.allSettled([encoded, ...before] as const);
    const sent = ready.then(([own]) => {
      if (own.status === "rejected") throw own.reason;
      return send(own.value as T);
    });
    const turn = ready.then(() => { // behind the line above: by now it was sent
      for (const actorId of actorIds) if (this.#waiting.get(actorId) === turn) this.#waiting.delete(actorId);
    });
    for (const actorId of actorIds) this.#waiting.set(actorId, turn);
    return sent;
  }
}
