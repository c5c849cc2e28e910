import type { NatsConnection } from "@nats-io/nats-core";
import { InvalidArgumentError } from "../errors.ts";
import { checkOptionNames, namesOf } from "../options.ts";
import { shown } from "../shown.ts";
import { JetStreamApi } from "../store/jetstream_api.ts";
import { Operation } from "../store/operation.ts";
import { openStream } from "../store/stream_config.ts";
import { Subjects } from "../store/subjects.ts";
import { agree } from "./config.ts";
import { Distribution } from "./distribution.ts";
import { electionCore, type LeaderElection } from "./leader_election.ts";
import { NatsFences } from "./nats_fences.ts";
import { CLUSTER_NATS_NAMES, type ClusterNatsOptions, natsPorts } from "./nats_ports.ts";
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
  readonly #close: () => Promise<void>;

  private constructor(distribution: Distribution, close: () => Promise<void>) {
    this.#distribution = distribution;
    this.#close = close;
  }

  /**
   * Takes part: from now on this node is given shards, and gives them up when it is asked to.
   * @throws {ClusterConfigError} if the other nodes have another number of shards
   * @throws {InvalidArgumentError} if the discovery, or the election, is none of this namespace
   * @throws {StreamConfigError} {@linkcode UnavailableError}
   */
  static async join(nc: NatsConnection, options: DistributionJoinOptions): Promise<ShardDistribution> {
    checkOptionNames("ShardDistribution.join", options, NAMES);
    const settings = { ...checkShares(options), candidate: true };
    const { replicas } = options;
    const { ports, namespace, timeout, prefix, ...opened } = natsPorts(nc, options);
    const { discovery } = coreOf("discovery", discoveryCore, options.discovery, namespace);
    const { election } = coreOf("election", electionCore, options.election, namespace);
    const { nodeId } = discovery;
    if (taken.has(discovery)) {
      const problem = `Node ${nodeId} takes part already: one ShardDistribution for each discovery`;
      throw new InvalidArgumentError({ argument: "discovery" }, problem);
    }
    taken.add(discovery);
    const api = new JetStreamApi(nc, new Subjects(namespace, 1).stream, prefix);
    const close = async (): Promise<void> => {
      api.close();
      await opened[Symbol.asyncDispose]();
    };
    try {
      const shards = await opened.inTime(async (signal) => {
        const operation = new Operation(timeout, signal);
        const shards = await openStream(api, namespace, { shards: undefined, replicas, create: true }, operation);
        await agree(await ports.openBucket(signal), shards, ports, signal);
        return shards;
      });
      const fences = new NatsFences(api, new Subjects(namespace, shards), nodeId);
      const parts = { ports, fences, discovery, election };
      return new ShardDistribution(new Distribution(parts, { ...settings, shards }), close);
    } catch (error) {
      taken.delete(discovery);
      await close();
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

  /** Takes no more part: ends all work, and lets the others have what this node holds. Its discovery serves no other. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#distribution[Symbol.asyncDispose]();
    await this.#close();
  }
}

/** Those whose members share shards already. */
const taken = new WeakSet<object>();

/** @throws {InvalidArgumentError} unless it is one, and of this namespace */
function coreOf<Part, Core extends { readonly namespace: string }>(
  argument: string,
  find: (part: Part) => Core | undefined,
  part: Part,
  namespace: string,
): Core {
  const core = find(part);
  if (core === undefined) {
    throw new InvalidArgumentError({ argument }, `${argument} is what this node has joined with, not ${shown(part)}`);
  }
  if (core.namespace === namespace) return core;
  const problem = `The ${argument} is of the namespace ${core.namespace}, the shards are of ${namespace}`;
  throw new InvalidArgumentError({ argument }, problem);
}
