import type { NatsConnection } from "@nats-io/nats-core";
import { ClosedError, InvalidArgumentError } from "../errors.ts";
import type { Decider } from "../decider/decider.ts";
import type { ActorTypeOf, Event, OwnId } from "../event.ts";
import { checkOptionNames, namesOf } from "../options.ts";
import type { StandardSchema } from "../schema/standard_schema.ts";
import { shown } from "../shown.ts";
import type { Abortable, AppendResult, EventStore } from "../store/event_store.ts";
import { JetStreamApi } from "../store/jetstream_api.ts";
import { Operation } from "../store/operation.ts";
import type { Observer } from "../store/observer.ts";
import { whole } from "../store/range.ts";
import { openStream } from "../store/stream_config.ts";
import { Subjects } from "../store/subjects.ts";
import type { Leadership } from "./candidate.ts";
import { changesOf } from "./changes.ts";
import { ClusterChanges, type ClusterEvent } from "./cluster_changes.ts";
import { CommandServer } from "./command_server.ts";
import { NatsCommands } from "./nats_commands.ts";
import { NatsFences } from "./nats_fences.ts";
import { CLUSTER_NATS_NAMES, type ClusterNatsOptions, natsPorts } from "./nats_ports.ts";
import { ClusterNode } from "./node.ts";
import { checkFacts, checkNodeId, checkShares, checkSwitch, SHARE_NAMES, type ShareOptions } from "./node_options.ts";
import { OwnedShards } from "./owned_shards.ts";
import type { OwnedShard } from "./ownership.ts";
import { type Owner, Router, type SendOptions } from "./router.ts";
import { type HandleOptions, type Home, serveDecider, serveHandler, type ServeOptions } from "./serve.ts";
import type { CommandHandler } from "./served_handler.ts";
import { type ClusterStatus, ownerIn, statusOf } from "./status.ts";

/** Options of `Cluster.join`. */
export interface ClusterOptions extends ClusterNatsOptions, ShareOptions {
  /** Unique among the nodes that are alive; kept over restarts or made up, as you like. */
  readonly nodeId?: string | undefined;
  /** What the others may know of this node: its address, its version, … */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Whether it may lead. A node that comes and goes often, and only sends, need not. @default true */
  readonly candidate?: boolean | undefined;
}

const NAMES = namesOf<ClusterOptions>({
  ...CLUSTER_NATS_NAMES,
  ...SHARE_NAMES,
  nodeId: true,
  metadata: true,
  candidate: true,
});

const CHANGES = namesOf<Abortable>({ signal: true });
const LEAVE = namesOf<{ readonly timeout?: number | undefined }>({ timeout: true });

/** What a cluster is made of. */
interface ClusterParts {
  readonly node: ClusterNode;
  readonly home: Home;
  readonly commands: NatsCommands;
  readonly observer: Observer | undefined;
  readonly isCandidate: boolean;
  close(): Promise<void>;
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
  readonly #home: Home;
  readonly #router: Router;
  readonly #server: CommandServer;
  readonly #changes: ClusterChanges;
  readonly #close: () => Promise<void>;
  readonly #isCandidate: boolean;
  readonly #ended = new AbortController();
  #left: Promise<void> | undefined;
  /** Aborts once it has left. */
  readonly #gone = new AbortController();

  private constructor({ node, home, commands, observer, isCandidate, close }: ClusterParts) {
    const { discovery, distribution } = node;
    const { clock, namespace, shards } = home;
    this.namespace = namespace;
    this.nodeId = discovery.nodeId;
    this.ownedShards = new OwnedShards(() => distribution.owned);
    this.#node = node;
    this.#home = home;
    this.#server = new CommandServer({ clock, commands, distribution, discovery, shards, observer });
    const ownerOf = (shard: number): Owner | undefined => ownerIn(node, shard);
    this.#router = new Router({ clock, commands, shards, local: this.#server, ownerOf });
    this.#changes = new ClusterChanges(node);
    this.#isCandidate = isCandidate;
    this.#close = close;
  }

  /**
   * Joins the cluster of a namespace, the first node as well as any other. The connection is the caller's: it is used, and
   * never closed; where it is closed, the node has left. The stream of events is made if there is none: open the store
   * before if it is to have other settings than by default.
   *
   * @throws {NodeIdInUseError} if another node that has this id is alive
   * @throws {ClusterConfigError} if the others have another number of shards, or another protocol
   * @throws {StreamConfigError} {@linkcode InvalidNamespaceError} {@linkcode InvalidArgumentError} {@linkcode ClosedError}
   * @throws {UnsupportedServerError} before 2.12
   * @throws {UnavailableError} without JetStream or a server that answers in time
   */
  static async join(nc: NatsConnection, options: ClusterOptions): Promise<Cluster> {
    checkOptionNames("Cluster.join", options, NAMES);
    const nodeId = checkNodeId(options.nodeId);
    const metadata = checkFacts(options.metadata);
    const shares = checkShares(options);
    const candidate = checkSwitch("candidate", options.candidate, true);
    const { replicas } = options;
    const { ports, namespace, timeout, prefix, ...opened } = natsPorts(nc, options);
    const api = new JetStreamApi(nc, new Subjects(namespace, 1).stream, prefix);
    const { clock, observer } = ports;
    const commands = new NatsCommands(nc, namespace, observer);
    const close = async (): Promise<void> => {
      commands.close();
      api.close();
      await opened[Symbol.asyncDispose]();
    };
    try {
      const { node, shards } = await opened.inTime(async (signal) => {
        const operation = new Operation(timeout, signal);
        const shards = await openStream(api, namespace, { shards: undefined, replicas, create: true }, operation);
        const fences = new NatsFences(api, new Subjects(namespace, shards), nodeId);
        const settings = { nodeId, metadata, shards, ...shares, candidate };
        const node = new ClusterNode({ ...ports, fences }, settings);
        await node.join(signal);
        return { node, shards };
      });
      const home = { clock, namespace, shards };
      const cluster = new Cluster({ node, home, commands, observer, isCandidate: candidate, close });
      // Without its connection it can do nothing more, not even say good-bye.
      void nc.closed().then(() => cluster.leave({ timeout: 1 }));
      return cluster;
    } catch (error) {
      await close();
      throw error;
    }
  }

  /**
   * The actors of a decider live here, those of the shards that this node owns: in memory while they are at work, one
   * command of an actor at a time. Commands reach them wherever they are sent. All nodes of a namespace are meant to serve
   * the same; `status()` shows where they do not. Disposing it lets what is under way return.
   *
   * @throws {InvalidArgumentError} if the store is of another namespace, or the actor type is not known or served already
   */
  serve<Stored extends Event, State, Command, E extends Stored>(
    store: EventStore<Stored>,
    decider: Decider<State, Command, E>,
    options: ServeOptions<Command, ActorTypeOf<NoInfer<E>["actorId"]>> = {},
  ): AsyncDisposable {
    this.#ended.signal.throwIfAborted();
    const { actorTypes, host } = serveDecider(this.#home, store, decider, options);
    return this.#server.add(actorTypes, host);
  }

  /**
   * The same without a decider: one command of an actor at a time. What `handler` throws is a refusal; what it gives, as
   * JSON has it, is the answer. Repeated under the same command id, a command is answered as before while this node owns
   * the shard. Over a hand-off, and where it ended with UNKNOWN_OUTCOME, it runs again: what it does has to be idempotent
   * by the command's id. A schema of its commands gives the handler their type.
   *
   * @throws {InvalidArgumentError} if it is no actor type, or served already
   */
  handle<Command>(
    actorType: string,
    handler: CommandHandler<Command>,
    options: HandleOptions<Command> & { readonly commands: StandardSchema<unknown, Command> },
  ): AsyncDisposable;
  /** The same where the handler makes of a command what it can. */
  handle(actorType: string, handler: CommandHandler, options?: HandleOptions): AsyncDisposable;
  handle<Command>(
    actorType: string,
    handler: CommandHandler<Command>,
    options?: HandleOptions<Command>,
  ): AsyncDisposable {
    this.#ended.signal.throwIfAborted();
    const { actorTypes, host } = serveHandler(this.#home, actorType, handler, options);
    return this.#server.add(actorTypes, host);
  }

  /** To what is handled without a decider; gives what the handler gave, as JSON has it. */
  send(actorId: string, command: unknown, options?: SendOptions): Promise<unknown>;
  /**
   * To the owner of the actor's shard, wherever it is; the decider only lends its types. Tried again while the shard moves,
   * under one command id: what a command appends is stored once. The order of several is that in which they are awaited.
   *
   * @throws {CommandRejectedError} if the decider, or the handler, refused it, wherever the actor lives
   * @throws {OverloadedError} {@linkcode NoHandlerError} {@linkcode NoOwnerError} if it certainly did not run
   * @throws {UnknownOutcomeError} if it may have run: repeat it with the same `commandId`
   * @throws {InvalidArgumentError} {@linkcode InvalidActorIdError}
   */
  send<State, Command, E extends Event, const Id extends string>(
    decider: Decider<State, Command, E>,
    actorId: Id & OwnId<NoInfer<E>, Id>,
    command: NoInfer<Command>,
    options?: SendOptions,
  ): Promise<AppendResult<E>>;
  async send(first: unknown, ...rest: readonly unknown[]): Promise<unknown> {
    this.#ended.signal.throwIfAborted();
    const [actorId, command, options] = typeof first === "string" ? [first, ...rest] : rest;
    return await this.#router.send(actorId as string, command, options as SendOptions | undefined);
  }

  /**
   * Runs `work` for each shard while it is owned; it is given up only after `work` has returned, or has not for as long as
   * `drain` says. What it rejects with is reported to the observer, and it starts again after a second.
   */
  onShard(work: (owned: OwnedShard) => Promise<void> | void): AsyncDisposable {
    this.#check(work);
    return this.#node.distribution.add(work);
  }

  /**
   * Runs `work` while this node leads. What it rejects with is reported to the observer, and it starts again.
   * @throws {InvalidArgumentError} on a node that is no candidate
   */
  onLeader(work: (term: Leadership) => Promise<void> | void): AsyncDisposable {
    this.#check(work);
    if (!this.#isCandidate) {
      throw new InvalidArgumentError(
        { argument: "candidate" },
        "A node that was joined with candidate: false never leads",
      );
    }
    return this.#node.election.add(work);
  }

  /** The cluster as this node sees it; `statusTable` shows it in a terminal. */
  status(): ClusterStatus {
    return statusOf(this.#node, this.#server.load());
  }

  /** From the first `next` on, until it is left or this node has left. Aborting rejects with the signal's reason. */
  changes(options: Abortable = {}): AsyncIterable<ClusterEvent> {
    checkOptionNames("changes", options, CHANGES);
    return changesOf((listener) => this.#changes.listen(listener), this.#gone.signal, options.signal);
  }

  /**
   * Drains, hands its shards over, says good-bye; returns after so many milliseconds (30,000 by default) at the latest.
   */
  async leave(options: { readonly timeout?: number | undefined } = {}): Promise<void> {
    checkOptionNames("leave", options, LEAVE);
    const timeout = whole("timeout", options.timeout, 30_000);
    await (this.#left ??= this.#leave(timeout));
  }

  async #leave(timeout: number): Promise<void> {
    this.#ended.abort(new ClosedError({ what: `The cluster's node ${this.nodeId}` }));
    // Commands of shards that nobody takes end while they are this node's still.
    await this.#node.leave(timeout, () => this.#server[Symbol.asyncDispose]());
    this.#gone.abort();
    this.#changes[Symbol.dispose]();
    await this.#close();
  }

  /** As `leave`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.leave();
  }

  #check(work: unknown): void {
    this.#ended.signal.throwIfAborted();
    if (typeof work === "function") return;
    throw new InvalidArgumentError({ argument: "work" }, `work is a function, not ${shown(work)}`);
  }
}
