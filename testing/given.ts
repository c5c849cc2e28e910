/** Given these events, when this command, expect that: decisions under test. */
import assert from "node:assert/strict";
import { actorTypeOf } from "../actor_id.ts";
import { copyEvent, type Event, type NewEvent } from "../event.ts";
import { checkDecider, decidedEvents } from "../decider/check.ts";
import type { Decider } from "../decider/decider.ts";
import { execute } from "../decider/execute.ts";
import { load } from "../decider/load.ts";
import { evolved } from "../decider/standing.ts";
import { isPromise, mapAll } from "../schema/maybe_promise.ts";
import type { EventStore } from "../store/event_store.ts";
import { copyData } from "../validate.ts";
import { assertError, assertEvents, attempt, attemptAsync, type ExpectedError, refused } from "./expectations.ts";

/**
 * A decision under test. Each expectation throws an AssertionError that shows what differs, which every test runner knows.
 * Not named `then`: that would make it a thenable.
 */
export interface Decision<State, E extends Event> {
  /** Exactly these, in order: their type, data, and what is given of their metadata. */
  expectEvents(events: readonly NewEvent<E>[]): void;
  /** No event. */
  expectNothing(): void;
  /** A refusal: of this class, with a message like this, or for which the function is true. */
  expectError(error?: ExpectedError): void;
  /** The state behind it. */
  expectState(state: State): void;
}

/** The same over a store: each expectation resolves or rejects. */
export interface StoredDecision<State, E extends Event> {
  /** Exactly these, in order, and so they are stored: their type, data, and what is given of their metadata. */
  expectEvents(events: readonly NewEvent<E>[]): Promise<void>;
  /** No event: nothing was stored. */
  expectNothing(): Promise<void>;
  /** A refusal, as of {@linkcode Decision}: nothing was stored. */
  expectError(error?: ExpectedError): Promise<void>;
  /** The state that `execute` gave, and that a load gives. */
  expectState(state: State): Promise<void>;
}

/** Given some events. */
export interface Given<State, Command, E extends Event> {
  /** Decides. */
  when(command: NoInfer<Command>): Decision<State, E>;
  /** The same over a real store: the events are appended to an actor of its own, the command is executed. */
  on(
    store: EventStore,
    options?: GivenOptions,
  ): { /** Executes it. */ when(command: NoInfer<Command>): StoredDecision<State, E> };
}

/** Options of `on`. */
export interface GivenOptions {
  /** Whose. @default a new one of the type of `decider.events`, or of the type `test` */
  readonly actorId?: string | undefined;
}

/**
 * Tests a decider as the pure function that it is, in any test runner. States are frozen: a `decide` or an `evolve` that
 * changes what it is given fails.
 *
 * @example
 * ```ts
 * import { type ActorEvents, defineDecider } from "@aether/aether";
 * import { given } from "@aether/aether/testing";
 *
 * type DoorEvent = ActorEvents<"door", { Opened: { by: string } }>;
 * const door = defineDecider({
 *   initialState: (): { isOpen: boolean } => ({ isOpen: false }),
 *   evolve: (_state, _event: DoorEvent) => ({ isOpen: true }),
 *   decide(command: { open: string }, state) {
 *     if (state.isOpen) throw new Error("it is open");
 *     return { eventType: "Opened", data: { by: command.open } };
 *   },
 * });
 * given(door).when({ open: "Ada" }).expectEvents([{ eventType: "Opened", data: { by: "Ada" } }]);
 * given(door, [{ eventType: "Opened", data: { by: "Ada" } }]).when({ open: "Bob" }).expectError(/is open/);
 * ```
 *
 * @throws {ReplayError} if `evolve` throws
 * @throws {SchemaError} if an event, given or decided, does not fit `decider.events`
 */
export function given<State, Command, E extends Event>(
  decider: Decider<State, Command, E>,
  events: readonly NoInfer<NewEvent<E>>[] = [],
): Given<State, Command, E> {
  checkDecider(decider);
  return {
    when: (command) => decisionOf(decider, events, command),
    on: (store, { actorId = newActorId(decider) } = {}) => ({
      when: (command) => storedDecisionOf(store, decider, actorId, events, command),
    }),
  };
}

function decisionOf<State, Command, E extends Event>(
  decider: Decider<State, Command, E>,
  events: readonly NewEvent<E>[],
  command: Command,
): Decision<State, E> {
  const actorId = newActorId(decider);
  const before = folded(decider, actorId, decider.initialState(), 0, events.map((event) => encoded(decider, event)));
  frozen(before);
  const decision = attempt(() => decider.decide(command, before));
  // What is no decision is no refusal either.
  const list = "value" in decision ? decidedEvents(decision.value) as readonly NewEvent<E>[] : [];
  const outcome = "error" in decision ? decision : attempt(() => list.map((event) => encoded(decider, event)));
  const decided = (): readonly NewEvent<E>[] => {
    if ("error" in outcome) throw refused(outcome.error);
    return outcome.value;
  };
  return {
    expectEvents: (expected) => assertEvents(decided(), expected),
    expectNothing: () => assertEvents(decided(), []),
    expectError: (expected) => assertError(outcome, expected),
    expectState(expected): void {
      assert.deepEqual(folded(decider, actorId, before, events.length, decided()), expected);
    },
  };
}

function storedDecisionOf<State, Command, E extends Event>(
  store: EventStore,
  decider: Decider<State, Command, E>,
  actorId: string,
  events: readonly NewEvent<E>[],
  command: Command,
): StoredDecision<State, E> {
  const run = async () => {
    const stored = await mapAll(events, (event) => decider.events?.encode(event, actorId) ?? event);
    if (stored.length > 0) await store.append(actorId, stored, { expectedVersion: 0 });
    const outcome = await attemptAsync(() => execute(store as EventStore<E>, decider, actorId as never, command));
    return { outcome, version: await store.getLatestVersion(actorId) };
  };
  const running = run();
  running.catch(() => {}); // whoever expects something is told
  const executed = async () => {
    const { outcome } = await running;
    if ("error" in outcome) throw refused(outcome.error);
    return outcome.value;
  };
  return {
    async expectEvents(expected): Promise<void> {
      assertEvents((await executed()).events, expected);
      const stored = await store.getEvents(actorId, events.length + 1);
      const decoded = await mapAll(stored, (event) => decider.events ? decider.events.decode(event) : event);
      assertEvents(decoded as readonly NewEvent[], expected);
    },
    async expectNothing(): Promise<void> {
      assertEvents((await executed()).events, []);
      assert.equal((await running).version, events.length, "something was stored");
    },
    async expectError(expected): Promise<void> {
      const { outcome, version } = await running;
      assertError("error" in outcome ? outcome : { value: outcome.value.events }, expected);
      assert.equal(version, events.length, "something was stored");
    },
    async expectState(expected): Promise<void> {
      assert.deepEqual((await executed()).state, expected);
      assert.deepEqual((await load(store as EventStore<E>, decider, actorId as never)).state, expected);
    },
  };
}

/** As it would be stored. An asynchronous schema has no say here: over a store it has. */
function encoded<State, Command, E extends Event>(
  { events }: Decider<State, Command, E>,
  event: NewEvent<E>,
): NewEvent<E> {
  const plain = { ...event, data: copyData(event.data) };
  const encoded = events?.encode(plain) ?? plain;
  if (!isPromise(encoded)) return encoded as NewEvent<E>;
  encoded.catch(() => {});
  return plain as NewEvent<E>;
}

function folded<State, Command, E extends Event>(
  decider: Decider<State, Command, E>,
  actorId: string,
  before: State,
  version: number,
  events: readonly NewEvent<E>[],
): State {
  return events.reduce((state, event) => {
    const { id = crypto.randomUUID(), timestamp = new Date().toISOString() } = event;
    frozen(state);
    return evolved(decider, state, copyEvent({ ...event, id, timestamp, actorId, version: ++version } as unknown as E));
  }, before);
}

/** A state is never changed but replaced: plain objects and arrays are frozen, so that whoever changes one is told. */
function frozen(state: unknown): void {
  if (typeof state !== "object" || state === null || Object.isFrozen(state)) return;
  if (!Array.isArray(state) && Object.getPrototypeOf(state) !== Object.prototype) return;
  Object.freeze(state);
  for (const part of Object.values(state)) frozen(part);
}

function newActorId<State, Command, E extends Event>({ events }: Decider<State, Command, E>): string {
  const [actorType = "test"] = events?.actorTypes ?? [];
  return actorTypeOf(actorType) === actorType ? `${actorType}-${crypto.randomUUID()}` : actorType;
}
