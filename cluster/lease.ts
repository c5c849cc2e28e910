import type { Bucket, Entry, Nudges } from "./bucket.ts";
import type { Timeline } from "./clock.ts";

/** Times of a lease, in milliseconds. */
export interface LeaseTimes {
  /** A record that nobody has renewed for so long, by the clock of the one who watches it, may be taken over. */
  readonly ttl: number;
  /** Its holder stands down so much earlier: what clocks may differ by in that time, and an answer that is late. */
  readonly margin: number;
  /** Between two renewals. */
  readonly renew: number;
  /** Before a renewal that got no answer is sent again. */
  readonly retry: number;
}

/** A renewal every second survives the four to nine seconds in which JetStream elects a leader: `margin` and all. */
export const LEASE_TIMES: LeaseTimes = { ttl: 4_500, margin: 1_100, renew: 1_000, retry: 250 };

/** Milliseconds beyond a renewal's turn after which the store counts as away. */
const LATE = 600;
/** Tries that are remembered: an answer may come from any of them. */
const TRIES = 30;

/** What a lease needs. */
export interface LeaseParts {
  readonly timeline: Timeline;
  readonly bucket: Bucket;
  readonly nudges: Nudges;
  readonly times: LeaseTimes;
  /** Aborts when nothing can be written any more, for good. */
  readonly closed: AbortSignal;
  /** Told of what was written or read. */
  see(entry: Entry): void;
}

/** A write that was sent. */
interface Try {
  readonly nonce: string;
  /** Before it was sent. */
  readonly began: number;
  /** Of the fields that it carried. */
  readonly stamp: number;
}

/**
 * A record that its holder renews, and others take over by compare-and-set once it has been silent. There is no expiry on
 * the server: its clock may jump, and its markers are lost. Pure but for its parts.
 */
export class Lease<Fields extends object> {
  readonly key: string;
  readonly #parts: LeaseParts;
  readonly #holder: string;
  #fields: Fields;
  /** Counts what `set` has set. */
  #stamp = 0;
  #written = -1;
  #revision: number;
  #began = -Infinity;
  #tries: Try[] = [];
  #count = 0;
  #confirmed = -Infinity;
  #steady: number;
  #wake = new AbortController();
  #waiting: { stamp: number; resolve: (isWritten: boolean) => void }[] = [];
  #isOver = false;

  /** `holder` is unique to this life of this node: by it a write whose answer was lost is known again. */
  constructor(parts: LeaseParts, key: string, holder: string, fields: Fields, revision: number) {
    this.key = key;
    this.#parts = parts;
    this.#holder = holder;
    this.#fields = fields;
    this.#revision = revision;
    this.#steady = parts.timeline.now();
  }

  get revision(): number {
    return this.#revision;
  }

  /** When it ends unless it is renewed, by the local clock. */
  get until(): number {
    const { ttl, margin } = this.#parts.times;
    return this.#began + ttl - margin;
  }

  /** Whether it certainly holds at this moment. To be asked again after every await. */
  isValid(): boolean {
    const { timeline } = this.#parts;
    const now = timeline.now();
    // A clock that has jumped voids all that began before, also what is still to be answered.
    return now < this.until && this.#began > timeline.era;
  }

  /** Whether the store has just taken a write of this node: only then does the silence of others prove anything. */
  isSteady(): boolean {
    return this.#parts.timeline.now() - this.#confirmed < this.#parts.times.renew + LATE;
  }

  /** Milliseconds that a record has been silent, as far as this node can tell: not while it was cut off itself. */
  silence({ since }: { readonly since: number }): number {
    const { timeline } = this.#parts;
    return timeline.now() - Math.max(since, this.#steady, timeline.era);
  }

  /** Takes the record; false if another was first. */
  async take(signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted) {
      const outcome = await this.#write();
      if (outcome !== "unknown") return outcome === "written";
      await this.#parts.timeline.clock.sleep(this.#parts.times.retry, signal);
    }
    return false;
  }

  /** Renews until the signal aborts, or another has written the record: then resolves to false. */
  async keep(signal: AbortSignal): Promise<boolean> {
    const { times } = this.#parts;
    let pause = times.renew;
    try {
      for (;;) {
        if (this.#written === this.#stamp || pause === times.retry) await this.#sleep(pause, signal);
        if (signal.aborted) return true;
        const outcome = await this.#write();
        if (outcome === "lost") return false;
        pause = outcome === "written" ? times.renew : times.retry;
      }
    } finally {
      this.#isOver = true;
      this.#settle();
    }
  }

  /** Changes what the record says, and writes it at once; true once it is written, false if the lease ended before. */
  set(fields: Partial<Fields>): Promise<boolean> {
    this.#fields = { ...this.#fields, ...fields };
    const stamp = ++this.#stamp;
    if (this.#isOver) return Promise.resolve(false);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#waiting.push({ stamp, resolve });
    this.#wake.abort();
    return promise;
  }

  /** Writes a last record, after `keep` has ended, unless the lease is over anyway, but for one try. */
  async close(fields: Partial<Fields>): Promise<void> {
    const { timeline: { clock }, times, closed } = this.#parts;
    const [done, late] = [new AbortController(), new AbortController()];
    const end = (): void => late.abort();
    if (closed.aborted) return;
    closed.addEventListener("abort", end);
    const left = this.#began + times.ttl - this.#parts.timeline.now();
    void clock.sleep(Math.max(left, times.retry), done.signal).then(end);
    this.#fields = { ...this.#fields, ...fields };
    this.#stamp++;
    await this.take(late.signal);
    closed.removeEventListener("abort", end);
    done.abort();
  }

  async #sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    const wake = this.#wake = new AbortController();
    const abort = (): void => wake.abort();
    if (signal.aborted) return;
    signal.addEventListener("abort", abort, { once: true });
    await this.#parts.timeline.clock.sleep(milliseconds, wake.signal);
    signal.removeEventListener("abort", abort);
  }

  async #write(): Promise<"written" | "lost" | "unknown"> {
    const { bucket, timeline } = this.#parts;
    const attempt = { nonce: `${this.#holder}:${++this.#count}`, began: timeline.now(), stamp: this.#stamp };
    this.#tries.push(attempt);
    if (this.#tries.length > TRIES) this.#tries.shift();
    const value = { ...this.#fields, nonce: attempt.nonce };
    const written = await bucket.write(this.key, value, this.#revision);
    if (written.kind === "stored") {
      this.#accept({ key: this.key, revision: written.revision, value }, attempt);
      return "written";
    }
    const entry = await bucket.read(this.key);
    if (entry === undefined) return "unknown";
    // Where the write met a record, who says that there is none was the leader of the stream before it came.
    if (entry === "none") return written.kind === "conflict" && !written.revision ? "lost" : "unknown";
    const nonce = nonceOf(entry.value);
    const earlier = this.#tries.find((one) => one.nonce === nonce);
    if (earlier !== undefined) {
      // One of one's own, whose answer was lost; or the last that was answered, and this one is not stored.
      if (entry.revision <= this.#revision) return "unknown";
      this.#accept(entry, earlier);
      return earlier.stamp === attempt.stamp ? "written" : "unknown";
    }
    this.#parts.see(entry);
    // Who was the leader of the stream until a moment ago may know less than this node.
    const isLater = entry.revision > this.#revision ||
      written.kind === "conflict" && written.revision === entry.revision;
    return isLater ? "lost" : "unknown";
  }

  #accept(entry: Entry, { began, stamp }: Try): void {
    const { bucket, timeline, nudges, times } = this.#parts;
    const now = timeline.now();
    const renewal = stamp === this.#written;
    this.#revision = entry.revision;
    this.#began = Math.max(this.#began, began);
    this.#written = Math.max(this.#written, stamp);
    if (now - this.#confirmed > times.renew + LATE) this.#steady = now;
    this.#confirmed = now;
    this.#parts.see(entry);
    nudges.send({ created: bucket.created, key: this.key, revision: entry.revision, renewal });
    this.#settle();
  }

  #settle(): void {
    const isDone = ({ stamp }: { stamp: number }): boolean => this.#isOver || stamp <= this.#written;
    for (const { stamp, resolve } of this.#waiting.filter(isDone)) resolve(stamp <= this.#written);
    this.#waiting = this.#waiting.filter((one) => !isDone(one));
  }
}

/** Of a record that a lease has written. */
export function nonceOf(value: unknown): string | undefined {
  const nonce = typeof value === "object" && value !== null && "nonce" in value ? value.nonce : undefined;
  return typeof nonce === "string" ? nonce : undefined;
}
