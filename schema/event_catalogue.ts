/**
 * What is known of the events of some actor types.
 * @module
 */
import type { Event, NewEvent } from "../event.ts";

/** What is known of the events of some actor types: validation on write, upcasting on read, and their type. */
export interface EventCatalogue<out E extends Event = Event> {
  /** The actor types whose events it describes. */
  readonly actorTypes: readonly string[];
  /** The event types, by their names of today. */
  readonly eventTypes: readonly string[];
  /** Narrows an event of a wider union. */
  includes(event: Event): event is E;
  /**
   * Validates what is to be stored; the schema's output is stored, with `metadata.schemaVersion`. The actor's id is for
   * the error only.
   *
   * @throws {SchemaError} with the schema's issues
   */
  encode(event: NewEvent, actorId?: string): NewEvent<E> | Promise<NewEvent<E>>;
  /**
   * Upcasts and validates what was stored, and sets `metadata.schemaVersion`, so that twice equals once. Undefined: the
   * event type is not known, and is to be skipped.
   *
   * @throws {SchemaError} with the schema's issues
   */
  decode(event: Event): E | undefined | Promise<E | undefined>;
  /** With the names under which they were stored before. */
  storedTypes(eventTypes: readonly string[]): readonly string[];
  /** For inference only. */
  readonly "~event"?: E;
}

/** The catalogue of one actor type. */
export interface ActorCatalogue<out Type extends string, out E extends Event> extends EventCatalogue<E> {
  /** The actor type. */
  readonly actorType: Type;
  /** `` `order-${key}` ``, typed; INVALID_ARGUMENT for a key that is empty, or no text. */
  id<const Key extends string>(key: Key): `${Type}-${Key}`;
}

/** The union of a catalogue: `type OrderEvent = EventOf<typeof Order>`. */
export type EventOf<C> = C extends EventCatalogue<infer E> ? E : never;
