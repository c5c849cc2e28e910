/**
 * Events: immutable facts about one actor.
 * @module
 */
import { checkActorId } from "./actor_id.ts";
import {
  checkEventType,
  checkId,
  checkTimestamp,
  checkVersion,
  copyData,
  copyMetadata,
  rejectEvent,
  timestampOf,
} from "./validate.ts";

/**
 * Text that travels with an event and is not part of its meaning. Reserved: the five that are named here; all others are
 * the user's.
 *
 * The library acts by two of them, and takes them at their word, since imports, and those who handle commands without
 * `execute`, write them too:
 *
 * - `commandId`, of a commit's first event: `execute` with this id finds that commit, and does not decide again;
 * - `schemaVersion`: a catalogue upcasts from this version, and an event of one that it does not know is SCHEMA.
 */
export interface Metadata {
  /** The same for everything that one request brought about. */
  readonly correlationId?: string | undefined;
  /** The id of the event or command that caused this one. */
  readonly causationId?: string | undefined;
  /** W3C Trace Context. */
  readonly traceparent?: string | undefined;
  /** The command that led to the commit: set by `execute`, on the first event. */
  readonly commandId?: string | undefined;
  /** Of the shape of the data: decimal text from 1, absent for 1. Set by catalogues, whatever a writer gives. */
  readonly schemaVersion?: string | undefined;
  /** Whatever else is to travel along. */
  readonly [key: string]: string | undefined;
}

/**
 * A fact about one actor: plain JSON, what is saved is what is read. `Id` types `actorId`, and so tells the unions of
 * several actor types apart.
 */
export interface Event<Type extends string = string, Data = unknown, Id extends string = string> {
  /** What a retry is recognised by: any non-empty text of up to 128 characters; made ones are UUIDs. */
  readonly id: string;
  /** What happened, in the past tense: `OrderPlaced`. */
  readonly eventType: Type;
  /** To whom. */
  readonly actorId: Id;
  /** 1, 2, 3, … per actor, strictly increasing. */
  readonly version: number;
  /** JSON. */
  readonly data: Data;
  /** ISO 8601, UTC, milliseconds: sorts as text. The writer's clock, never used for order. */
  readonly timestamp: string;
  /** What travels along. */
  readonly metadata?: Metadata | undefined;
}

/** What `append` takes: the store adds the rest. Distributes over a union. */
export type NewEvent<E extends Event = Event> = E extends Event ? {
    /** What happened. */
    readonly eventType: E["eventType"];
    /** JSON. */
    readonly data: E["data"];
    /** Filled in with a UUID. Give it where an append may be repeated by another process. */
    readonly id?: string | undefined;
    /** Filled in with the writer's clock. */
    readonly timestamp?: string | undefined;
    /** What travels along. */
    readonly metadata?: Metadata | undefined;
  }
  : never;

/** `"order"` for `` `order-${string}` ``; the whole id where nothing stands before the first `-`. */
export type ActorTypeOf<Id extends string> = Id extends `${infer Type}-${string}` ? Type extends "" ? Id : Type : Id;

/** The ids of an actor type. */
export type ActorId<Type extends string> = Type | `${Type}-${string}`;

/** The union of an actor type, written by hand: `ActorEvents<"order", { OrderPlaced: { total: number } }>`. */
export type ActorEvents<ActorType extends string, DataByType> = {
  [Type in keyof DataByType & string]: Event<Type, DataByType[Type], ActorId<ActorType>>;
}[keyof DataByType & string];

/** The members of `E` that an actor can have: precise for a literal or template id, all of `E` for a plain string. */
// A look-up, which no id is inferred from: asking an annotated result for it took seconds with 500 event types.
export type EventsFor<E extends Event, Id extends string> = {
  readonly all: E;
  readonly own: E extends { readonly actorId: infer Ids } ? Id extends Ids ? E : never : never;
}[string extends Id ? "all" : "own"];

/**
 * A literal id must be of an actor of `E`. A plain string is checked when it runs, by a catalogue: where there is none,
 * nobody knows then which types were meant.
 */
export type OwnId<E extends Event, Id extends string> = string extends Id ? unknown
  : E extends { readonly actorId: infer Ids }
  // No id is such an object: the compiler's message has this sentence.
    ? Id extends Ids ? unknown : { readonly "this id is of none of the actor types of the events": never }
  : never;

/** The members of `E` that a filter lets through; one whose type or id is any text may be meant. */
export type Select<E extends Event, Types extends string, ActorTypes extends string> = E extends Event
  ? E["eventType"] extends (string extends E["eventType"] ? string : Types)
    ? ActorTypeOf<E["actorId"]> extends (string extends E["actorId"] ? string : ActorTypes) ? E : never
  : never
  : never;

/**
 * Makes an event: a copy of what is given, with `id` (a UUID) and `timestamp` (now) filled in.
 *
 * @example
 * ```ts
 * import { createEvent } from "@aether/aether";
 *
 * const placed = createEvent({ actorId: "order-123", version: 1, eventType: "OrderPlaced", data: { total: 42 } });
 * console.log(placed.data.total); // 42
 * ```
 *
 * @throws {InvalidEventError} naming the path (`data.items[2]`) of what JSON cannot carry or of a wrong field
 * @throws {InvalidActorIdError} if the actor id is empty, too long or not text
 */
export function createEvent<const Type extends string, Data, const Id extends string>(fields: {
  readonly eventType: Type;
  readonly actorId: Id;
  readonly version: number;
  readonly data: Data;
  readonly id?: string | undefined;
  readonly timestamp?: string | Date | undefined;
  readonly metadata?: Metadata | undefined;
}): Event<Type, Data, Id> {
  const { timestamp = timestampOf(Date.now()) } = fields;
  if (timestamp instanceof Date && Number.isNaN(timestamp.getTime())) rejectEvent("timestamp", "is an invalid Date");
  return copyEvent({
    ...fields,
    id: fields.id ?? crypto.randomUUID(),
    timestamp: timestamp instanceof Date ? timestamp.toISOString() : timestamp,
  });
}

/** A checked copy; fields that no event has are left out. */
export function copyEvent<E extends Event>(event: E): E {
  if (typeof event !== "object" || event === null) rejectEvent("event", "must be an object");
  const { id, eventType, actorId, version, data, timestamp, metadata } = event; // once: a getter may change its mind
  checkActorId(actorId);
  return eventOf(
    checkId(id),
    checkEventType(eventType, event),
    actorId,
    checkVersion(version),
    copyData(data),
    checkTimestamp(timestamp),
    copyMetadata(metadata),
  ) as E;
}

/** The keys in the order in which they are stored. */
export function eventOf(
  id: string,
  eventType: string,
  actorId: string,
  version: number,
  data: unknown,
  timestamp: string,
  metadata: Metadata | undefined,
): Event {
  return metadata === undefined
    ? { id, eventType, actorId, version, data, timestamp }
    : { id, eventType, actorId, version, data, timestamp, metadata };
}

/**
 * Metadata that says "this was caused by that event": its id as `causationId`, and the correlation of the whole story
 * handed on, which begins with the first event's id.
 */
export function causedBy(event: Event): Metadata {
  const { correlationId = event.id, traceparent } = event.metadata ?? {};
  return traceparent === undefined
    ? { correlationId, causationId: event.id }
    : { correlationId, causationId: event.id, traceparent };
}
