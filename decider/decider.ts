/**
 * Deciders: how commands become events, and events state.
 * @module
 */
import type { Event, NewEvent } from "../event.ts";
import type { EventCatalogue } from "../schema/event_catalogue.ts";
import type { StandardSchema } from "../schema/standard_schema.ts";
import { checkDecider } from "./check.ts";

/** How events become state: pure, synchronous; a state is never changed, but replaced. */
export interface Fold<State, E extends Event> {
  /** Of an actor without events. */
  initialState(): State;
  /** The state behind an event. */
  evolve(state: State, event: E): State;
}

/**
 * When a state is worth keeping: where any of `every`, `after`, `slowerThan` and `when` holds. With none of them no
 * snapshot is saved, and only what others saved is used.
 */
export interface SnapshotPolicy<State> {
  /** Of the state's shape: a snapshot of another is ignored. Raise it when the shape, or `evolve`, changes. */
  readonly schemaVersion: number;
  /** At least so many events since the snapshot that the load used. */
  readonly every?: number | undefined;
  /** Milliseconds since that snapshot was made; there must be an event behind it. With none yet, it is time at once. */
  readonly after?: number | undefined;
  /** Milliseconds that the load took. */
  readonly slowerThan?: number | undefined;
  /** Whatever else makes it worth keeping; `events`: behind the snapshot that the load used. */
  readonly when?:
    | ((state: State, loaded: { readonly version: number; readonly events: number }) => boolean)
    | undefined;
  /** Checks a stored state before it is trusted. */
  readonly schema?: StandardSchema<unknown, State> | undefined;
}

/** How a command becomes events: pure, synchronous. No event means nothing to do; a refusal is thrown. */
export interface Decider<State, Command, E extends Event> extends Fold<State, E> {
  /** Encodes and decodes the events, whatever store they are in. */
  readonly events?: EventCatalogue<E> | undefined;
  /** What happens. */
  decide(command: Command, state: State): NewEvent<E> | readonly NewEvent<E>[];
  /** When a state is worth keeping; without it none is. */
  readonly snapshot?: SnapshotPolicy<State> | undefined;
}

/**
 * Gives a decider its types: none has to be written, no literal widens (hence the `const` parameters).
 *
 * @example
 * ```ts
 * import { type ActorEvents, defineDecider } from "@aether/aether";
 *
 * type CounterEvent = ActorEvents<"counter", { Added: { by: number } }>;
 * const counter = defineDecider({
 *   initialState: () => 0,
 *   evolve: (state: number, event: CounterEvent) => state + event.data.by,
 *   decide: (command: { add: number }) => ({ eventType: "Added", data: { by: command.add } }),
 * });
 * console.log(counter.decide({ add: 2 }, 0));
 * ```
 *
 * @throws {InvalidArgumentError} without one of the three functions, and for a snapshot policy that makes no sense
 */
export function defineDecider<
  State,
  Command,
  E extends Event,
  const Next extends State,
  const Decided extends NewEvent<E> | readonly NewEvent<E>[],
>(decider: {
  readonly events?: EventCatalogue<E> | undefined;
  initialState(): State;
  evolve(state: State, event: E): Next;
  decide(command: Command, state: State): Decided | NewEvent<E> | readonly NewEvent<E>[];
  readonly snapshot?: SnapshotPolicy<State> | undefined;
}): Decider<State, Command, E> {
  checkDecider(decider);
  return decider;
}
