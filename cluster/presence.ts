import type { Bucket } from "./bucket.ts";
import { Timeline } from "./clock.ts";
import { Lease, type LeaseParts } from "./lease.ts";
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

  private constructor(parts: Stage, lease: Lease<Fields>, incarnation: string) {
    this.ports = parts.ports;
    this.timeline = parts.timeline;
    this.bucket = parts.bucket;
    this.view = parts.view;
    this.watcher = new Watcher({ ...parts, nudges: parts.ports.nudges });
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
      const revision = await free(stage, key, signal);
      const incarnation = crypto.randomUUID();
      const lease = new Lease<Fields>(partsOf(stage), key, incarnation, fields(incarnation), revision);
      if (!await lease.take(signal)) continue;
      // A record that is new is also taken by a bucket that was made anew meanwhile, where nobody reads what is of another.
      const { created } = await ports.openBucket(signal);
      if (created === bucket.created) return new Presence(stage, lease, incarnation);
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
    try {
      const watching = this.watcher.run(over.signal);
      const kept = await this.lease.keep(over.signal);
      abort();
      await watching;
      return kept;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }
}

/** What there is before the lease. */
export interface Stage {
  readonly ports: ClusterPorts;
  readonly timeline: Timeline;
  readonly bucket: Bucket;
  readonly view: View;
}

function partsOf({ ports: { nudges, times }, timeline, bucket, view }: Stage): LeaseParts {
  return { timeline, bucket, nudges, times, see: (entry) => view.see(entry) };
}
