/** The catalogues of a view: which one is meant, and what they make of events. */
import { actorTypeOf, checkActorId } from "../actor_id.ts";
import { InvalidArgumentError, SchemaError } from "../errors.ts";
import type { Event, NewEvent } from "../event.ts";
import { rejectEvent } from "../validate.ts";
import type { EventCatalogue } from "./event_catalogue.ts";
import { chain, isPromise, mapAll, type MaybePromise } from "./maybe_promise.ts";

/** How events are decoded: which are wanted, and who is told of those that cannot be. */
export interface Decoding {
  /** By the stored name: a type that is renamed in one catalogue may be another's of today. */
  wantsStored(catalogue: EventCatalogue, eventType: string): boolean;
  /** By the name of today. */
  wants(eventType: string): boolean;
  /** Left out: it is thrown. */
  readonly onUndecodable?: ((error: SchemaError) => void) | undefined;
}

const EVERYTHING: Decoding = { wantsStored: () => true, wants: () => true };

/** The catalogues of a view. */
export class Catalogues {
  readonly #byType = new Map<string, EventCatalogue>();

  /** @throws {InvalidArgumentError} if there is none, one is none, or two describe one actor type */
  constructor(catalogues: readonly EventCatalogue[]) {
    if (catalogues.length === 0) {
      throw new InvalidArgumentError({ argument: "catalogues" }, "typed needs a catalogue: typed(store, Order, …)");
    }
    for (const [index, catalogue] of catalogues.entries()) {
      checkCatalogue(catalogue, index);
      for (const actorType of catalogue.actorTypes) {
        const other = this.#byType.get(actorType);
        if (other !== undefined && other !== catalogue) {
          throw new InvalidArgumentError({ argument: "catalogues" }, `Two catalogues for the actor type ${actorType}`);
        }
        this.#byType.set(actorType, catalogue);
      }
    }
  }

  /** The actor types of all of them. */
  get actorTypes(): readonly string[] {
    return [...this.#byType.keys()];
  }

  /** The catalogue of an actor type, if there is one. */
  ofType(actorType: string): EventCatalogue | undefined {
    return this.#byType.get(actorType);
  }

  /**
   * The catalogue of an actor.
   * @throws {InvalidArgumentError} if there is none
   * @throws {InvalidActorIdError} if it is no actor id
   */
  of(actorId: string): EventCatalogue {
    const catalogue = typeof actorId === "string" ? this.#byType.get(actorTypeOf(actorId)) : undefined;
    if (catalogue !== undefined && actorId !== "") return catalogue;
    checkActorId(actorId);
    const known = this.actorTypes.join(", ");
    throw new InvalidArgumentError(
      { argument: "actorId" },
      `${JSON.stringify(actorId)} is of the actor type ${actorTypeOf(actorId)}, this view knows: ${known}`,
    );
  }

  /**
   * What nobody has would match nothing, in silence.
   * @throws {InvalidArgumentError} for an actor type of none of them
   */
  checkActorTypes(argument: string, actorTypes: Iterable<string>): void {
    for (const actorType of actorTypes) {
      if (this.#byType.has(actorType)) continue;
      throw new InvalidArgumentError(
        { argument },
        `${JSON.stringify(actorType)} is no actor type of this view, which knows: ${this.actorTypes.join(", ")}`,
      );
    }
  }

  /** @throws {InvalidArgumentError} for an event type that is in none of them, or has another name today */
  checkEventTypes(eventTypes: Iterable<string>): void {
    const catalogues = new Set(this.#byType.values());
    for (const eventType of eventTypes) {
      if ([...catalogues].some((catalogue) => catalogue.storedTypes([eventType]).length > 0)) continue;
      const known = [...catalogues].flatMap((catalogue) => catalogue.eventTypes);
      throw new InvalidArgumentError(
        { argument: "eventTypes" },
        `${JSON.stringify(eventType)} is no event type of this view, which knows: ${known.join(", ")}`,
      );
    }
  }

  /** A full event, to be stored or published as it is. Nobody else has the object that it is made of. */
  encodeWhole(event: Event): MaybePromise<Event> {
    return chain(this.of(event.actorId).encode(event, event.actorId), (encoded) => {
      const { actorId, version } = event;
      const whole = encoded as Event;
      return whole.actorId === actorId && whole.version === version ? whole : { ...event, ...encoded };
    });
  }

  /** The events of one commit as they are to be stored. */
  encode(actorId: string, events: readonly NewEvent[]): MaybePromise<readonly NewEvent[]> {
    const catalogue = this.of(actorId);
    if (!Array.isArray(events)) throw new InvalidArgumentError({ argument: "events" }, "events must be an array");
    return mapAll(events, (event: NewEvent, index) => {
      if (typeof event !== "object" || event === null) rejectEvent(`events[${index}]`, "must be an object");
      return catalogue.encode(event, actorId);
    });
  }

  /** What is wanted of an actor's events, by their names of today. */
  decode(actorId: string, events: readonly Event[], decoding: Decoding = EVERYTHING): MaybePromise<Event[]> {
    const catalogue = this.#byType.get(actorTypeOf(actorId));
    if (catalogue === undefined) return []; // not the view's, whoever gave it
    const decoded: Event[] = [];
    for (let index = 0; index < events.length; index++) {
      const event = decodeOne(catalogue, events[index] as Event, decoding);
      if (isPromise(event)) return decodeRest(catalogue, events, index, event, decoded, decoding);
      if (event !== undefined) decoded.push(event);
    }
    return decoded;
  }
}

function checkCatalogue(catalogue: EventCatalogue, index: number): void {
  const { actorTypes, encode, decode } = (catalogue ?? {}) as Partial<EventCatalogue>;
  if (Array.isArray(actorTypes) && typeof encode === "function" && typeof decode === "function") return;
  throw new InvalidArgumentError(
    { argument: `catalogues[${index}]` },
    `Argument ${index + 2} of typed is no event catalogue, as defineEvents("order", { … }) gives one`,
  );
}

/** One after another, as they are told of in order. */
async function decodeRest(
  catalogue: EventCatalogue,
  events: readonly Event[],
  from: number,
  first: Promise<Event | undefined>,
  decoded: Event[],
  decoding: Decoding,
): Promise<Event[]> {
  let next: MaybePromise<Event | undefined> = first;
  for (let index = from;;) {
    const event = await next;
    if (event !== undefined) decoded.push(event);
    if (++index >= events.length) return decoded;
    next = decodeOne(catalogue, events[index] as Event, decoding);
  }
}

function decodeOne(catalogue: EventCatalogue, event: Event, decoding: Decoding): MaybePromise<Event | undefined> {
  if (!decoding.wantsStored(catalogue, event.eventType)) return undefined;
  const wanted = (one: Event | undefined): Event | undefined => one && decoding.wants(one.eventType) ? one : undefined;
  const failed = (error: unknown): undefined => {
    if (decoding.onUndecodable === undefined || !(error instanceof SchemaError)) throw error;
    decoding.onUndecodable(error);
  };
  try {
    const decoded = catalogue.decode(event);
    return isPromise(decoded) ? decoded.then(wanted).catch(failed) : wanted(decoded);
  } catch (error) {
    return failed(error);
  }
}
