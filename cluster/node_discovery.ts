import type { NatsConnection } from "@nats-io/nats-core";
import { checkOptionNames, namesOf } from "../options.ts";
import type { Abortable } from "../store/event_store.ts";
import { changesOf } from "./changes.ts";
import { aborted } from "./crew.ts";
import { Discovery, type Member, type MemberChange } from "./discovery.ts";
import { CLUSTER_NATS_NAMES, type ClusterNatsOptions, type NatsPorts, natsPorts } from "./nats_ports.ts";
import { checkFacts, checkNodeId } from "./node_options.ts";

/** Options of `NodeDiscovery.join`. */
export interface DiscoveryOptions extends ClusterNatsOptions {
  /** Unique among the nodes that are alive; kept over restarts or made up, as you like. */
  readonly nodeId?: string | undefined;
  /** What the others may know of this node: its address, its version, … */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

const NAMES = namesOf<DiscoveryOptions>({ ...CLUSTER_NATS_NAMES, nodeId: true, metadata: true });

/** What a discovery is made of, for the parts that build on it. */
export interface DiscoveryCore extends NatsPorts {
  readonly discovery: Discovery;
}

const cores = new WeakMap<NodeDiscovery, DiscoveryCore>();

/** Knows who is there: a lease for each node, which it renews every second, in a NATS KV bucket. */
export class NodeDiscovery implements AsyncDisposable {
  /** This node. */
  readonly nodeId: string;
  readonly #core: DiscoveryCore;
  readonly #ended = new AbortController();
  #left: Promise<void> | undefined;

  private constructor(core: DiscoveryCore) {
    this.nodeId = core.discovery.nodeId;
    this.#core = core;
    cores.set(this, core);
    void aborted(core.ports.closed).then(() => this.leave());
  }

  /**
   * Joins the nodes of a namespace. A node that crashed may come back under its id once its lease has been silent for
   * 4.7 seconds, and joining waits for that; one that left, at once. Where the connection is closed, it has left.
   *
   * @example
   * ```ts
   * import { NodeDiscovery } from "@aether/aether";
   * import { connect } from "@nats-io/transport-node";
   *
   * await using nc = await connect({ servers: "localhost:4222" });
   * await using discovery = await NodeDiscovery.join(nc, { namespace: "shop", metadata: { zone: "a" } });
   * for (const { nodeId, state, metadata } of discovery.members) console.log(nodeId, state, metadata.zone);
   * ```
   *
   * @throws {NodeIdInUseError} if another node that has this id is alive
   * @throws {InvalidNamespaceError} {@linkcode InvalidArgumentError} {@linkcode ClosedError}
   * @throws {UnsupportedServerError} before 2.12
   * @throws {UnavailableError} without JetStream or a server that answers in time
   */
  static async join(nc: NatsConnection, options: DiscoveryOptions): Promise<NodeDiscovery> {
    checkOptionNames("NodeDiscovery.join", options, NAMES);
    const nodeId = checkNodeId(options.nodeId);
    const metadata = checkFacts(options.metadata);
    const ports = natsPorts(nc, options);
    const discovery = new Discovery(ports.ports, { nodeId, metadata });
    try {
      await ports.inTime((signal) => discovery.join(signal));
    } catch (error) {
      await ports[Symbol.asyncDispose]();
      throw error;
    }
    return new NodeDiscovery({ ...ports, discovery });
  }

  /** All that are there, this node among them, as far as it knows. */
  get members(): readonly Member[] {
    return this.#core.discovery.members;
  }

  /** From the first `next` on, until it is left or this node has left. Aborting rejects with the signal's reason. */
  changes(options: Abortable = {}): AsyncIterable<MemberChange> {
    return changesOf((listener) => this.#core.discovery.onChange(listener), this.#ended.signal, options.signal);
  }

  /** Says good-bye: the others know at once. */
  async leave(): Promise<void> {
    await (this.#left ??= this.#leave());
  }

  /** As `leave`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.leave();
  }

  async #leave(): Promise<void> {
    await this.#core.discovery.leave();
    this.#ended.abort();
    await this.#core[Symbol.asyncDispose]();
  }
}

/** What builds on a discovery needs more than it shows. */
export function discoveryCore(discovery: NodeDiscovery): DiscoveryCore | undefined {
  return cores.get(discovery);
}
