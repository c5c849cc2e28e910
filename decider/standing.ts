/** A state, where it stands, and how it goes on. */
import { InvalidArgumentError, ReplayError } from "../errors.ts";
import type { Event } from "../event.ts";
import type { EventCatalogue } from "../schema/event_catalogue.ts";
import { abandon, isPromise } from "../schema/maybe_promise.ts";
import type { CommandRecord, Snapshot } from "../snapshot/snapshot_store.ts";
import type { Commit } from "../store/event_store.ts";
import type { Fold } from "./decider.ts";
import { RecentCommands } from "./recent_commands.ts";

/** How events become state, and how they are decoded before. */
export interface DecodingFold<State, E extends Event> extends Fold<State, E> {
  readonly events?: EventCatalogue<E> | undefined;
}

/**
 * Folds events into a state. Those of an untyped store are folded as they are: a typed one has decoded them.
 *
 * @throws {ReplayError} if `evolve` throws, or gives undefined, unless `initialState` does too
 */
export function replay<State, E extends Event>(fold: Fold<State, E>, events: Iterable<NoInfer<E>>): State {
  let state = begun(fold);
  for (const event of events) state = evolved(fold, state, event);
  return state;
}

/** One step, whose error says where. */
export function evolved<State, E extends Event>(fold: Fold<State, E>, state: State, event: E): State {
  let next: State;
  try {
    next = fold.evolve(state, event);
    // Of a state that may be undefined the first one is.
    if (next === undefined && fold.initialState() !== undefined) {
      throw new TypeError("it gave undefined: is an event type not handled, or a return missing?");
    }
  } catch (cause) {
    const { actorId, version, eventType } = event;
    throw new ReplayError({ actorId, version, eventType }, { cause });
  }
  return synchronous("evolve", next);
}

/** The state of an actor without events. */
function begun<State, E extends Event>(fold: Fold<State, E>): State {
  return synchronous("initialState", fold.initialState());
}

function synchronous<State>(argument: "evolve" | "initialState", state: State): State {
  if (!isPromise(state)) return state;
  abandon(state);
  throw new InvalidArgumentError({ argument }, `${argument} is synchronous`);
}

/** A snapshot that holds, and its state as its schema gives it. */
export interface Trusted<State> {
  readonly snapshot: Snapshot;
  readonly state: State;
}

/** The state of an actor as far as it is known here. */
export class Standing<State, E extends Event> {
  state: State;
  version = 0;
  position = 0;
  /** Nothing comes behind a deletion. */
  deleted = false;
  /** Of the owner that is known to have written the last commit, or a seal behind it; 0: not known. */
  epoch = 0;
  /** Events since the last snapshot. */
  events = 0;
  /** Milliseconds since 1970, of the last snapshot; -Infinity: there is none. */
  savedAt = -Infinity;
  commands: RecentCommands;
  readonly #fold: DecodingFold<State, E>;
  readonly #toVersion: number;

  /** Before the actor's first event, or as of a snapshot with its state; what is added may lie up to a version. */
  constructor(fold: DecodingFold<State, E>, from: Trusted<State> | undefined, toVersion = Infinity) {
    this.#fold = fold;
    this.#toVersion = toVersion;
    this.state = from === undefined ? begun(fold) : from.state;
    this.commands = from === undefined ? RecentCommands.ofAll() : RecentCommands.ofSnapshot(from.snapshot);
    if (from === undefined) return;
    this.version = from.snapshot.version;
    this.position = from.snapshot.position;
    this.savedAt = Date.parse(from.snapshot.timestamp);
  }

  /** Folds the actor's next commit, as it is stored; gives the record of the command that led to it. */
  async add(commit: Commit): Promise<CommandRecord | undefined> {
    if (commit.deleted) return this.#bury(commit);
    const { events: catalogue } = this.#fold;
    let { state } = this;
    for (const stored of commit.events) {
      const decoded = catalogue === undefined ? stored as E : catalogue.decode(stored);
      const event = isPromise(decoded) ? await decoded : decoded; // a step for each costs more than the rest
      if (event !== undefined) state = evolved(this.#fold, state, event);
    }
    return this.take(commit, state);
  }

  /** Takes a commit whose events are folded already. */
  take(commit: Commit, state: State): CommandRecord | undefined {
    this.state = state;
    // Of a commit that lies partly in the range only what lies in it; its last event may be one that is skipped.
    this.version = Math.min(commit.version, this.#toVersion);
    this.position = commit.position;
    this.events += commit.events.length;
    return this.commands.add(commit);
  }

  #bury({ version, position }: Commit): undefined {
    this.state = begun(this.#fold);
    this.version = version;
    this.position = position;
    this.deleted = true;
  }
}
