/**
 * The interface of a snapshot store: states as of a version, so that a load reads only what came behind.
 * @module
 */
import type { Abortable } from "../store/event_store.ts";

/** A command that was executed: by its id it is known again. */
export interface CommandRecord {
  /** The `commandId`. */
  readonly id: string;
  /** Of the commit that it led to. */
  readonly version: number;
  /** Of that commit. */
  readonly position: number;
}

/** State as of a version. */
export interface Snapshot<out State = unknown> {
  /** Whose. */
  readonly actorId: string;
  /** Of the last event that is folded into it. */
  readonly version: number;
  /** Of the commit with that event. */
  readonly position: number;
  /** JSON. */
  readonly state: State;
  /** Of the state's shape. */
  readonly schemaVersion: number;
  /** ISO 8601, UTC, milliseconds: when it was made. */
  readonly timestamp: string;
  /** The last 100 command ids, so that `execute` need not read them; absent where they are not known. */
  readonly commands?: readonly CommandRecord[] | undefined;
}

/** Options of `getLatestSnapshot`. */
export interface SnapshotOptions extends Abortable {
  /** Only one whose state has this shape. */
  readonly schemaVersion?: number | undefined;
}

/**
 * Snapshots of all actors of a namespace, one each: a decider, not the store, knows the type of a state. A snapshot is
 * never the truth, and may be lost at any time.
 */
export interface SnapshotStore<out State = unknown> {
  /**
   * Never replaces a later version by an earlier one, nor at one version a greater `schemaVersion` by a smaller: it then
   * resolves and changes nothing.
   *
   * @throws {InvalidArgumentError} naming the path (`state.items[2]`) of what JSON cannot carry
   */
  saveSnapshot(snapshot: Snapshot<State>, options?: Abortable): Promise<void>;
  /** Undefined if there is none, or none that can be trusted. */
  getLatestSnapshot(actorId: string, options?: SnapshotOptions): Promise<Snapshot<State> | undefined>;
  /** Erases it: no byte of the state is left. Resolves if there is none. */
  deleteSnapshot(actorId: string, options?: Abortable): Promise<void>;
}
