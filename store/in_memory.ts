import { checkActorId } from "../actor_id.ts";
import { ClosedError, InvalidArgumentError } from "../errors.ts";
import type { Event, EventsFor, NewEvent, Select } from "../event.ts";
import { CommitLog, commitOf, isSeal } from "./commit_log.ts";
import { checkOptionNames, namesOf } from "../options.ts";
import { shown } from "../shown.ts";
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
import { checkActorType, checkFilter, checkMoment, letsActor, letsEvents } from "./filter.ts";
import { LIST, READ, READ_ACTOR, READ_ALL, VERSION } from "./option_names.ts";
import { checkConsistency, checkFromVersion, whole } from "./range.ts";
import { checkNamespace, checkShards, DEFAULT_SHARDS } from "./shard.ts";
import { appendWrite, deleteWrite, saveWrite, transactWrites, type Writer } from "./write.ts";

/** Options of an {@linkcode InMemoryEventStore}. */
export interface InMemoryOptions<E extends Event = Event> {
  /** 1 to 64 characters of `A-Za-z0-9_-`. @default "default" */
  readonly namespace?: string | undefined;
  /** How many. @default 64 */
  readonly shards?: number | undefined;
  /** Of timestamps and `storedAt`. @default the machine's */
  readonly clock?: (() => Date) | undefined;
  /**
   * Told of every commit, once it is stored; if it has a namespace, the store's. Must not throw or reject: nobody waits
   * for it, and it stays unhandled.
   */
  readonly bus?: {
    /** Told of every event, where there is no `committed`. */
    publish(event: E): Promise<void>;
    /** Told of every commit, deletions too. */
    committed?(commit: Commit<E>): void;
  } | undefined;
  /** Bytes of one event as JSON. @default 1048576 */
  readonly maxEventSize?: number | undefined;
}

const NAMES = namesOf<InMemoryOptions>({ namespace: true, shards: true, clock: true, bus: true, maxEventSize: true });

/**
 * Keeps everything in this process, with the semantics of the store on JetStream down to the fields of the errors: for
 * tests, prototypes and short-lived state.
 *
 * @example
 * ```ts
 * import { type Event, InMemoryEventStore } from "@aether/aether";
 *
 * type CounterEvent = Event<"Added", { by: number }>;
 * await using store = new InMemoryEventStore<CounterEvent>();
 * await store.append("counter-1", [{ eventType: "Added", data: { by: 2 } }]);
 * console.log(await store.getLatestVersion("counter-1")); // 1
 * ```
 */
export class InMemoryEventStore<E extends Event = Event> implements EventStore<E> {
  /** The wall: nothing crosses it. */
  readonly namespace: string;
  /** Fixed per store. */
  readonly shards: number;
  readonly #writer: Writer;
  readonly #log: CommitLog;
  readonly #bus: Pick<InMemoryOptions, "bus">;
  /** The last position that the bus was told of. */
  #told = 0;
  #announcing = false;
  /** Live readers that wait for the next commit. */
  readonly #waiting = new Set<() => void>();
  #closed = false;

  /**
   * An empty store.
   * @throws {InvalidNamespaceError} if the namespace is not 1 to 64 characters of `A-Za-z0-9_-`
   * @throws {InvalidArgumentError} for shards, a size or a bus that make no sense
   */
  constructor(options: InMemoryOptions<E> = {}) {
    checkOptionNames("new InMemoryEventStore", options, NAMES);
    const { clock, maxEventSize, namespace = "default", shards = DEFAULT_SHARDS } = options;
    this.namespace = checkNamespace(namespace);
    this.shards = checkShards(shards);
    this.#writer = { shards, now: clock ? () => timeOf(clock()) : Date.now };
    this.#log = new CommitLog(whole("maxEventSize", maxEventSize, 1_048_576), this.#writer.now);
    this.#bus = { bus: checkBus(options.bus, this.namespace) as InMemoryOptions["bus"] };
  }

  position(options: Abortable = {}): Promise<number> {
    return this.#answer(options, () => this.#log.position);
  }

  saveEvent(event: E, options: SaveOptions = {}): Promise<AppendResult<E>> {
    return this.#answer(options, () => {
      return this.#announced(this.#log.write(saveWrite(this.#writer, event, options))) as AppendResult<E>;
    });
  }

  append<const Id extends string>(
    actorId: Id,
    events: readonly NewEvent<EventsFor<E, Id>>[],
    options: AppendOptions = {},
  ): Promise<AppendResult<EventsFor<E, Id>>> {
    return this.#answer(options, () => {
      return this.#announced(
        this.#log.write(appendWrite(this.#writer, actorId, events as readonly NewEvent[], options)),
      ) as never;
    });
  }

  transact<const Ids extends readonly string[]>(
    commits: { readonly [I in keyof Ids]: CommitRequest<E, Ids[I]> },
    options: TransactOptions = {},
  ): Promise<{ readonly [I in keyof Ids]: AppendResult<EventsFor<E, Ids[I]>> }> {
    return this.#answer(options, () => {
      const requests = commits as readonly CommitRequest<Event, string>[];
      return this.#announced(this.#log.writeAll(transactWrites(this.#writer, requests, options))) as never;
    });
  }

  getEvents<const Id extends string>(
    actorId: Id,
    fromVersion = 0,
    options: ReadOptions = {},
  ): Promise<EventsFor<E, Id>[]> {
    return this.#answer(options, () => {
      checkFromVersion(fromVersion);
      checkOptionNames("getEvents", options, READ);
      const commits = this.#select(actorId, { ...options, fromVersion });
      return commits.flatMap(({ events }) => events) as never;
    });
  }

  async *readActor<const Id extends string>(
    actorId: Id,
    options: ReadActorOptions = {},
  ): AsyncIterable<Commit<EventsFor<E, Id>>> {
    checkOptionNames("readActor", options, READ_ACTOR);
    for (const commit of await this.#answer(options, () => this.#select(actorId, options))) {
      if (!commit.deleted && this.#log.actor(actorId)?.deleted) { // while it was read
        for (const tombstone of this.#select(actorId, {})) yield tombstone as never;
        return;
      }
      yield commit as never;
      this.#check(options);
    }
  }

  getLatestVersion(actorId: string, options: VersionOptions = {}): Promise<number> {
    return this.#answer(options, () => {
      checkOptionNames("getLatestVersion", options, VERSION);
      checkConsistency(options.consistency, ["session", "leader", "cached"]);
      whole("atLeast", options.atLeast, 0);
      const actor = this.#log.actor(actorId);
      if (actor === undefined) checkActorId(actorId);
      return actor?.version ?? 0;
    });
  }

  async *readAll<const Types extends string = string, const ActorTypes extends string = string>(
    options: ReadAllOptions<E, Types, ActorTypes> = {},
  ): AsyncIterable<Commit<Select<E, Types, ActorTypes>>> {
    checkOptionNames("readAll", options, READ_ALL);
    const { live = false, onCaughtUp, onProgress } = options;
    this.#check(options);
    const filter = checkFilter(options as ReadAllOptions<Event, string, string>, this.shards);
    let position = whole("after", options.after, 0);
    const since = checkMoment("since", options.since) ?? -Infinity;
    const target = this.#log.position;
    for (let caughtUp = false;; caughtUp = true) {
      while (position < (caughtUp ? this.#log.position : target)) {
        const stored = this.#log.at(++position);
        if (stored === undefined || isSeal(stored) || stored.storedAt < since) continue;
        if (!letsActor(filter, stored.actorId, stored.shard)) continue;
        const commit = letsEvents(filter, commitOf(stored));
        if (commit !== undefined) yield commit as never;
        this.#check(options);
      }
      if (!caughtUp) onCaughtUp?.(position);
      onProgress?.(position);
      if (!live) return;
      this.#check(options); // by now a callback may have ended it
      if (position >= this.#log.position) await this.#nextCommit(options);
      this.#check(options);
    }
  }

  async *listActors(options: ListOptions<E> = {}): AsyncIterable<ListedActor> {
    checkOptionNames("listActors", options, LIST);
    const { actorType } = options;
    this.#check(options);
    if (actorType !== undefined) checkActorType("actorType", actorType);
    const filter = checkFilter(actorType === undefined ? {} : { actorTypes: [actorType] }, this.shards);
    for (const [actorId, { version, deleted }] of this.#log.actors()) {
      if (deleted || version === 0 || !letsActor(filter, actorId, 0)) continue;
      yield { actorId, version };
      this.#check(options);
    }
  }

  deleteActor(actorId: string, options: DeleteOptions = {}): Promise<Commit<never>> {
    return this.#answer(options, () => {
      const erased = this.#log.erase(deleteWrite(this.#writer, actorId, options));
      if (erased === undefined) return { actorId, version: 0, position: 0, events: [] };
      const { version, position } = erased;
      return this.#announced({ actorId, version, position, events: [], deleted: true as const });
    });
  }

  /** Ends live reads with CLOSED; what was stored goes with the store. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#wake();
    return Promise.resolve();
  }

  /** Options that are none are refused later. */
  #check(options: Abortable | null): void {
    if (this.#closed) throw new ClosedError({ what: `The store of ${this.namespace}` });
    options?.signal?.throwIfAborted();
  }

  // All work is done before the promise is there, so that calls take effect in their order.
  #answer<T>(options: Abortable, work: () => T): Promise<T> {
    try {
      this.#check(options);
      return Promise.resolve(work());
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #select(actorId: string, options: ReadActorOptions): Commit[] {
    checkActorId(actorId);
    return this.#log.select(actorId, options);
  }

  #announced<T>(result: T): T {
    const { bus } = this.#bus;
    if (this.#announcing) return result; // an audience that appends: the loop below it goes on in order
    this.#announcing = true;
    for (; this.#told < this.#log.position; this.#wake()) {
      const stored = this.#log.at(++this.#told);
      if (bus === undefined || stored === undefined || isSeal(stored)) continue;
      try {
        if (bus.committed) bus.committed(commitOf(stored));
        else for (const event of commitOf(stored).events) void bus.publish(event);
      } catch (error) {
        void Promise.reject(error); // no append fails by its audience; unhandled, so nobody swallows it either
      }
    }
    this.#announcing = false;
    return result;
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }

  #nextCommit({ signal }: Abortable): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    const wake = (): void => resolve();
    signal?.addEventListener("abort", wake);
    return promise.finally(() => {
      this.#waiting.delete(resolve);
      signal?.removeEventListener("abort", wake);
    });
  }
}

/** Of the option `bus`: what would only show at the first commit, or never. */
function checkBus<B extends object | undefined>(bus: B, namespace: string): B {
  if (bus === undefined) return bus;
  const refuse = (problem: string): never => {
    throw new InvalidArgumentError({ argument: "bus" }, problem);
  };
  if (typeof bus !== "object" || bus === null) refuse(`A bus has publish(event), it is not ${shown(bus)}`);
  const { namespace: other = namespace, publish, committed } = bus as Readonly<Record<string, unknown>>;
  if (typeof publish !== "function") refuse("A bus has publish(event), this one has not");
  if (committed !== undefined && typeof committed !== "function") refuse("committed of a bus is a function");
  if (other !== namespace) refuse(`The bus is of the namespace ${String(other)}, the store of ${namespace}`);
  return bus;
}

function timeOf(date: Date): number {
  const time = date.getTime();
  if (Number.isNaN(time)) throw new InvalidArgumentError({ argument: "clock" }, "The clock gave an invalid Date");
  return time;
}
