import type { Bucket, Entry } from "./bucket.ts";
import { Timeline } from "./clock.ts";
import { Lease, type LeaseParts } from "./lease.ts";
import { BORN } from "./names.ts";
import type { ClusterPorts } from "./ports.ts";
import { View } from "./view.ts";
import { Watcher } from "./watcher.ts";

/**
 * One life of a node in one life of the bucket: what it sees there, and a lease of its own, whose renewals prove that the
 * store takes its writes. Where the lease is lost or the bucket made anew, everything is forgotten and a new life begins.
 */
export class Presence<Fields extends object = object> {
  readonly ports: ClusterPorts;
  readonly timeline: Timeline;
  readonly bucket: Bucket;
  readonly view: View;
  readonly watcher: Watcher;
  readonly lease: Lease<Fields>;
  /** Unique to this life. */
  readonly incarnation: string;
  #isLooking = false;
  readonly #stranger = new AbortController();

  private constructor(parts: Stage, lease: Lease<Fields>, incarnation: string, born: string) {
    this.ports = parts.ports;
    this.timeline = parts.timeline;
    this.bucket = parts.bucket;
    this.view = parts.view;
    const onPoll = (entries: readonly Entry[]): void => {
      const isBorn = entries.some((entry) => entry.key === BORN && identityIn(entry) === born);
      if (!isBorn && !this.#isLooking) void this.#look();
    };
    this.watcher = new Watcher({ ...parts, nudges: parts.ports.nudges, onPoll });
    this.lease = lease;
    this.incarnation = incarnation;
  }

  /**
   * Begins a life: finds out where the record of this node stands, and takes it.
   * @throws what `free` throws, and the signal's reason
   */
  static async begin<Fields extends object>(
    ports: ClusterPorts,
    key: string,
    fields: (incarnation: string) => Fields,
    free: (stage: Stage, key: string, signal: AbortSignal) => Promise<number>,
    signal: AbortSignal,
  ): Promise<Presence<Fields>> {
    for (;;) {
      signal.throwIfAborted();
      const timeline = new Timeline(ports.clock);
      const bucket = await ports.openBucket(signal);
      const view = new View(timeline);
      const stage = { ports, timeline, bucket, view };
      const born = await bornIn(stage, signal);
      // Made anew meanwhile, it was read, or written, where nobody looks.
      if ((await ports.openBucket(signal)).created !== bucket.created) continue;
      const revision = await free(stage, key, signal);
      const incarnation = crypto.randomUUID();
      const lease = new Lease<Fields>(partsOf(stage), key, incarnation, fields(incarnation), revision);
      if (await lease.take(signal)) return new Presence(stage, lease, incarnation, born);
    }
  }

  /** Another lease of this life, as that of a leader. */
  newLease<Other extends object>(key: string, fields: Other, revision: number): Lease<Other> {
    return new Lease<Other>(partsOf(this), key, this.incarnation, fields, revision);
  }

  /** Renews and watches until the signal aborts; false if the lease was lost before. */
  async run(signal: AbortSignal): Promise<boolean> {
    const over = new AbortController();
    const abort = (): void => over.abort();
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort);
    this.#stranger.signal.addEventListener("abort", abort);
    try {
      const watching = this.watcher.run(over.signal);
      const kept = await this.lease.keep(over.signal);
      abort();
      await watching;
      return kept && !this.#stranger.signal.aborted;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /**
   * A poll without that record comes from a replica that lags, or from a bucket that was made anew: late copies of this
   * node's first writes are taken there too, and would keep this life among records that nobody else reads.
   */
  async #look(): Promise<void> {
    const { ports, bucket } = this;
    this.#isLooking = true;
    try {
      const { created } = await ports.openBucket(this.#stranger.signal);
      if (created !== bucket.created) this.#stranger.abort();
    } catch (error) { // not to be had: the next poll looks again
      ports.observer?.event?.("bucketUnavailable", { error: String(error) });
    } finally {
      this.#isLooking = false;
    }
  }
}

/** What tells this life of the bucket from others. */
async function bornIn({ bucket, ports: { clock, times } }: Stage, signal: AbortSignal): Promise<string> {
  for (;;) {
    const entry = await bucket.read(BORN);
    const identity = entry === undefined || entry === "none" ? undefined : identityIn(entry);
    if (identity !== undefined) return identity;
    if (entry === "none") await bucket.write(BORN, { v: 1, id: crypto.randomUUID() }, 0);
    else await clock.sleep(times.retry, signal);
    signal.throwIfAborted();
  }
}

/** With the time at which it was stored: a copy of its write may be stored in the next life, but not at the same time. */
function identityIn({ value, storedAt }: Entry): string | undefined {
  const id = typeof value === "object" && value !== null && "id" in value ? value.id : undefined;
  return typeof id === "string" && storedAt !== undefined ? `${id} ${storedAt}` : undefined;
}

/** What there is before the lease. */
export interface Stage {
  readonly ports: ClusterPorts;
  readonly timeline: Timeline;
  readonly bucket: Bucket;
  readonly view: View;
}

function partsOf({ ports: { nudges, times, closed }, timeline, bucket, view }: Stage): LeaseParts {
  return { timeline, bucket, nudges, times, closed, see: (entry) => view.see(entry) };
}
