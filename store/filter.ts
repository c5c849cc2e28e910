/** The one filter of everything that reads all. */
import { actorTypeOf, checkActorId } from "../actor_id.ts";
import { InvalidArgumentError } from "../errors.ts";
import type { Event } from "../event.ts";
import { shown } from "../shown.ts";
import type { Commit, EventFilter } from "./event_store.ts";

/** A filter, checked. */
export interface Filter {
  readonly eventTypes: ReadonlySet<string> | undefined;
  readonly actorTypes: ReadonlySet<string> | undefined;
  readonly actorId: string | undefined;
  readonly shards: ReadonlySet<number> | undefined;
}

/** @throws {InvalidArgumentError} for what no event can have, {@linkcode InvalidActorIdError} */
export function checkFilter(filter: EventFilter<Event, string, string>, shards: number): Filter {
  if (filter.actorId !== undefined) checkActorId(filter.actorId);
  for (const argument of ["eventTypes", "actorTypes", "shards"] as const) {
    if (filter[argument] === undefined || Array.isArray(filter[argument])) continue;
    throw new InvalidArgumentError({ argument }, `${argument} is an array`);
  }
  for (const eventType of filter.eventTypes ?? []) {
    if (typeof eventType === "string" && eventType !== "") continue;
    throw new InvalidArgumentError(
      { argument: "eventTypes" },
      `An event type is a text that is not empty, not ${shown(eventType)}`,
    );
  }
  for (const actorType of filter.actorTypes ?? []) checkActorType("actorTypes", actorType);
  for (const shard of filter.shards ?? []) {
    if (!Number.isSafeInteger(shard) || shard < 0 || shard >= shards) {
      throw new InvalidArgumentError({ argument: "shards" }, `There are ${shards} shards from 0, not ${shard}`);
    }
  }
  return {
    eventTypes: filter.eventTypes && new Set(filter.eventTypes),
    actorTypes: filter.actorTypes && new Set(filter.actorTypes),
    actorId: filter.actorId,
    shards: filter.shards && new Set(filter.shards),
  };
}

/**
 * An id in the place of a type would match nothing, in silence.
 * @throws {InvalidArgumentError} for what is the type of no actor
 */
export function checkActorType(argument: string, actorType: string): void {
  if (typeof actorType === "string" && actorType !== "" && actorTypeOf(actorType) === actorType) return;
  const problem = typeof actorType === "string" && actorType !== ""
    ? `${JSON.stringify(actorType)} is an actor id, of the type ${actorTypeOf(actorType)}: use actorId for one actor`
    : `An actor type is a text that is not empty, not ${shown(actorType)}`;
  throw new InvalidArgumentError({ argument }, problem);
}

/** A date, or a date and a time with its zone. */
const ISO_8601 = /^(\d{4}-\d\d-\d\d)(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/;

/**
 * Milliseconds since 1970.
 * @throws {InvalidArgumentError} unless it is a valid Date, or ISO 8601 that means one moment everywhere
 */
export function checkMoment(argument: string, value: Date | string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const [text = "", day = ""] = typeof value === "string" ? ISO_8601.exec(value) ?? [] : [];
  const time = value instanceof Date ? value.getTime() : Date.parse(text);
  const isDay = value instanceof Date || new Date(Date.parse(day) || 0).toISOString().startsWith(day); // no 31st of February
  if (!Number.isNaN(time) && isDay) return time;
  throw new InvalidArgumentError(
    { argument },
    `${argument} is a Date, or ISO 8601 with its zone, not ${String(value)}`,
  );
}

/** Whether the filter lets commits of this actor through. */
export function letsActor(filter: Filter, actorId: string, shard: number): boolean {
  if (filter.actorId !== undefined && filter.actorId !== actorId) return false;
  if (filter.shards !== undefined && !filter.shards.has(shard)) return false;
  return filter.actorTypes === undefined || filter.actorTypes.has(actorTypeOf(actorId));
}

/** The commit with the events that are meant; undefined if there are none. Deletions always pass. */
export function letsEvents(filter: Filter, commit: Commit): Commit | undefined {
  if (filter.eventTypes === undefined || commit.deleted) return commit;
  const { eventTypes } = filter;
  const events = commit.events.filter((event) => eventTypes.has(event.eventType));
  if (events.length === commit.events.length) return commit;
  return events.length > 0 ? { ...commit, events } : undefined;
}
