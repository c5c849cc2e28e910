/** Time, as one node sees it. */
export interface Clock {
  /** Milliseconds that have passed since some moment. Never goes back; may stand still while the machine sleeps. */
  now(): number;
  /** Milliseconds since 1970, as the machine believes. */
  wall(): number;
  /** Resolves after so many milliseconds, or once the signal aborts; never rejects. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
  /** Calls back after so many milliseconds, unless what it gives is called before: a sleep costs several times as much. */
  timer(milliseconds: number, run: () => void): () => void;
}

/** The clock of this process. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  timer(milliseconds, run): () => void {
    const timer = setTimeout(run, milliseconds);
    return () => clearTimeout(timer);
  },
  async sleep(milliseconds, signal): Promise<void> {
    if (signal?.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, milliseconds);
    const wake = (): void => resolve();
    signal?.addEventListener("abort", wake, { once: true });
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", wake);
    }
  },
};

/** Milliseconds by which the two clocks may part between two looks: a step, or a machine that slept, is more. */
const JUMP = 500;

/**
 * A monotonic clock that notices when it cannot be trusted: on Linux it stands still while a virtual machine is suspended,
 * and only the wall clock shows that.
 */
export class Timeline {
  readonly clock: Clock;
  #offset: number;
  #era = -Infinity;

  constructor(clock: Clock) {
    this.clock = clock;
    this.#offset = clock.wall() - clock.now();
  }

  /** Milliseconds; looks for a jump first. */
  now(): number {
    const now = this.clock.now();
    const offset = this.clock.wall() - now;
    if (Math.abs(offset - this.#offset) > JUMP) this.#era = now;
    this.#offset = offset;
    return now;
  }

  /** What began before this moment was measured by a clock that has jumped since: it proves nothing. */
  get era(): number {
    return this.#era;
  }
}
