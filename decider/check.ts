/** Arguments of `load` and `execute`, and what a decider is made of: what is wrong is named before anything is done. */
import { actorTypeOf, checkActorId } from "../actor_id.ts";
import { InvalidActorIdError, InvalidArgumentError } from "../errors.ts";
import type { Event, NewEvent } from "../event.ts";
import { checkOptionNames, namesOf } from "../options.ts";
import { abandon, isPromise } from "../schema/maybe_promise.ts";
import { shown } from "../shown.ts";
import type { SnapshotStore } from "../snapshot/snapshot_store.ts";
import type { EventStore } from "../store/event_store.ts";
import type { SnapshotPolicy } from "./decider.ts";
import type { DecodingFold } from "./standing.ts";

const POLICY = namesOf<SnapshotPolicy<unknown>>({
  schemaVersion: true,
  every: true,
  after: true,
  slowerThan: true,
  when: true,
  schema: true,
});

function refuse(argument: string, problem: string): never {
  throw new InvalidArgumentError({ argument }, problem);
}

/** @throws {InvalidArgumentError} naming the function that is missing */
export function checkFunctions(of: string, thing: unknown, names: readonly string[]): void {
  for (const name of names) {
    const found = (thing as Readonly<Record<string, unknown>> | null | undefined)?.[name];
    if (typeof found !== "function") refuse(of, `${of}.${name} is a function, not ${shown(found)}`);
  }
}

const FOLD = ["initialState", "evolve"] as const;
const DECIDER = [...FOLD, "decide"] as const;
const SNAPSHOTS = ["getLatestSnapshot", "saveSnapshot", "deleteSnapshot"] as const;

/** @throws {InvalidArgumentError} naming what is missing, or makes no sense in its policy */
export function checkDecider(decider: object): void {
  checkFunctions("decider", decider, DECIDER);
  const { snapshot } = decider as { readonly snapshot?: SnapshotPolicy<unknown> };
  if (snapshot === undefined) return;
  checkOptionNames("decider.snapshot", snapshot, POLICY);
  const { schemaVersion, every, after, slowerThan, when } = snapshot;
  if (!Number.isSafeInteger(schemaVersion) || schemaVersion < 1) {
    refuse("snapshot.schemaVersion", `snapshot.schemaVersion is an integer from 1, not ${shown(schemaVersion)}`);
  }
  for (
    const [name, value, least] of [["every", every, 1], ["after", after, 0], ["slowerThan", slowerThan, 0]] as const
  ) {
    if (value === undefined || typeof value === "number" && value >= least) continue;
    refuse(`snapshot.${name}`, `snapshot.${name} is a number from ${least}, not ${shown(value)}`);
  }
  if (when !== undefined && typeof when !== "function") {
    refuse("snapshot.when", `snapshot.when is a function, not ${shown(when)}`);
  }
}

const ORDERS = {
  load: "load(store, fold, actorId)",
  execute: "execute(store, decider, actorId, command)",
  serve: "serve(store, decider)",
} as const;

/** @throws {InvalidArgumentError} naming the argument that is none, for callers without types */
export function checkArguments(
  call: keyof typeof ORDERS,
  store: EventStore,
  fold: unknown,
  snapshots: SnapshotStore | undefined,
): void {
  const order = ORDERS[call];
  if (typeof store?.readActor !== "function") refuse("store", `${order}: the store is no event store`);
  if (typeof fold !== "object" && typeof fold !== "function" || fold === null) {
    refuse(call === "load" ? "fold" : "decider", `${order}: the second argument is ${shown(fold)}`);
  }
  if (call === "load") checkFunctions("fold", fold, FOLD);
  else checkFunctions("decider", fold, DECIDER);
  if (snapshots !== undefined) checkFunctions("snapshots", snapshots, SNAPSHOTS);
}

/** @throws {InvalidArgumentError} if the fold has other actors; {@linkcode InvalidActorIdError} */
export function checkActor<State, E extends Event>({ events }: DecodingFold<State, E>, actorId: string): void {
  if (typeof actorId !== "string") {
    throw new InvalidActorIdError(
      { actorId: String(actorId) },
      `An actor id is a text that is not empty, not ${
        shown(actorId)
      }; execute takes (store, decider, actorId, command)`,
    );
  }
  checkActorId(actorId);
  if (events === undefined || events.actorTypes.includes(actorTypeOf(actorId))) return;
  const known = events.actorTypes.join(", ");
  refuse(
    "actorId",
    `${JSON.stringify(actorId)} is of the actor type ${actorTypeOf(actorId)}, this decider knows: ${known}`,
  );
}

/** @throws {InvalidArgumentError} for what `decide` may not give */
export function decidedEvents(decided: unknown): readonly NewEvent[] {
  const events: readonly unknown[] = Array.isArray(decided) ? decided : [decided];
  for (const event of events) {
    if (typeof event === "object" && event !== null && !isPromise(event)) continue;
    if (isPromise(event)) {
      abandon(event);
      refuse("decide", "decide gave a promise: it is synchronous, and gives an event or an array of them");
    }
    if (decided === undefined) {
      refuse("decide", "decide gave undefined: is a command not handled, or a return missing?");
    }
    refuse("decide", `decide gives an event or an array of events, not ${shown(event)}`);
  }
  return events as readonly NewEvent[];
}
