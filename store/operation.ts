/** One call of a store: how long it may take, and what ends it early. */

/** Milliseconds that one answer may take. */
const MAX_PATIENCE = 2_000;

/** Bounds of one call. */
export class Operation {
  /** Undefined: nothing ends it early. */
  readonly signal: AbortSignal | undefined;
  /** Milliseconds after which what was not answered is asked again: a leader that dies takes its requests along. */
  #patience: number;
  readonly #expires: number;

  /** Milliseconds from now. */
  constructor(timeout: number, signal: AbortSignal | undefined, patience = Math.min(MAX_PATIENCE, timeout / 5)) {
    signal?.throwIfAborted();
    this.signal = signal;
    this.#patience = patience;
    this.#expires = performance.now() + timeout;
  }

  /** Milliseconds that the next answer may take. */
  get patience(): number {
    return Math.min(this.#patience, this.remaining);
  }

  /** A server that is only slow gets less to do. */
  beMorePatient(): void {
    this.#patience *= 2;
  }

  /** Milliseconds; not positive once time is up. */
  get remaining(): number {
    return this.#expires - performance.now();
  }

  /** The promise's outcome, unless the signal comes first: then rejects with its reason. */
  until<T>(promise: Promise<T>): Promise<T> {
    return untilAborted(promise, this.signal);
  }

  /** Waits, with jitter, so that those who met once do not meet again. */
  async pause(milliseconds: number): Promise<void> {
    const time = Math.min(milliseconds * (0.5 + Math.random()), Math.max(0, this.remaining));
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, time);
    try {
      await this.until(promise);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The promise's outcome, unless the signal comes first: then rejects with its reason. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  return signal === undefined ? promise : race(promise, signal);
}

async function race<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([aborted, promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
