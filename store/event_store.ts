/**
 * The interface of an event store: the events of one namespace.
 * @module
 */
import type { EventDecodeError, SchemaError } from "../errors.ts";
import type { ActorTypeOf, Event, EventsFor, Metadata, NewEvent, Select } from "../event.ts";
import type { Fence } from "./fence.ts";

/**
 * Aborting rejects with `signal.reason`, in a `for await` too: an aborted read never looks like a short one.
 * A write that was aborted after it was sent rejects with UNKNOWN_OUTCOME, `cause` the reason.
 */
export interface Abortable {
  /** Ends the operation. */
  readonly signal?: AbortSignal | undefined;
}

/** What is stored together: the unit of order, of atomicity and of resuming. */
export interface Commit<out E extends Event = Event> {
  /** Whose. */
  readonly actorId: string;
  /** Of the commit's last event. */
  readonly version: number;
  /** The order of the namespace; pass it as `after` to go on from here. */
  readonly position: number;
  /** Empty only for a deletion. */
  readonly events: readonly E[];
  /** The server's clock when it was stored; present where the commit was read. */
  readonly storedAt?: string;
  /** True for the commit that deleted the actor. */
  readonly deleted?: true;
}

/** What an append gives back. */
export interface AppendResult<out E extends Event = Event> extends Commit<E> {
  /** The same event ids were stored before; nothing was stored twice. */
  readonly duplicate: boolean;
}

/** A number: exactly this version, 0: no events yet. `"exists"`: at least one event. `"any"`: no check. */
export type ExpectedVersion = number | "any" | "exists";

/** Options of an append. */
export interface AppendOptions extends Abortable {
  /**
   * With a number the append conflicts exactly when the latest version differs, and may be repeated by anyone with the
   * same event ids: it is stored once. `"any"` has no such anchor: called again, by anyone, it stores again. After an
   * UNKNOWN_OUTCOME, repeat it with the `expectedVersion` of the error.
   * @default "any"
   */
  readonly expectedVersion?: ExpectedVersion | undefined;
  /** Merged under the metadata of each event. */
  readonly metadata?: Metadata | undefined;
  /** Refuses the append (FENCED) once another node has taken the shard over. */
  readonly fence?: Fence | undefined;
}

/** Options of `saveEvent`. */
export interface SaveOptions extends Abortable {
  /** Refuses the write (FENCED) once another node has taken the shard over. */
  readonly fence?: Fence | undefined;
}

/** Options of `deleteActor`. */
export interface DeleteOptions extends SaveOptions {
  /** What the actor's latest version must be. @default "any" */
  readonly expectedVersion?: ExpectedVersion | undefined;
}

/** Options of `transact`. */
export interface TransactOptions extends Abortable {
  /** Merged under the metadata of each event. */
  readonly metadata?: Metadata | undefined;
  /** Actors may lie on several shards, and each that is written needs its fence. */
  readonly fence?: Fence | readonly Fence[] | undefined;
}

/** Part of a `transact`. */
export interface CommitRequest<out E extends Event, Id extends string> {
  /** Whose. */
  readonly actorId: Id;
  /** May be empty with an `expectedVersion`: a check on an actor that is not written. */
  readonly events: readonly NewEvent<EventsFor<E, Id>>[];
  /** What the actor's latest version must be. @default "any" */
  readonly expectedVersion?: ExpectedVersion | undefined;
}

/**
 * `"session"`: includes all that this store has written or seen. `"leader"`: all that was acknowledged before the call.
 */
export type Consistency = "session" | "leader";

/** What an answer must include beyond what its consistency says. */
export interface AtLeast {
  /**
   * A position that the answer must include: that of a commit which another process told of, so that what it wrote is
   * read here, or the epoch of a fence, before which nothing may be missed by the shard's new owner. Costs nothing where
   * the replica that answers has it; what is read later includes it too. UNAVAILABLE if nobody has it in time; a store in
   * memory has all there is. @default 0
   */
  readonly atLeast?: number | undefined;
}

/** Which part of an actor's events to read. */
export interface ReadOptions extends Abortable, AtLeast {
  /** Last version, inclusive. */
  readonly toVersion?: number | undefined;
  /** Only commits after this position. */
  readonly afterPosition?: number | undefined;
  /** Only commits up to this position, inclusive: several actors as of one moment. */
  readonly toPosition?: number | undefined;
  /** At most so many events, from the start of the range. Not together with `last`. */
  readonly limit?: number | undefined;
  /** Only the last so many events, in order. */
  readonly last?: number | undefined;
  /** How fresh it must be. @default "session" */
  readonly consistency?: Consistency | undefined;
}

/** Options of `readActor`. */
export interface ReadActorOptions extends ReadOptions {
  /** First version, inclusive; 0 and 1 both mean all. */
  readonly fromVersion?: number | undefined;
  /** Only the last so many commits. */
  readonly lastCommits?: number | undefined;
  /**
   * A commit known from before (a snapshot's): checked, and read on behind it. INVALID_ARGUMENT if it is not this
   * actor's with this version.
   */
  readonly from?: { readonly position: number; readonly version: number } | undefined;
}

/** Options of `getLatestVersion`. */
export interface VersionOptions extends Abortable, AtLeast {
  /**
   * `"cached"`: what this store last knew, without a round trip if it knows one, not older than `atLeast`.
   * @default "session"
   */
  readonly consistency?: "cached" | Consistency | undefined;
}

/** One filter for every place that reads all: absent means all. */
export interface EventFilter<E extends Event, Types extends string, ActorTypes extends string> {
  /** Only these events; a commit arrives with those of its events that are meant. */
  readonly eventTypes?: readonly (Types & E["eventType"])[] | undefined;
  /** Only actors of these types. */
  readonly actorTypes?: readonly (ActorTypes & ActorTypeOf<E["actorId"]>)[] | undefined;
  /** Only this actor. */
  readonly actorId?: string | undefined;
  /** Only these shards. */
  readonly shards?: readonly number[] | undefined;
}

/** Options of `readAll`. */
export interface ReadAllOptions<E extends Event, Types extends string, ActorTypes extends string>
  extends EventFilter<E, Types, ActorTypes>, Abortable {
  /** Only commits behind this position. @default 0 */
  readonly after?: number | undefined;
  /**
   * Only commits stored at this moment or later, by `storedAt`: the server's clock, in milliseconds. It says when, never
   * in which order: to resume, use `after`. A Date, or ISO 8601 with its zone.
   */
  readonly since?: Date | string | undefined;
  /** Goes on with what comes: no gap, no duplicate between the two. @default false */
  readonly live?: boolean | undefined;
  /** Called once, when everything stored at the time of the call has been delivered. */
  readonly onCaughtUp?: ((position: number) => void) | undefined;
  /** Called now and then with the position reached, also while the filter lets nothing through: where to resume. */
  readonly onProgress?: ((position: number) => void) | undefined;
  /**
   * Told of each stored message that is no commit, or of which parts are missing (EVENT_DECODE), and in a typed view of
   * each event that does not fit its schema (SCHEMA); the reading goes on without it. Left out, the reading rejects with
   * the error; `after: error.position` of an EVENT_DECODE then resumes behind it.
   */
  readonly onUndecodable?: ((error: EventDecodeError | SchemaError) => void) | undefined;
}

/** Options of `listActors`. */
export interface ListOptions<E extends Event> extends Abortable {
  /** Only actors of this type. */
  readonly actorType?: ActorTypeOf<E["actorId"]> | undefined;
}

/** A living actor. */
export interface ListedActor {
  /** Its id. */
  readonly actorId: string;
  /** Its latest version. */
  readonly version: number;
}

/**
 * The events of one namespace. Two implementations, one meaning: `InMemoryEventStore` and `JetStreamEventStore`.
 *
 * Any number of calls may be under way at once; writes to one actor from one store are stored in the order of the calls.
 * What is saved is a copy, and what is read can be changed without changing what is stored. All checks of arguments
 * happen before anything is sent.
 *
 * Every method rejects with `signal.reason` when aborted, and with CLOSED once the store was disposed of. Writes can
 * reject with VERSION_CONFLICT, ACTOR_DELETED, FENCED, EVENT_TOO_LARGE, INVALID_EVENT, INVALID_ACTOR_ID,
 * INVALID_ARGUMENT; on a server also with UNKNOWN_OUTCOME, UNAVAILABLE, LIMIT_REACHED, PERMISSION.
 */
export interface EventStore<out E extends Event = Event> extends AsyncDisposable {
  /** The wall: nothing crosses it. */
  readonly namespace: string;
  /** Fixed per namespace. */
  readonly shards: number;
  /** The position of the last commit; 0 if there is none. */
  position(options?: Abortable): Promise<number>;
  /**
   * The event brings its version: VERSION_CONFLICT (expected: version − 1) unless it is greater than the latest. A gap
   * is allowed. Repeated with the same id and version: `duplicate: true`. For imports, replication, the quick start.
   */
  saveEvent(event: E, options?: SaveOptions): Promise<AppendResult<E>>;
  /**
   * The everyday one: the store assigns id, version and timestamp. All of `events` are stored or none. No events with an
   * expectation is a check, against what the leader of the stream knows. With a fence it holds for good against the owners
   * before: a checked one is checked too, one that is not leaves a seal, an empty commit that no reader is given, unless
   * this owner has written to the actor before.
   */
  append<const Id extends string>(
    actorId: Id,
    events: readonly NewEvent<EventsFor<E, Id>>[],
    options?: AppendOptions,
  ): Promise<AppendResult<EventsFor<E, Id>>>;
  /**
   * Several actors, all or nothing, each typed by its own id; no events: a check on an actor that is not written, whose
   * result holds the version and position that were found. INVALID_TRANSACTION, BATCH_TOO_LARGE.
   */
  transact<const Ids extends readonly string[]>(
    commits: { readonly [I in keyof Ids]: CommitRequest<E, Ids[I]> },
    options?: TransactOptions,
  ): Promise<{ readonly [I in keyof Ids]: AppendResult<EventsFor<E, Ids[I]>> }>;
  /** Every event with `version >= fromVersion`, in order; 0 and 1 both mean all. Nothing of a deleted actor. */
  getEvents<const Id extends string>(
    actorId: Id,
    fromVersion?: number,
    options?: ReadOptions,
  ): Promise<EventsFor<E, Id>[]>;
  /**
   * Commit by commit, in constant memory; of a commit partly in the range only the events in it, under the version and
   * position of the whole. A deleted actor gives its tombstone only.
   */
  readActor<const Id extends string>(actorId: Id, options?: ReadActorOptions): AsyncIterable<Commit<EventsFor<E, Id>>>;
  /** 0 if there are no events; of a deleted actor its last version. Costs the same whatever the history. */
  getLatestVersion(actorId: string, options?: VersionOptions): Promise<number>;
  /** By commit, in order: resume with `after: commit.position`. A deletion has `deleted: true`, whatever `eventTypes`. */
  readAll<const Types extends string = string, const ActorTypes extends string = string>(
    options?: ReadAllOptions<E, Types, ActorTypes>,
  ): AsyncIterable<Commit<Select<E, Types, ActorTypes>>>;
  /** The living, in no particular order. */
  listActors(options?: ListOptions<E>): AsyncIterable<ListedActor>;
  /**
   * Replaces the history by a tombstone: gone for good, seen by `readAll` as `deleted`, and no stale writer can bring it
   * back. A second call finishes what a first one left; of an actor that never was nothing is written (version 0).
   * The tombstone keeps the id: no personal data in ids.
   */
  deleteActor(actorId: string, options?: DeleteOptions): Promise<Commit<never>>;
}
