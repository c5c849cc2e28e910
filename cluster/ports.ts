import type { Attributes, Observer } from "../store/observer.ts";
import type { Bucket, Nudges } from "./bucket.ts";
import type { Clock } from "./clock.ts";
import type { LeaseTimes } from "./lease.ts";

/** What the parts of a cluster see of the world: the real one, or one that is simulated. */
export interface ClusterPorts {
  readonly clock: Clock;
  readonly nudges: Nudges;
  readonly times: LeaseTimes;
  readonly observer: Observer | undefined;
  /** Aborts when nothing can be sent any more, for good. */
  readonly closed: AbortSignal;
  /** Work of a user failed, and starts again: nobody may miss it. */
  workFailed(name: "shardWorkFailed" | "leaderWorkFailed", attributes: Attributes, error: unknown): void;
  /** The bucket of the namespace as it is now, made if there is none; tries until the signal aborts, then rejects. */
  openBucket(signal: AbortSignal): Promise<Bucket>;
}
