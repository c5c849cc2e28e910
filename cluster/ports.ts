import type { Observer } from "../store/observer.ts";
import type { Bucket, Nudges } from "./bucket.ts";
import type { Clock } from "./clock.ts";
import type { LeaseTimes } from "./lease.ts";

/** What the parts of a cluster see of the world: the real one, or one that is simulated. */
export interface ClusterPorts {
  readonly clock: Clock;
  readonly nudges: Nudges;
  readonly times: LeaseTimes;
  readonly observer: Observer | undefined;
  /** The bucket of the namespace as it is now, made if there is none; tries until the signal aborts, then rejects. */
  openBucket(signal: AbortSignal): Promise<Bucket>;
}
