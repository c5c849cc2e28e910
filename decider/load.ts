import { isAetherError } from "../errors.ts";
import type { Event, OwnId } from "../event.ts";
import { checkOptionNames, namesOf } from "../options.ts";
import type { CommandRecord, Snapshot, SnapshotStore } from "../snapshot/snapshot_store.ts";
import type { Abortable, AtLeast, Consistency, EventStore } from "../store/event_store.ts";
import { harmless, observed, type Observer } from "../store/observer.ts";
import { checkActor, checkArguments } from "./check.ts";
import type { Fold, SnapshotPolicy } from "./decider.ts";
import { ActorSnapshots } from "./snapshots.ts";
import { type DecodingFold, Standing, type Trusted } from "./standing.ts";

/** Options of `load`. */
export interface LoadOptions extends Abortable, AtLeast {
  /** Where to look for a snapshot; used if the fold has a `snapshot` policy. */
  readonly snapshots?: SnapshotStore | undefined;
  /** As of this version, inclusive. */
  readonly toVersion?: number | undefined;
  /** As of this position, inclusive: several actors as of one moment. */
  readonly toPosition?: number | undefined;
  /** How fresh it must be. @default "session" */
  readonly consistency?: Consistency | undefined;
  /** Told of the load, and of snapshots that were ignored (`snapshotIgnored`: `actorId`, `reason`). */
  readonly observer?: Observer | undefined;
}

const NAMES = namesOf<LoadOptions>({
  snapshots: true,
  toVersion: true,
  toPosition: true,
  consistency: true,
  atLeast: true,
  observer: true,
  signal: true,
});

/** A state and where it stands. */
export interface Loaded<State> {
  /** Not to be changed: others may hold it. */
  readonly state: State;
  /** 0 if the actor has no events. */
  readonly version: number;
  /** Of the commit with the last event; 0 if there is none. */
  readonly position: number;
}

/**
 * Loads the state of an actor: the latest snapshot that can be trusted and the events behind it, or all events. With a
 * snapshot it takes two to three round trips whatever the history. A snapshot that proves wrong is ignored, reported to
 * the observer and deleted; one that cannot be read costs time and nothing else. Of a deleted actor it gives the initial
 * state at its last version, and deletes the snapshot.
 *
 * @throws {ReplayError} if `evolve` throws
 * @throws {SchemaError} if a stored event does not fit `fold.events`
 * @throws {InvalidArgumentError} if the actor is none of the types of `fold.events`
 */
export async function load<Stored extends Event, State, E extends Stored, const Id extends string>(
  store: EventStore<Stored>,
  fold: Fold<State, E> & { readonly snapshot?: SnapshotPolicy<State> | undefined },
  actorId: Id & OwnId<NoInfer<E>, Id>,
  options: LoadOptions = {},
): Promise<Loaded<State>> {
  checkOptionNames("load", options, NAMES);
  checkArguments("load", store, fold, options.snapshots);
  const observer = harmless(options.observer);
  const work = async (): Promise<Loaded<State>> => {
    const { standing: { state, version, position } } = await loadStanding(store, fold, actorId, {
      ...options,
      observer,
    });
    return { state, version, position };
  };
  if (observer === undefined) return await work();
  return await observed(
    observer,
    "load",
    { namespace: store.namespace, actorId },
    work,
    ({ version }) => ({ version }),
  );
}

/** What `load` and `execute` fold with. */
export type LoadableFold<State, E extends Event> = DecodingFold<State, E> & {
  readonly snapshot?: SnapshotPolicy<State> | undefined;
};

/** What was loaded. */
export interface LoadedStanding<State, E extends Event> {
  readonly standing: Standing<State, E>;
  /** The commit that the command led to, if it was met. */
  readonly command: CommandRecord | undefined;
}

/** As `load`; looks for a command on the way. */
export async function loadStanding<State, E extends Event>(
  store: EventStore,
  fold: LoadableFold<State, E>,
  actorId: string,
  options: LoadOptions & { readonly commandId?: string | undefined },
): Promise<LoadedStanding<State, E>> {
  checkActor(fold, actorId);
  const { snapshots, observer, signal, atLeast, toVersion = Infinity, toPosition = Infinity } = options;
  const actor = snapshots && fold.snapshot && new ActorSnapshots(snapshots, fold.snapshot, actorId, observer);
  const snapshot = await actor?.latest(signal);
  const isOldEnough = snapshot !== undefined && snapshot.version <= toVersion && snapshot.position <= toPosition;
  const trusted = isOldEnough ? await actor?.trusted(snapshot, signal) : undefined;
  const loaded = await loadFrom(store, fold, actorId, options, trusted, actor);
  const { version, deleted } = loaded.standing;
  if (deleted && snapshot !== undefined) await actor?.erase(signal);
  // One of another shape was not looked at closely, but nobody is ahead of the actor. (A replica may be behind.)
  else if (isAhead(snapshot, version) && trusted === undefined && toVersion === Infinity && toPosition === Infinity) {
    const latest = await store.getLatestVersion(actorId, { consistency: "leader", atLeast, signal });
    if (isAhead(snapshot, latest)) {
      await actor?.isWrong(`its version is ${snapshot.version}, the actor's ${latest}`, signal);
    }
  }
  return loaded;
}

function isAhead(snapshot: Snapshot | undefined, version: number): snapshot is Snapshot {
  return snapshot !== undefined && snapshot.version > version;
}

async function loadFrom<State, E extends Event>(
  store: EventStore,
  fold: LoadableFold<State, E>,
  actorId: string,
  options: LoadOptions & { readonly commandId?: string | undefined },
  trusted: Trusted<State> | undefined,
  snapshots: ActorSnapshots<State> | undefined,
): Promise<LoadedStanding<State, E>> {
  try {
    const standing = new Standing(fold, trusted, options.toVersion);
    return { standing, command: await catchUp(store, standing, actorId, options) };
  } catch (error) {
    const wrong = isNotACommit(error) || isAetherError(error, "REPLAY"); // evolve met a state that it never made
    if (trusted === undefined || !wrong) throw error;
    const loaded = await loadFrom(store, fold, actorId, options, undefined, snapshots);
    await snapshots?.isWrong(String(error), options.signal);
    return loaded;
  }
}

/** Reads on behind a standing; gives the record of a command that it met. */
export async function catchUp<State, E extends Event>(
  store: EventStore,
  standing: Standing<State, E>,
  actorId: string,
  options: LoadOptions & { readonly commandId?: string | undefined },
): Promise<CommandRecord | undefined> {
  const { commandId, toVersion, toPosition, consistency, atLeast, signal } = options;
  const { version, position } = standing;
  const from = position > 0 ? { version, position } : undefined;
  let command: CommandRecord | undefined;
  const range = { toVersion, toPosition, consistency, atLeast, signal, from };
  for await (const commit of store.readActor(actorId, range)) {
    const record = await standing.add(commit);
    if (commandId !== undefined && record?.id === commandId) command = record;
  }
  return command;
}

/** Whether a reader was told to go on behind what is no commit of the actor. */
export function isNotACommit(error: unknown): boolean {
  return isAetherError(error, "INVALID_ARGUMENT") && error.argument === "from";
}
