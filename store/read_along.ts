import type { Event } from "../event.ts";
import type { Commit, EventStore } from "./event_store.ts";

/** Events that are read at once. */
const CHUNK = 256;
/** Events that are read before they are asked for: an import stores events up to some 1,000 places from theirs. */
const AHEAD = 4_096;
/** Events that are kept; the oldest have been passed over. */
const CAPACITY = 3 * AHEAD;
/** Events in a row that were not where they were looked for, before reading along begins again, or is given up. */
const PATIENCE = 256;
/** Positions before an event that was found: where those around it begin. */
const BACK = 2_048;

/**
 * Reads a namespace along with an input that was stored in it before, in about the same order: hundreds of events for
 * what it costs to look one up. What it does not find may be stored all the same.
 */
export class ReadAlong {
  readonly #store: EventStore;
  /** By version and actor. */
  readonly #ids = new Map<string, string>();
  #commits: AsyncIterator<Commit> | undefined;
  #reading: Promise<void> | undefined;
  /** Events that may be read now. */
  #allowed = 0;
  /** The first event that is found begins it. */
  #misses = PATIENCE;

  constructor(store: EventStore) {
    this.#store = store;
  }

  /** Whether the event has come by. */
  async has({ actorId, version, id }: Event): Promise<boolean> {
    const key = `${version} ${actorId}`;
    this.#allowed++;
    while (!this.#ids.has(key) && this.#commits !== undefined && this.#allowed > 0) {
      this.#reading ??= this.#read(this.#commits).finally(() => this.#reading = undefined);
      await this.#reading;
    }
    const stored = this.#ids.get(key);
    this.#ids.delete(key);
    if (stored !== undefined) this.#misses = 0;
    else if (this.#commits !== undefined && ++this.#misses >= PATIENCE) await this.stop();
    return stored === id;
  }

  /** An event was found at a position, in another way: where that goes on, reading along begins there. */
  found(position: number): void {
    if (this.#commits !== undefined || ++this.#misses < PATIENCE) return;
    this.#misses = 0;
    this.#allowed = AHEAD;
    this.#ids.clear();
    this.#commits = this.#store.readAll({ after: Math.max(0, position - BACK) })[Symbol.asyncIterator]();
  }

  async stop(): Promise<void> {
    const commits = this.#commits;
    this.#commits = undefined;
    this.#misses = 0;
    await commits?.return?.();
  }

  async #read(commits: AsyncIterator<Commit>): Promise<void> {
    for (let count = 0; count < CHUNK;) {
      const { value } = await commits.next().catch(() => ({ value: undefined })); // whoever asks for the event finds out
      if (value === undefined) return void (this.#commits === commits && await this.stop());
      for (const { actorId, version, id } of value.events) this.#ids.set(`${version} ${actorId}`, id);
      count += value.events.length;
      this.#allowed -= value.events.length;
    }
    for (const oldest of this.#ids.keys()) {
      if (this.#ids.size <= CAPACITY) break;
      this.#ids.delete(oldest);
    }
  }
}
