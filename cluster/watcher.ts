import type { Bucket, Entry, Nudges } from "./bucket.ts";
import type { Timeline } from "./clock.ts";
import type { View } from "./view.ts";

/** Milliseconds between two polls: how soon a node learns what no nudge told it. */
const POLL = 1_000;
/** Milliseconds before a replica that lags is asked again for what a nudge told of. */
const AGAIN = 30;

/** What a watcher needs. */
export interface WatcherParts {
  readonly timeline: Timeline;
  readonly bucket: Bucket;
  readonly nudges: Nudges;
  readonly view: View;
  /** Told of what a poll gave. */
  onPoll?(entries: readonly Entry[]): void;
}

/** Keeps a view up to date: by a nudge at once, and by a poll where nudges are lost. Either alone is enough. */
export class Watcher {
  readonly #parts: WatcherParts;
  /** What nudges told of and no poll has shown yet. */
  readonly #told = new Map<string, { readonly revision: number; readonly at: number }>();
  #wake = new AbortController();
  #polled: number | undefined;
  #nudged: number | undefined;

  constructor(parts: WatcherParts) {
    this.#parts = parts;
  }

  /** When the last poll was answered, by the local clock; undefined: none was. */
  get polled(): number | undefined {
    return this.#polled;
  }

  /** When the last nudge came, by the local clock; undefined: none did. */
  get nudged(): number | undefined {
    return this.#nudged;
  }

  /** Watches until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { timeline, bucket, nudges, view } = this.#parts;
    using _nudges = nudges.receive(({ created, key, revision, renewal }) => {
      if (created !== bucket.created) return;
      const now = this.#nudged = timeline.now();
      if (renewal && view.renewed(key, revision)) return;
      this.#told.set(key, { revision, at: now });
      this.#wake.abort();
    });
    const abort = (): void => this.#wake.abort();
    signal.addEventListener("abort", abort);
    try {
      while (!signal.aborted) {
        this.#wake = new AbortController();
        await this.poll(); // never two at once: N nodes would poll N times a second otherwise
        if (signal.aborted) break;
        await timeline.clock.sleep(this.#isBehind() ? AGAIN : POLL, this.#wake.signal);
      }
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** Reads all records from some replica; false if there was no answer. */
  async poll(): Promise<boolean> {
    const { timeline, bucket, view } = this.#parts;
    const entries = await bucket.readAll();
    for (const entry of entries ?? []) view.see(entry);
    if (entries !== undefined) {
      this.#polled = timeline.now();
      this.#parts.onPoll?.(entries);
    }
    return entries !== undefined;
  }

  /** A nudge may lie: what it tells of is not waited for longer than the next poll would take. */
  #isBehind(): boolean {
    const { timeline, view } = this.#parts;
    const now = timeline.now();
    for (const [key, { revision, at }] of this.#told) {
      if (view.revisionRead(key) >= revision || now - at > POLL) this.#told.delete(key);
    }
    return this.#told.size > 0;
  }
}
