import type { Decider } from "../decider/decider.ts";
import { execute, type ExecuteOptions } from "../decider/execute.ts";
import { ActorSnapshots } from "../decider/snapshots.ts";
import { placeIn, StateCache } from "../decider/state_cache.ts";
import { isAetherError } from "../errors.ts";
import type { Event, Metadata } from "../event.ts";
import type { StandardSchema } from "../schema/standard_schema.ts";
import type { EventStore } from "../store/event_store.ts";
import { harmless } from "../store/observer.ts";
import type { Actor } from "./actor_host.ts";
import type { Clock } from "./clock.ts";
import { rejection, validated } from "./command_schema.ts";
import { type Outcome, outcomeOf, type Task, type Told } from "./task.ts";

/** Milliseconds before an append whose outcome is unknown is repeated: at first, and at most. */
const REPEAT = { least: 10, most: 1_000 } as const;

/** What a served decider is given. */
export interface ServedDeciderParts<State, Command, E extends Event> {
  readonly clock: Clock;
  readonly store: EventStore;
  readonly decider: Decider<State, Command, E>;
  readonly options: Pick<ExecuteOptions, "snapshots" | "retries" | "metadata" | "cache" | "observer">;
  /** Checks what comes as a command, and may change it. */
  readonly commands: StandardSchema<unknown, Command> | undefined;
}

/** A command on its way through `execute`, and what the decider threw: any other error is none of its refusals. */
interface Parcel<Command> {
  readonly command: Command;
  refusal?: { readonly error: unknown };
}

/** A decider whose actors live in memory: it executes as `execute` does, and its refusals are known from other errors. */
export class ServedDecider<State, Command, E extends Event> {
  readonly parts: ServedDeciderParts<State, Command, E>;
  readonly decider: Decider<State, Parcel<Command>, E>;

  constructor(parts: ServedDeciderParts<State, Command, E>) {
    const { decider } = parts;
    const { events, snapshot } = decider;
    this.parts = parts;
    this.decider = {
      ...(events === undefined ? {} : { events }),
      ...(snapshot === undefined ? {} : { snapshot }),
      initialState: () => decider.initialState(),
      evolve: (state, event) => decider.evolve(state, event),
      decide(parcel, state) {
        delete parcel.refusal;
        try {
          return decider.decide(parcel.command, state);
        } catch (error) {
          parcel.refusal = { error };
          throw error;
        }
      },
    };
  }

  /** An actor that is not in memory. */
  readonly activate = (actorId: string): Actor => new DecidingActor(this, actorId);
}

class DecidingActor<State, Command, E extends Event> implements Actor {
  readonly #served: ServedDecider<State, Command, E>;
  readonly #actorId: string;
  /** Of this actor alone: it goes with it. */
  readonly #cache: StateCache;

  constructor(served: ServedDecider<State, Command, E>, actorId: string) {
    this.#served = served;
    this.#actorId = actorId;
    this.#cache = served.parts.options.cache ?? new StateCache({ size: 1 });
  }

  async run(task: Task): Promise<Outcome> {
    const { commands } = this.#served.parts;
    if (commands === undefined) return outcomeOf(await this.#settle(task, task.command as Command));
    const checked = await validated(commands, task.command);
    return outcomeOf("told" in checked ? checked.told : await this.#settle(task, checked.command));
  }

  passivate(): void {
    const { store, options: { snapshots, cache, observer } } = this.#served.parts;
    const { decider } = this.#served;
    if (cache !== undefined || snapshots === undefined || decider.snapshot === undefined) return;
    const { standing } = placeIn(this.#cache, store, decider, this.#actorId);
    if (standing === undefined) return;
    const policy = { ...decider.snapshot, every: 1 } as NonNullable<Decider<unknown, unknown, E>["snapshot"]>;
    new ActorSnapshots(snapshots, policy, this.#actorId, harmless(observer)).consider(standing, 0);
  }

  /** Executes until what became of it is known: nothing else of this actor may be answered before. */
  async #settle(task: Task, command: Command): Promise<Told> {
    const { clock } = this.#served.parts;
    const { tenure } = task;
    let isUnknown = false;
    for (let pause: number = REPEAT.least;; pause = Math.min(2 * pause, REPEAT.most)) {
      const parcel: Parcel<Command> = { command };
      try {
        return await this.#execute(task, parcel);
      } catch (error) {
        const { refusal } = parcel;
        const isRefusal = refusal !== undefined && refusal.error === error;
        if (!isRefusal && isAetherError(error, "FENCED")) {
          return { answer: { kind: isUnknown ? "unknown" : "notOwner" }, fencedBy: error.epoch };
        }
        if (!isRefusal && isAetherError(error, "UNKNOWN_OUTCOME")) isUnknown = true;
        else if (!isUnknown || isRefusal || isSettling(error)) return toldOf(error, isRefusal);
        if (!tenure.holds || isAetherError(error, "CLOSED")) return { answer: { kind: "unknown" } };
        await clock.sleep(pause * (0.5 + Math.random() / 2), tenure.signal);
      }
    }
  }

  async #execute({ actorId, commandId, metadata, tenure }: Task, parcel: Parcel<Command>): Promise<Told> {
    const { store, options } = this.#served.parts;
    const { snapshots, retries, observer } = options;
    const shared: Metadata = { ...options.metadata, ...metadata };
    const { version, position, events, duplicate } = await execute<Event, State, Parcel<Command>, E, string>(
      store,
      this.#served.decider,
      actorId,
      parcel,
      {
        ...(snapshots === undefined ? {} : { snapshots }),
        ...(retries === undefined ? {} : { retries }),
        ...(observer === undefined ? {} : { observer }),
        cache: this.#cache,
        metadata: shared,
        commandId,
        fence: tenure.fence,
      },
    );
    const answer = { kind: "result", result: { actorId, version, position, events, duplicate } } as const;
    if (duplicate) return { answer, otherwise: { kind: "unknown" }, memory: "timed", isStored: true };
    if (events.length > 0) return { answer, memory: "timed", isStored: true };
    return { answer, otherwise: { kind: "notOwner" }, memory: "timed" };
  }
}

/** Whether an error proves that no earlier attempt is stored, nor can be. */
function isSettling(error: unknown): boolean {
  return isAetherError(error, "VERSION_CONFLICT") || isAetherError(error, "ACTOR_DELETED");
}

function toldOf(error: unknown, isRefusal: boolean): Told {
  if (!isRefusal && isAetherError(error, "UNAVAILABLE")) {
    return { answer: { kind: "unavailable", reason: error.reason } };
  }
  // The store of this node is closed: that of the next owner is not.
  if (!isRefusal && isAetherError(error, "CLOSED")) return { answer: { kind: "unavailable", reason: error.message } };
  return rejection(error);
}
