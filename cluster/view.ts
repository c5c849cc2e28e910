import type { Entry } from "./bucket.ts";
import type { Timeline } from "./clock.ts";

/** A record as this node knows it. */
export interface Seen extends Entry {
  /** When its revision last changed, by this node's clock. */
  readonly since: number;
}

/**
 * What this node knows of the bucket. It goes forward only: an answer without a record, or with an older one, comes from
 * a replica that lags, and means nothing.
 */
export class View {
  readonly #timeline: Timeline;
  readonly #seen = new Map<string, Seen>();
  /** Revisions of the values: what a sign of life brought is newer, and has none. */
  readonly #read = new Map<string, number>();
  readonly #listeners = new Set<(key: string) => void>();

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
  }

  /** Takes what was read or written. */
  see({ key, revision, value }: Entry): void {
    if (revision <= this.revisionRead(key)) return;
    const known = this.#seen.get(key);
    const isNews = known === undefined || known.revision < revision;
    this.#read.set(key, revision);
    this.#seen.set(key, isNews ? { key, revision, value, since: this.#timeline.now() } : { ...known, value });
    for (const listener of this.#listeners) listener(key);
  }

  /** Takes a sign of life: the record was written again, with nothing new. False if there is no such record here. */
  renewed(key: string, revision: number): boolean {
    const known = this.#seen.get(key);
    if (known === undefined) return false;
    if (known.revision < revision) this.#seen.set(key, { ...known, revision, since: this.#timeline.now() });
    return true;
  }

  /** Of the value that was last read; 0: none was. */
  revisionRead(key: string): number {
    return this.#read.get(key) ?? 0;
  }

  /** Takes what the leader has: where that is behind what a nudge has told, the nudge was wrong, and silence begins anew. */
  correct(entry: Entry): void {
    this.see(entry);
    const known = this.#seen.get(entry.key);
    if (known === undefined || entry.revision >= known.revision || entry.revision < this.revisionRead(entry.key)) {
      return;
    }
    this.#seen.set(entry.key, { ...entry, since: this.#timeline.now() });
  }

  get(key: string): Seen | undefined {
    return this.#seen.get(key);
  }

  /** All records whose keys begin so. */
  of(prefix: string): Seen[] {
    return [...this.#seen.values()].filter(({ key }) => key.startsWith(prefix));
  }

  /** Forgets a record that was removed. */
  forget(key: string): void {
    this.#seen.delete(key);
  }

  /** Calls back after the value of a record was read anew, with its key, until it is disposed. */
  onChange(listener: (key: string) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: (): void => void this.#listeners.delete(listener) };
  }

  /** Resolves when a record that is meant changes, or after so many milliseconds, or once the signal aborts. */
  async change(isMeant: (key: string) => boolean, milliseconds: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const woken = new AbortController();
    const wake = (): void => woken.abort();
    using _listening = this.onChange((key) => isMeant(key) && wake());
    signal.addEventListener("abort", wake, { once: true });
    try {
      await this.#timeline.clock.sleep(milliseconds, woken.signal);
    } finally {
      signal.removeEventListener("abort", wake);
    }
  }
}
