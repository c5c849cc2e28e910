/** Reading what a subscription has to give and does not have: what it has missed, or the other parts of a commit. */
import type { Commit } from "../store/event_store.ts";
import { type Filter, letsEvents } from "../store/filter.ts";
import type { Gap, GapStore } from "./event_bus.ts";

/** Commits that are read, one at a time: no more of them are held than one. */
export class Filling {
  readonly #read: (signal: AbortSignal) => AsyncIterable<Commit>;
  #commits: AsyncIterator<Commit> | undefined;
  readonly #stop = new AbortController();
  readonly #filter: Filter;
  /** There is something to take, or nothing more will come. */
  readonly #wake: () => void;
  readonly #failed: (error: unknown) => void;
  #reading = false;
  /** A commit that was read and not yet taken. */
  #commit: Commit | undefined;
  #ended = false;

  constructor(
    read: (signal: AbortSignal) => AsyncIterable<Commit>,
    filter: Filter,
    wake: () => void,
    failed: (error: unknown) => void,
  ) {
    this.#read = read;
    this.#filter = filter;
    this.#wake = wake;
    this.#failed = failed;
  }

  /** Nothing is left. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The next commit, if it is there; else it is read, and the subscription woken then. */
  take(): Commit | undefined {
    const commit = this.#commit;
    this.#commit = undefined;
    if (commit === undefined && !this.#reading && !this.#ended) void this.#pull();
    return commit;
  }

  stop(): void {
    this.#ended = true;
    this.#commit = undefined;
    this.#stop.abort();
    void this.#leave();
  }

  /** A reading that waits to be asked for more is not told by the signal. */
  async #leave(): Promise<void> {
    try {
      await this.#commits?.return?.();
    } catch {
      // Nobody wants to know any more.
    }
  }

  async #pull(): Promise<void> {
    this.#reading = true;
    try {
      this.#commits ??= this.#read(this.#stop.signal)[Symbol.asyncIterator]();
      do {
        const { done, value } = await this.#commits.next();
        if (done) this.#ended = true;
        // A deleted actor has nothing but its tombstone, of which the bus tells at its own place.
        else if (!value.deleted) this.#commit = letsEvents(this.#filter, value);
      } while (this.#commit === undefined && !this.#ended);
    } catch (error) {
      if (!this.#ended) this.#failed(error);
      this.#ended = true;
    }
    this.#reading = false;
    this.#wake();
  }
}

/** What lies in a gap. */
export function missing(store: GapStore, gap: Gap): (signal: AbortSignal) => AsyncIterable<Commit> {
  const { actorId, afterPosition, beforePosition } = gap;
  const range = { afterPosition, toPosition: beforePosition - 1, consistency: "leader" } as const;
  return (signal) => store.readActor(actorId as never, { ...range, signal });
}
