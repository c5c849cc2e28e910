import { actorTypeOf, checkActorId } from "../actor_id.ts";
import { InvalidArgumentError, isAetherError, SchemaError, type StandardIssue } from "../errors.ts";
import { type ActorEvents, type Event, eventOf, type Metadata, type NewEvent } from "../event.ts";
import { checkOptionNames } from "../options.ts";
import { shown } from "../shown.ts";
import { checkEventType, copyData, copyMetadata, rejectEvent } from "../validate.ts";
import type { ActorCatalogue } from "./event_catalogue.ts";
import type { DataOf, EventDefinition, Json } from "./event_definition.ts";
import { type EventRule, ruleOf, rulesByName } from "./event_rule.ts";
import { isPromise, type MaybePromise } from "./maybe_promise.ts";
import { schemaVersionOf, withSchemaVersion } from "./schema_version.ts";
import { type Refuse, validated } from "./validation.ts";

/** Options of {@linkcode defineEvents}. */
export interface DefineEventsOptions {
  /** Of stored types that are not defined: SCHEMA, or left out of what is read. @default "error" */
  readonly unknown?: "error" | "skip" | undefined;
}

/**
 * Describes the events of one actor type by schemas of any library that implements Standard Schema v1.
 *
 * What is stored is the schema's output, and the schema must accept it again unchanged. Data that JSON cannot carry, and
 * an actor type with a `-`, do not compile.
 *
 * @example
 * ```ts
 * import { defineEvents, type EventOf, InMemoryEventStore, typed } from "@aether/aether";
 * import { z } from "zod";
 *
 * const Order = defineEvents("order", {
 *   OrderPlaced: {
 *     schema: z.object({ total: z.number(), currency: z.enum(["EUR", "USD"]) }),
 *     schemaVersion: 2,
 *     upcast: { 1: (old: { total: number }) => ({ ...old, currency: "EUR" }) },
 *     formerly: ["OrderCreated"],
 *   },
 *   OrderShipped: z.object({ carrier: z.string() }),
 * });
 * type OrderEvent = EventOf<typeof Order>;
 *
 * await using store = typed(new InMemoryEventStore(), Order);
 * await store.append(Order.id("123"), [{ eventType: "OrderPlaced", data: { total: 42, currency: "EUR" } }]);
 * const events: OrderEvent[] = await store.getEvents("order-123");
 * console.log(events.length); // 1
 * ```
 *
 * @throws {InvalidArgumentError} naming the definition that makes no sense
 */
export function defineEvents<
  const Type extends string,
  const D extends Readonly<Record<string, EventDefinition>>,
>(
  actorType: Type extends `${string}-${string}` ? "an actor type ends before the first - of an id" : Type,
  definitions:
    & D
    & {
      readonly [T in keyof D]: DataOf<D[T]> extends Json<DataOf<D[T]>> ? unknown
        : "the data of this event type is not JSON";
    },
  options: DefineEventsOptions = {},
): ActorCatalogue<Type, ActorEvents<Type, { [T in keyof D & string]: DataOf<D[T]> }>> {
  return new DefinedEvents(checkActorType(actorType), definitions, options) as never;
}

class DefinedEvents implements ActorCatalogue<string, Event> {
  readonly actorType: string;
  readonly actorTypes: readonly string[];
  readonly eventTypes: readonly string[];
  readonly #byName: ReadonlyMap<string, EventRule>;
  readonly #skips: boolean;
  /** What went through this catalogue: a view over a view, or over a decider's events, does the work once. */
  readonly #encoded = new WeakSet<NewEvent>();
  readonly #decoded = new WeakSet<Event>();

  constructor(actorType: string, definitions: Readonly<Record<string, EventDefinition>>, options: DefineEventsOptions) {
    if (typeof definitions !== "object" || definitions === null) {
      throw new InvalidArgumentError({ argument: "definitions" }, "definitions is an object: { EventType: schema, … }");
    }
    checkOptionNames("defineEvents", options, ["unknown"]);
    const { unknown = "error" } = options;
    if (unknown !== "error" && unknown !== "skip") {
      throw new InvalidArgumentError({ argument: "unknown" }, `unknown is "error" or "skip", not ${String(unknown)}`);
    }
    const rules = Object.entries(definitions).map(([eventType, definition]) => ruleOf(eventType, definition));
    this.actorType = actorType;
    this.actorTypes = Object.freeze([actorType]);
    this.eventTypes = Object.freeze(rules.map(({ eventType }) => eventType));
    this.#byName = rulesByName(rules);
    this.#skips = unknown === "skip";
  }

  id<const Key extends string>(key: Key): `${string}-${Key}` {
    if (typeof key !== "string" || key === "") {
      throw new InvalidArgumentError(
        { argument: "key" },
        `The key of an id of the actor type ${this.actorType} is a text that is not empty, not ${shown(key)}`,
      );
    }
    return `${this.actorType}-${key}`;
  }

  includes(event: Event): event is Event {
    const rule = this.#byName.get(event.eventType);
    return rule !== undefined && rule.eventType === event.eventType && actorTypeOf(event.actorId) === this.actorType;
  }

  storedTypes(eventTypes: readonly string[]): readonly string[] {
    const stored = new Set<string>();
    for (const eventType of eventTypes) {
      const rule = this.#byName.get(eventType);
      if (rule === undefined || rule.eventType !== eventType) continue; // a former name is none of today
      for (const name of [eventType, ...rule.formerly]) stored.add(name);
    }
    return [...stored];
  }

  encode(event: NewEvent, actorId: string = this.actorType): MaybePromise<NewEvent> {
    if (typeof event !== "object" || event === null) rejectEvent("event", "must be an object");
    if (this.#encoded.has(event)) return event;
    // Once: a getter may change its mind; and a copy, as the caller may change it before the schema answers.
    const own = { ...event };
    const { eventType } = own;
    if (eventType === undefined && "type" in own) checkEventType(eventType, own);
    const refuse = refusal(eventType, actorId);
    const rule = this.#byName.get(eventType);
    if (rule === undefined || rule.eventType !== eventType) return refuse([unknownType(this.actorType, rule)]);
    const metadata = withSchemaVersion(copyMetadata(own.metadata), rule.schemaVersion);
    const data = validated(rule, own.data, refuse, true);
    if (isPromise(data)) return data.then((late) => this.#encode(own, late, metadata));
    return this.#encode(own, data, metadata);
  }

  decode(event: Event): MaybePromise<Event | undefined> {
    if (this.#decoded.has(event)) return event;
    const { eventType, actorId, version } = event;
    const rule = this.#byName.get(eventType);
    const refuse = refusal(rule?.eventType ?? eventType, actorId, version);
    if (actorTypeOf(actorId) !== this.actorType) {
      return refuse([{ message: `this catalogue is of the actor type ${this.actorType}` }]);
    }
    if (rule === undefined) return this.#skips ? undefined : refuse([unknownType(this.actorType)]);
    const data = validated(rule, upcast(rule, event, refuse), refuse);
    if (isPromise(data)) return data.then((late) => this.#decode(event, rule, late));
    return this.#decode(event, rule, data);
  }

  #encode(event: NewEvent, data: unknown, metadata: Metadata | undefined): NewEvent {
    const encoded = withMetadata(event, data, metadata);
    this.#encoded.add(encoded);
    return encoded;
  }

  #decode(event: Event, { eventType, schemaVersion }: EventRule, data: unknown): Event {
    const metadata = withSchemaVersion(event.metadata, schemaVersion);
    const { id, actorId, version, timestamp } = event;
    const decoded = eventOf(id, eventType, actorId, version, data, timestamp, metadata);
    this.#decoded.add(decoded);
    return decoded;
  }
}

/** Of a copy: fields are set in it. */
function withMetadata(copy: NewEvent, data: unknown, metadata: Metadata | undefined): NewEvent {
  if (metadata === undefined && "metadata" in copy) {
    const { metadata: _, ...rest } = copy;
    return { ...rest, data };
  }
  return Object.assign(copy, metadata === undefined ? { data } : { data, metadata });
}

/** The data in today's shape. */
function upcast(rule: EventRule, { data, metadata }: Event, refuse: Refuse): unknown {
  const version = schemaVersionOf(metadata);
  if (version === rule.schemaVersion) return data;
  if (Number.isNaN(version)) {
    const text = JSON.stringify(metadata?.schemaVersion);
    return refuse([{ message: `metadata.schemaVersion is ${text}, no version` }]);
  }
  if (version > rule.schemaVersion) {
    const message = `stored with schema version ${version}, newer than version ${rule.schemaVersion} of this code`;
    return refuse([{ message }]);
  }
  let current = copyData(data); // a step that changes what it is given changes nothing that anyone else has
  for (let step = version; step < rule.schemaVersion; step++) {
    try {
      current = rule.upcasts[step - 1]?.(current);
    } catch (cause) {
      refuse([{ message: `upcasting from version ${step} to ${step + 1} threw ${cause}` }], cause);
    }
    if (isPromise(current)) refuse([{ message: `upcasting from version ${step} to ${step + 1} gave a promise` }]);
  }
  return current;
}

function refusal(eventType: string, actorId: string, version?: number): Refuse {
  return (issues: readonly StandardIssue[], cause?: unknown): never => {
    const fields = version === undefined ? { eventType, actorId, issues } : { eventType, actorId, version, issues };
    throw new SchemaError(fields, cause === undefined ? undefined : { cause });
  };
}

function unknownType(actorType: string, rule?: EventRule): StandardIssue {
  const today = rule === undefined ? "" : `; it is ${rule.eventType} today`;
  return { message: `not an event type of ${actorType}${today}` };
}

function checkActorType(actorType: string): string {
  const refuse = (problem: string): never => {
    throw new InvalidArgumentError(
      { argument: "actorType" },
      `${JSON.stringify(actorType)} is no actor type: ${problem}`,
    );
  };
  if (typeof actorType !== "string" || actorType === "") refuse("it is a text that is not empty");
  if (actorType.includes("-")) refuse("it ends before the first - of an id");
  try {
    checkActorId(actorType);
  } catch (error) {
    if (!isAetherError(error)) throw error;
    refuse(error.message);
  }
  return actorType;
}
