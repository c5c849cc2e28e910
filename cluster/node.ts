import type { Bucket } from "./bucket.ts";
import { agree } from "./config.ts";
import { aborted } from "./crew.ts";
import { Discovery } from "./discovery.ts";
import { Distribution } from "./distribution.ts";
import { Election } from "./election.ts";
import type { Fences } from "./fences.ts";
import type { ClusterPorts } from "./ports.ts";
import { within } from "./within.ts";

/** The election whose leader hands out the shards. */
export const CLUSTER_ELECTION = "cluster";

/** How a node is set. */
export interface NodeOptions {
  readonly nodeId: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly weight: number;
  readonly shards: number;
  /** Whether appends of a shard's owner also check its fence. */
  readonly checked: boolean;
  /** Milliseconds that the work of a shard may take to return. */
  readonly drain: number;
  /** Whether it may lead. */
  readonly candidate: boolean;
}

/** Discovery, election and distribution of one node, put together. Pure but for its ports. */
export class ClusterNode {
  readonly discovery: Discovery;
  readonly election: Election;
  readonly distribution: Distribution;
  readonly #ports: ClusterPorts;
  readonly #drain: number;

  constructor(ports: ClusterPorts & { readonly fences: Fences }, options: NodeOptions) {
    const { nodeId, metadata, shards, drain } = options;
    const open = async (signal: AbortSignal): Promise<Bucket> => {
      const bucket = await ports.openBucket(signal);
      await agree(bucket, shards, ports, signal);
      return bucket;
    };
    const agreed: ClusterPorts = { ...ports, openBucket: open };
    this.#ports = agreed;
    this.#drain = drain;
    this.discovery = new Discovery(agreed, { nodeId, metadata });
    this.election = new Election(agreed, this.discovery, { name: CLUSTER_ELECTION, nodeId });
    const parts = { ports: agreed, fences: ports.fences, discovery: this.discovery, election: this.election };
    this.distribution = new Distribution(parts, options);
  }

  /**
   * Resolves once this node is a member.
   * @throws {NodeIdInUseError} {@linkcode ClusterConfigError} and the signal's reason
   */
  async join(signal: AbortSignal): Promise<void> {
    await this.discovery.join(signal);
  }

  /**
   * Hands the shards over, says good-bye; after so many milliseconds without waiting for anybody. `finish` ends what is
   * done for shards that nobody took: while they are this node's still.
   */
  async leave(milliseconds: number, finish?: () => Promise<void>): Promise<void> {
    const [late, done] = [new AbortController(), new AbortController()];
    void this.#ports.clock.sleep(milliseconds, done.signal).then(() => late.abort());
    await this.distribution.release(late.signal);
    if (finish !== undefined) await within(this.#ports.clock, finish(), this.#drain, late.signal);
    await Promise.race([this.election.resign(), aborted(late.signal)]);
    await Promise.race([this.discovery.leave(), aborted(late.signal)]);
    done.abort();
  }
}
