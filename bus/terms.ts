/** The options of a subscription, checked: what every bus decides alike. */
import { encodeToken, MAX_TOKEN_LENGTH } from "../actor_id.ts";
import { InvalidArgumentError } from "../errors.ts";
import type { Event } from "../event.ts";
import { checkFilter, type Filter } from "../store/filter.ts";
import { whole } from "../store/range.ts";
import type { GapStore, Overflow, SubscribeOptions } from "./event_bus.ts";

const DEFAULT_BUFFER = 1024;
const OVERFLOWS: readonly Overflow[] = ["fail", "drop-oldest", "drop-newest"];

/** Options, checked. */
export interface Terms
  extends Pick<SubscribeOptions<Event, string, string>, "signal" | "onDeleted" | "onGap" | "onUndecodable"> {
  readonly filter: Filter;
  readonly group: string | undefined;
  readonly buffer: number;
  readonly overflow: Overflow;
  readonly fill: GapStore | undefined;
}

/** @throws {InvalidArgumentError} {@linkcode InvalidActorIdError} */
export function checkTerms(options: SubscribeOptions<Event, string, string>, shards: number, namespace: string): Terms {
  const { group, overflow = "fail", onDeleted, onGap, onUndecodable, fill, signal } = options;
  const filter = checkFilter(options, shards);
  const buffer = whole("buffer", options.buffer, DEFAULT_BUFFER);
  if (buffer === 0) throw new InvalidArgumentError({ argument: "buffer" }, "At least one event must be able to wait");
  if (!OVERFLOWS.includes(overflow)) {
    throw new InvalidArgumentError({ argument: "overflow" }, `overflow is one of ${OVERFLOWS.join(", ")}`);
  }
  for (const [argument, callback] of Object.entries({ onDeleted, onGap, onUndecodable })) {
    if (callback === undefined || typeof callback === "function") continue;
    throw new InvalidArgumentError({ argument }, `${argument} is a function`);
  }
  if (group !== undefined) {
    checkGroup(group);
    for (const [argument, value] of Object.entries({ onGap, fill })) {
      if (value === undefined) continue;
      throw new InvalidArgumentError(
        { argument },
        `${argument} does not go with group: a member is given only its share. ` +
          "Leave it out, or read store.readAll({ live: true })",
      );
    }
  }
  if (fill !== undefined) checkFill(fill, namespace);
  return { filter, group, buffer, overflow, onDeleted, onGap, onUndecodable, fill, signal };
}

/** The same for filters that let the same through. */
export function filterKey({ eventTypes, actorTypes, actorId, shards }: Filter): string {
  const sorted = (values: ReadonlySet<unknown> | undefined): unknown => values && [...values].toSorted();
  return JSON.stringify([sorted(eventTypes), sorted(actorTypes), actorId, sorted(shards)]);
}

function checkFill(fill: GapStore, namespace: string): void {
  const argument = "fill";
  if (typeof fill?.readActor !== "function") throw new InvalidArgumentError({ argument }, "fill is an event store");
  if (fill.namespace === namespace) return;
  const problem = `fill is a store of the bus's namespace, which is ${namespace}, not ${fill.namespace}`;
  throw new InvalidArgumentError({ argument }, problem);
}

function checkGroup(group: string): void {
  if (typeof group === "string" && group !== "" && group.length <= MAX_TOKEN_LENGTH && group.isWellFormed()) {
    if (encodeToken(group).length <= MAX_TOKEN_LENGTH) return;
  }
  throw new InvalidArgumentError({ argument: "group" }, `A group's name is a text of 1 to ${MAX_TOKEN_LENGTH} bytes`);
}
