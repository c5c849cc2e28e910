import type { NatsConnection } from "@nats-io/nats-core";
import { checkOptionNames, namesOf } from "../options.ts";
import { JetStreamApi } from "../store/jetstream_api.ts";
import { Operation } from "../store/operation.ts";
import { openStream } from "../store/stream_config.ts";
import { Subjects } from "../store/subjects.ts";
import { agree } from "./config.ts";
import { Distribution } from "./distribution.ts";
import { electionCore, type LeaderElection } from "./leader_election.ts";
import { NatsFences } from "./nats_fences.ts";
import { CLUSTER_NATS_NAMES, type ClusterNatsOptions, natsPorts, NEVER } from "./nats_ports.ts";
import { discoveryCore, type NodeDiscovery } from "./node_discovery.ts";
import { checkShares, SHARE_NAMES, type ShareOptions } from "./node_options.ts";
import type { OwnedShard } from "./ownership.ts";

/** Options of `ShardDistribution.join`. */
export interface DistributionJoinOptions extends ClusterNatsOptions, ShareOptions {
  /** Who the members are, this node among them. */
  readonly discovery: NodeDiscovery;
  /** Whose leader gives the shards out: the same one on all nodes. */
  readonly election: LeaderElection;
}

const NAMES = namesOf<DistributionJoinOptions>({
  ...CLUSTER_NATS_NAMES,
  ...SHARE_NAMES,
  discovery: true,
  election: true,
});

/**
 * Hands the shards of a namespace to its members, as few as possible at a time; what `Cluster` builds on, usable with
 * one's own leader and members.
 */
export class ShardDistribution implements AsyncDisposable {
  readonly #distribution: Distribution;
  readonly #api: JetStreamApi;

  private constructor(distribution: Distribution, api: JetStreamApi) {
    this.#distribution = distribution;
    this.#api = api;
  }

  /**
   * Takes part: from now on this node is given shards, and gives them up when it is asked to.
   * @throws {ClusterConfigError} if the other nodes have another number of shards
   * @throws {StreamConfigError} {@linkcode UnavailableError} {@linkcode InvalidArgumentError}
   */
  static async join(nc: NatsConnection, options: DistributionJoinOptions): Promise<ShardDistribution> {
    checkOptionNames("ShardDistribution.join", options, NAMES);
    const { discovery: { nodeId }, replicas, signal = NEVER } = options;
    const settings = { ...checkShares(options), candidate: true };
    const { discovery, ports } = discoveryCore(options.discovery);
    const { namespace, timeout, prefix } = natsPorts(nc, options);
    const api = new JetStreamApi(nc, new Subjects(namespace, 1).stream, prefix);
    try {
      const operation = new Operation(timeout, signal);
      const shards = await openStream(api, namespace, { shards: undefined, replicas, create: true }, operation);
      const fences = new NatsFences(api, new Subjects(namespace, shards), nodeId);
      const election = electionCore(options.election);
      const bucket = await ports.openBucket(signal);
      await agree(bucket, shards, ports, signal);
      const parts = { ports, fences, discovery, election };
      return new ShardDistribution(new Distribution(parts, { ...settings, shards }), api);
    } catch (error) {
      api.close();
      throw error;
    }
  }

  /** Live: a shard is in it exactly while this node may act on it. */
  get ownedShards(): ReadonlySet<number> {
    return new Set(this.#distribution.owned);
  }

  /**
   * Runs `work` for each shard while it is owned; it is given up only after `work` has returned, or has not for ten
   * seconds (`drain`). What it rejects with is reported to the observer, and it starts again after a second.
   */
  onShard(work: (owned: OwnedShard) => Promise<void> | void): AsyncDisposable {
    return this.#distribution.add(work);
  }

  /** Takes no more part; what this node holds goes to others once its discovery has left. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#distribution[Symbol.asyncDispose]();
    this.#api.close();
  }
}
