import type { NatsConnection } from "@nats-io/nats-core";
import { checkActorId } from "../actor_id.ts";
import { ClosedError, UnknownOutcomeError } from "../errors.ts";
import type { Event, EventsFor, NewEvent, Select } from "../event.ts";
import { checkOptionNames } from "../options.ts";
import { Appender } from "./append.ts";
import { DirectGet } from "./direct_get.ts";
import { eraseBefore } from "./erase.ts";
import type {
  Abortable,
  AppendOptions,
  AppendResult,
  Commit,
  CommitRequest,
  DeleteOptions,
  EventStore,
  ListedActor,
  ListOptions,
  ReadActorOptions,
  ReadAllOptions,
  ReadOptions,
  SaveOptions,
  TransactOptions,
  VersionOptions,
} from "./event_store.ts";
import { FencedLane } from "./fenced_lane.ts";
import { checkActorType } from "./filter.ts";
import { Heads, type Target } from "./heads.ts";
import { History } from "./history.ts";
import { JetStreamApi } from "./jetstream_api.ts";
import { checkOptions, type JetStreamOptions, OPEN } from "./jetstream_options.ts";
import { Lanes } from "./lanes.ts";
import { Leader } from "./leader.ts";
import { listActors } from "./list.ts";
import { readStream } from "./live.ts";
import type { ReaderParts } from "./reader_parts.ts";
import { type Attributes, harmless, observed, observedItems, type Observer } from "./observer.ts";
import { Operation } from "./operation.ts";
import { LIST, READ, READ_ACTOR, READ_ALL, VERSION } from "./option_names.ts";
import { checkConsistency, checkFromVersion, whole } from "./range.ts";
import { shardOfToken } from "./shard.ts";
import { openStream } from "./stream_config.ts";
import { Subjects } from "./subjects.ts";
import { VersionCache } from "./version_cache.ts";
import { Decoder } from "./wire.ts";
import { appendWrite, deleteWrite, saveWrite, transactWrites, type Write, type Writer } from "./write.ts";

/**
 * Keeps everything in one JetStream stream; nats-server 2.12 or later. The connection is the caller's: it is used, and
 * never closed.
 *
 * @example
 * ```ts
 * import { JetStreamEventStore } from "@aether/aether";
 * import { connect } from "@nats-io/transport-node";
 *
 * const nc = await connect({ servers: "localhost:4222" });
 * await using store = await JetStreamEventStore.open(nc, { namespace: "shop" });
 * const { version } = await store.append("order-123", [{ eventType: "OrderPlaced", data: { total: 42 } }]);
 * console.log(version, await store.getEvents("order-123"));
 * ```
 */
export class JetStreamEventStore<E extends Event = Event> implements EventStore<E> {
  /** The wall: nothing crosses it. */
  readonly namespace: string;
  /** Fixed when the stream was made. */
  readonly shards: number;
  /** The stream's name. */
  readonly stream: string;
  readonly #timeout: number;
  readonly #writer: Writer;
  readonly #subjects: Subjects;
  readonly #parts: ReaderParts;
  readonly #heads: Heads;
  readonly #history: History;
  readonly #appender: Appender;
  readonly #observer: Observer | undefined;
  readonly #closing = new AbortController();

  private constructor(
    api: JetStreamApi,
    namespace: string,
    shards: number,
    timeout: number,
    options: JetStreamOptions,
  ) {
    const subjects = new Subjects(namespace, shards);
    const decoder = new Decoder(subjects);
    const { messageSize = 16_384, cachedActors = 65_536 } = options;
    const observer = harmless(options.observer);
    const direct = new DirectGet(api);
    const heads = new Heads(api, direct, decoder, new VersionCache(cachedActors));
    const parts = { api, direct, subjects, shards, decoder, heads, timeout, observer };
    const history = new History(parts);
    this.namespace = namespace;
    this.shards = shards;
    this.stream = subjects.stream;
    this.#timeout = timeout;
    this.#writer = { shards, now: Date.now };
    this.#subjects = subjects;
    this.#heads = heads;
    this.#history = history;
    this.#parts = parts;
    this.#observer = observer;
    const lanes = { lanes: new Lanes(), fencedLane: new FencedLane(parts) };
    this.#appender = new Appender({ ...parts, ...lanes, history, messageSize });
  }

  /**
   * Opens the stream of a namespace, or makes it. Any number of processes may do so at once; a stream that is there is
   * compared and never changed.
   *
   * @throws {InvalidNamespaceError} {@linkcode InvalidArgumentError}
   * @throws {StreamConfigError} naming each setting that differs and how to change it
   * @throws {UnsupportedServerError} before 2.12
   * @throws {UnavailableError} without JetStream or a server that answers in time
   */
  static async open<E extends Event = Event>(
    nc: NatsConnection,
    options: JetStreamOptions,
  ): Promise<JetStreamEventStore<E>> {
    const { prefix, timeout, namespace } = checkOptions(nc, options, OPEN);
    const api = new JetStreamApi(nc, new Subjects(namespace, 1).stream, prefix);
    const { shards, replicas, create = true, signal } = options;
    const operation = new Operation(timeout, signal);
    let actual: number;
    try {
      actual = await openStream(api, namespace, { shards, replicas, create }, operation);
    } catch (error) {
      api.close();
      throw error;
    }
    return new JetStreamEventStore<E>(api, namespace, actual, timeout, options);
  }

  async position(options: Abortable = {}): Promise<number> {
    const leader = new Leader(this.#parts, this.#untilClosed(options), this.#timeout);
    return await this.#observed("position", {}, () => leader.position());
  }

  async saveEvent(event: E, options: SaveOptions = {}): Promise<AppendResult<E>> {
    const operation = this.#operation(options);
    const write = saveWrite(this.#writer, event, options);
    const [result] = await this.#write("saveEvent", [write], operation);
    return result as AppendResult<E>;
  }

  async append<const Id extends string>(
    actorId: Id,
    events: readonly NewEvent<EventsFor<E, Id>>[],
    options: AppendOptions = {},
  ): Promise<AppendResult<EventsFor<E, Id>>> {
    const operation = this.#operation(options);
    const write = appendWrite(this.#writer, actorId, events as readonly NewEvent[], options);
    const [result] = await this.#write("append", [write], operation);
    return result as never;
  }

  async transact<const Ids extends readonly string[]>(
    commits: { readonly [I in keyof Ids]: CommitRequest<E, Ids[I]> },
    options: TransactOptions = {},
  ): Promise<{ readonly [I in keyof Ids]: AppendResult<EventsFor<E, Ids[I]>> }> {
    const operation = this.#operation(options);
    const requests = commits as readonly CommitRequest<Event, string>[];
    return await this.#write("transact", transactWrites(this.#writer, requests, options), operation) as never;
  }

  async getEvents<const Id extends string>(
    actorId: Id,
    fromVersion = 0,
    options: ReadOptions = {},
  ): Promise<EventsFor<E, Id>[]> {
    checkFromVersion(fromVersion);
    checkOptionNames("getEvents", options, READ);
    this.#check(options);
    const lots = this.#history.lots(this.#target(actorId), { ...options, fromVersion });
    return await this.#observed("getEvents", { actorId }, async () => {
      const events: Event[] = [];
      for await (const lot of lots) {
        for (const commit of lot) {
          if (commit.deleted) return [];
          for (const event of commit.events) events.push(event);
        }
      }
      return events as never;
    }, ({ length: events }) => ({ events }));
  }

  async *readActor<const Id extends string>(
    actorId: Id,
    options: ReadActorOptions = {},
  ): AsyncIterable<Commit<EventsFor<E, Id>>> {
    checkOptionNames("readActor", options, READ_ACTOR);
    for await (const commit of this.#observedItems("readActor", { actorId }, this.#read(actorId, options))) {
      yield commit as never;
      this.#check(options);
    }
  }

  async getLatestVersion(actorId: string, options: VersionOptions = {}): Promise<number> {
    const { consistency = "session", atLeast = 0 } = options;
    this.#check(options);
    if (consistency === "cached") {
      // Before the id is checked and encoded: that costs more than the look-up.
      const known = this.#heads.known(actorId);
      if (known !== undefined && known.sequence >= atLeast) {
        this.#observer?.event?.("cacheHit", { actorId });
        return known.version;
      }
    }
    checkOptionNames("getLatestVersion", options, VERSION);
    checkConsistency(consistency, ["session", "leader", "cached"]);
    whole("atLeast", atLeast, 0);
    const operation = this.#operation(options);
    const last = consistency === "leader" ? "leader" : "session";
    const target = this.#target(actorId);
    const look = async (): Promise<number> => {
      return (await this.#heads.last(target, last, operation, atLeast))?.head.version ?? 0;
    };
    return await this.#observed("getLatestVersion", { actorId }, look, (version) => ({ version }));
  }

  readAll<const Types extends string = string, const ActorTypes extends string = string>(
    options: ReadAllOptions<E, Types, ActorTypes> = {},
  ): AsyncIterable<Commit<Select<E, Types, ActorTypes>>> {
    const untyped = options as ReadAllOptions<Event, string, string>;
    const commits = readStream(this.#parts, untyped, () => {
      checkOptionNames("readAll", options, READ_ALL);
      return this.#untilClosed(options);
    });
    return this.#observedItems("readAll", {}, commits) as AsyncIterable<never>;
  }

  async *listActors(options: ListOptions<E> = {}): AsyncIterable<ListedActor> {
    checkOptionNames("listActors", options, LIST);
    if (options.actorType !== undefined) checkActorType("actorType", options.actorType);
    const actors = listActors(this.#parts, options.actorType, this.#untilClosed(options));
    yield* this.#observedItems("listActors", {}, actors);
  }

  async deleteActor(actorId: string, options: DeleteOptions = {}): Promise<Commit<never>> {
    const operation = this.#operation(options);
    const write = deleteWrite(this.#writer, actorId, options);
    return await this.#observed("deleteActor", { actorId }, async () => {
      const buried = await this.#appender.bury(write, operation);
      if (buried === undefined) return { actorId, version: 0, position: 0, events: [] };
      const { version, sequence: position } = buried;
      try {
        await this.#erase(this.#target(actorId), position, options);
      } catch (cause) {
        // Deleted it is; what is left of the history nobody reads, and the next call erases it.
        throw new UnknownOutcomeError({ actorIds: [actorId], eventIds: [] }, { cause });
      }
      return { actorId, version, position, events: [], deleted: true };
    });
  }

  /** Ends what this store has begun: live reads reject with CLOSED. The connection stays open. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new ClosedError({ what: `The store of ${this.namespace}` }));
    this.#parts.api.close();
    return Promise.resolve();
  }

  /** Options that are none are refused later. */
  #check(options: Abortable | null): void {
    this.#closing.signal.throwIfAborted();
    options?.signal?.throwIfAborted();
  }

  #operation(options: Abortable | null): Operation {
    this.#check(options);
    return new Operation(this.#timeout, options?.signal);
  }

  #untilClosed(options: Abortable): AbortSignal {
    this.#check(options);
    const { signal: closing } = this.#closing;
    return options.signal ? AbortSignal.any([options.signal, closing]) : closing;
  }

  #target(actorId: string): Target {
    const token = checkActorId(actorId);
    return { actorId, subject: this.#subjects.ofActor(token, shardOfToken(token, this.shards)) };
  }

  async #erase({ subject }: Target, position: number, { signal }: Abortable): Promise<void> {
    const history = this.#history;
    const tombstone = await history.endingAt(subject, position, new Operation(this.#timeout, signal));
    await eraseBefore({ ...this.#parts, history }, subject, tombstone?.begins ?? position, signal);
  }

  #read(actorId: string, options: ReadActorOptions): AsyncIterable<Commit> {
    this.#check(options);
    return this.#history.read(this.#target(actorId), options);
  }

  async #write(method: string, writes: readonly Write[], operation: Operation): Promise<AppendResult[]> {
    if (this.#observer === undefined) return await this.#appender.write(writes, operation);
    const [first, second] = writes;
    const attributes = {
      ...(first && second === undefined ? { actorId: first.actorId } : { actors: writes.length }),
      events: writes.reduce((sum, { drafts }) => sum + drafts.length, 0),
    };
    return await this.#observed(method, attributes, () => this.#appender.write(writes, operation));
  }

  async #observed<T>(
    method: string,
    attributes: Attributes,
    work: () => Promise<T>,
    result: (value: T) => Attributes = () => ({}),
  ): Promise<T> {
    if (this.#observer === undefined) return await work();
    return await observed(this.#observer, method, { namespace: this.namespace, ...attributes }, work, result);
  }

  #observedItems<T>(method: string, attributes: Attributes, items: AsyncIterable<T>): AsyncIterable<T> {
    if (this.#observer === undefined) return items;
    return observedItems(this.#observer, method, { namespace: this.namespace, ...attributes }, items);
  }
}
