import type { NatsConnection } from "@nats-io/nats-core";
import type { Abortable } from "../store/event_store.ts";
import { JetStreamApi } from "../store/jetstream_api.ts";
import { Operation } from "../store/operation.ts";
import { whole } from "../store/range.ts";
import { openStream } from "../store/stream_config.ts";
import { Subjects } from "../store/subjects.ts";
import type { Leadership } from "./candidate.ts";
import { changesOf } from "./changes.ts";
import { ClusterChanges, type ClusterEvent } from "./cluster_changes.ts";
import { NatsFences } from "./nats_fences.ts";
import { checkFacts, checkNodeId, type ClusterNatsOptions, natsPorts, NEVER } from "./nats_ports.ts";
import { ClusterNode } from "./node.ts";
import { OwnedShards } from "./owned_shards.ts";
import type { OwnedShard } from "./ownership.ts";
import { DRAIN } from "./shard_distribution.ts";
import { type ClusterStatus, statusOf } from "./status.ts";

/** Options of `Cluster.join`. */
export interface ClusterOptions extends ClusterNatsOptions {
  /** Unique among the nodes that are alive; kept over restarts or made up, as you like. */
  readonly nodeId?: string | undefined;
  /** What the others may know of this node: its address, its version, … */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Its share of the shards beside those of the others. @default 1 */
  readonly weight?: number | undefined;
  /** Every append of a shard's owner also checks its fence. @default false */
  readonly fenced?: boolean | undefined;
  /** Milliseconds that the work of a shard may take to return before it is given up all the same. @default 10000 */
  readonly drain?: number | undefined;
}

/** A node among others: it is given shards of the namespace, and gives them up when it is asked to, or is taken for dead. */
export class Cluster implements AsyncDisposable {
  /** The wall: nothing crosses it. */
  readonly namespace: string;
  /** This node. */
  readonly nodeId: string;
  /** Live: a shard is in it exactly while this node may act on it (fence acknowledged, lease valid, not revoking). */
  readonly ownedShards: ReadonlySet<number>;
  readonly #node: ClusterNode;
  readonly #changes: ClusterChanges;
  readonly #close: () => Promise<void>;
  readonly #ended = new AbortController();

  private constructor(namespace: string, node: ClusterNode, close: () => Promise<void>) {
    this.namespace = namespace;
    this.nodeId = node.discovery.nodeId;
    this.ownedShards = new OwnedShards(() => node.distribution.owned);
    this.#node = node;
    this.#changes = new ClusterChanges(node);
    this.#close = close;
  }

  /**
   * Joins the cluster of a namespace, the first node as well as any other. The connection is the caller's: it is used, and
   * never closed.
   *
   * @throws {NodeIdInUseError} if another node that has this id is alive
   * @throws {ClusterConfigError} if the others are set otherwise
   * @throws {StreamConfigError} {@linkcode InvalidNamespaceError} {@linkcode InvalidArgumentError}
   * @throws {UnsupportedServerError} before 2.12
   * @throws {UnavailableError} without JetStream or a server that answers in time
   */
  static async join(nc: NatsConnection, options: ClusterOptions): Promise<Cluster> {
    const nodeId = checkNodeId(options.nodeId);
    const metadata = checkFacts(options.metadata);
    const drain = whole("drain", options.drain, DRAIN);
    const { fenced = false, weight = 1, replicas, signal = NEVER } = options;
    const { ports, namespace, timeout, prefix, ...opened } = natsPorts(nc, options);
    const api = new JetStreamApi(nc, new Subjects(namespace, 1).stream, prefix);
    const close = async (): Promise<void> => {
      api.close();
      await opened[Symbol.asyncDispose]();
    };
    try {
      const operation = new Operation(timeout, options.signal);
      const shards = await openStream(api, namespace, { shards: undefined, replicas, create: true }, operation);
      const fences = new NatsFences(api, new Subjects(namespace, shards), nodeId);
      const settings = { nodeId, metadata, weight, shards, checked: fenced, drain };
      const node = new ClusterNode({ ...ports, fences }, settings);
      await node.join(signal);
      return new Cluster(namespace, node, close);
    } catch (error) {
      await close();
      throw error;
    }
  }

  /**
   * Runs `work` for each shard while it is owned; it is given up only after `work` has returned, or has not for as long as
   * `drain` says. What it rejects with is reported to the observer, and it starts again after a second.
   */
  onShard(work: (owned: OwnedShard) => Promise<void>): AsyncDisposable {
    return this.#node.distribution.add(work);
  }

  /** Runs `work` while this node leads. What it rejects with is reported to the observer, and it starts again. */
  onLeader(work: (term: Leadership) => Promise<void>): AsyncDisposable {
    return this.#node.election.add(work);
  }

  /** The cluster as this node sees it; `statusTable` shows it in a terminal. */
  status(): ClusterStatus {
    return statusOf(this.#node);
  }

  /** From now on, until it is left or this node leaves. Aborting rejects with the signal's reason. */
  changes(options: Abortable = {}): AsyncIterable<ClusterEvent> {
    return changesOf((listener) => this.#changes.listen(listener), this.#ended.signal, options.signal);
  }

  /**
   * Drains, hands its shards over, says good-bye; after so many milliseconds (30,000 by default) without waiting for
   * anybody to take them.
   */
  async leave(options: { readonly timeout?: number | undefined } = {}): Promise<void> {
    if (this.#ended.signal.aborted) return;
    const timeout = whole("timeout", options.timeout, 30_000);
    await this.#node.leave(timeout);
    this.#ended.abort();
    this.#changes[Symbol.dispose]();
    await this.#close();
  }

  /** As `leave`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.leave();
  }
}
