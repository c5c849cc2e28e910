/** One listener for all that ends with a signal: runtimes walk all listeners of a signal to add one. */

/** The signals of one bus that somebody waits for. */
export class Signals {
  readonly #waiting = new Map<AbortSignal, Set<() => void>>();

  /**
   * Calls it once the signal is aborted.
   * @returns how to call it no more
   */
  add(signal: AbortSignal, aborted: () => void): () => void {
    const waiting = this.#waiting.get(signal) ?? this.#listen(signal);
    waiting.add(aborted);
    return () => {
      if (waiting.delete(aborted) && waiting.size === 0) this.#leave(signal);
    };
  }

  #listen(signal: AbortSignal): Set<() => void> {
    const waiting = new Set<() => void>();
    this.#waiting.set(signal, waiting);
    signal.addEventListener("abort", this.#abort);
    return waiting;
  }

  #leave(signal: AbortSignal): void {
    this.#waiting.delete(signal);
    signal.removeEventListener("abort", this.#abort);
  }

  readonly #abort = ({ currentTarget }: globalThis.Event): void => {
    const signal = currentTarget as AbortSignal;
    for (const aborted of [...this.#waiting.get(signal) ?? []]) aborted();
  };
}
