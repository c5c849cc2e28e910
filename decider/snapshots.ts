/** Which snapshot a load may use, and when one is saved. */
import { isAetherError } from "../errors.ts";
import type { Event } from "../event.ts";
import type { StandardResult } from "../schema/standard_schema.ts";
import { checkFacts } from "../snapshot/check.ts";
import type { Snapshot, SnapshotStore } from "../snapshot/snapshot_store.ts";
import type { Observer } from "../store/observer.ts";
import { untilAborted } from "../store/operation.ts";
import type { SnapshotPolicy } from "./decider.ts";
import type { Standing, Trusted } from "./standing.ts";

/** Milliseconds that a load waits for a snapshot: behind that it reads all events. */
const LOOK_PATIENCE = 2_000;
/** Milliseconds that a save or a deletion may take before it is given up. */
const SAVE_PATIENCE = 30_000;

/** The snapshots of one actor, as one fold uses them: whatever goes wrong with them fails nothing. */
export class ActorSnapshots<State> {
  readonly #store: SnapshotStore;
  readonly #policy: SnapshotPolicy<State>;
  readonly #actorId: string;
  readonly #observer: Observer | undefined;

  constructor(store: SnapshotStore, policy: SnapshotPolicy<State>, actorId: string, observer: Observer | undefined) {
    this.#store = store;
    this.#policy = policy;
    this.#actorId = actorId;
    this.#observer = observer;
  }

  /** The latest; undefined if there is none that can be read. */
  async latest(signal: AbortSignal | undefined): Promise<Snapshot | undefined> {
    try {
      const snapshot = await within(LOOK_PATIENCE, signal, (signal) => {
        return this.#store.getLatestSnapshot(this.#actorId, { signal });
      });
      if (snapshot === undefined || isSnapshotOf(this.#actorId, snapshot)) return snapshot;
    } catch (error) {
      signal?.throwIfAborted();
      this.#ignored(String(error));
      return undefined;
    }
    await this.isWrong("it is no snapshot of this actor", signal);
    return undefined;
  }

  /** It, with its state as its schema gives it; undefined if it may not be used. */
  async trusted(snapshot: Snapshot, signal: AbortSignal | undefined): Promise<Trusted<State> | undefined> {
    const { schemaVersion, schema } = this.#policy;
    if (snapshot.schemaVersion !== schemaVersion) {
      return this.#ignored(`its schemaVersion is ${snapshot.schemaVersion}, not ${schemaVersion}`);
    }
    if (schema === undefined) return { snapshot, state: snapshot.state as State };
    let result: StandardResult<State>;
    try {
      // In a function, since it may throw.
      result = await within(LOOK_PATIENCE, signal, async () => await schema["~standard"].validate(snapshot.state));
    } catch (error) {
      signal?.throwIfAborted();
      return this.#ignored(`its schema: ${error}`);
    }
    if (result.issues === undefined) return { snapshot, state: result.value };
    await this.isWrong(result.issues.map(({ message }) => message).join("; "), signal);
    return undefined;
  }

  /** Deletes one that proved wrong: otherwise a lie about the version would keep out all that is true. */
  async isWrong(reason: string, signal: AbortSignal | undefined): Promise<void> {
    this.#ignored(reason);
    await this.erase(signal);
  }

  /** Deletes it, now or at the next load. */
  async erase(signal: AbortSignal | undefined): Promise<void> {
    try {
      await within(SAVE_PATIENCE, signal, (signal) => this.#store.deleteSnapshot(this.#actorId, { signal }));
    } catch (error) {
      signal?.throwIfAborted();
      this.#failed(error);
    }
  }

  /** Saves the state if it is worth keeping, in nobody's way. `took`: milliseconds of the load. */
  consider<E extends Event>(standing: Standing<State, E>, took: number): void {
    const { version, position, state, events, deleted } = standing;
    if (deleted || events === 0 || !this.#isDue(standing, took)) return;
    const { schemaVersion } = this.#policy;
    const now = Date.now();
    const commands = standing.commands.isWhole ? { commands: standing.commands.records } : {};
    const timestamp = new Date(now).toISOString();
    const snapshot = { actorId: this.#actorId, version, position, state, schemaVersion, timestamp, ...commands };
    if (!begin(this.#store, this.#actorId, () => this.#save(snapshot))) return;
    standing.events = 0;
    standing.savedAt = now;
  }

  #isDue<E extends Event>({ state, version, events, savedAt }: Standing<State, E>, took: number): boolean {
    const { every = Infinity, after = Infinity, slowerThan = Infinity, when } = this.#policy;
    if (events >= every || took > slowerThan || after < Infinity && Date.now() - savedAt >= after) return true;
    try {
      return when?.(state, { version, events }) ?? false;
    } catch (error) {
      this.#failed(error); // the command has succeeded
      return false;
    }
  }

  async #save(snapshot: Snapshot): Promise<void> {
    try {
      await within(SAVE_PATIENCE, undefined, (signal) => this.#store.saveSnapshot(snapshot, { signal }), true);
    } catch (error) {
      this.#failed(error);
    }
  }

  #ignored(reason: string): undefined {
    this.#observer?.event?.("snapshotIgnored", { actorId: this.#actorId, reason });
  }

  #failed(error: unknown): void {
    this.#observer?.event?.("snapshotFailed", { actorId: this.#actorId, reason: String(error) });
  }
}

/** Saves that are under way: one of an actor at a time, so that a store that hangs is not given more and more. */
const saving = new WeakMap<SnapshotStore, Map<string, Promise<void>>>();

function begin(store: SnapshotStore, actorId: string, save: () => Promise<void>): boolean {
  const saves = saving.get(store) ?? new Map<string, Promise<void>>();
  saving.set(store, saves);
  if (saves.has(actorId)) return false;
  saves.set(actorId, save().finally(() => saves.delete(actorId)));
  return true;
}

/** Resolves when nothing of an actor is being saved from here. */
export async function saved(store: SnapshotStore, actorId: string): Promise<void> {
  await saving.get(store)?.get(actorId);
}

/** Stores may be anybody's. */
function isSnapshotOf(actorId: string, snapshot: Snapshot): boolean {
  try {
    checkFacts({ ...snapshot });
    return snapshot.actorId === actorId && snapshot.state !== undefined;
  } catch (error) {
    if (!isAetherError(error)) throw error;
    return false;
  }
}

/** A process does not stay for it. */
function unref(timer: unknown): void {
  const { Deno: deno } = globalThis as { readonly Deno?: { unrefTimer(id: unknown): void } };
  if (typeof timer === "object") (timer as { unref?(): void }).unref?.();
  else deno?.unrefTimer(timer);
}

/** The outcome, unless time is up or the signal comes first, whether or not the work heeds it. */
async function within<T>(
  milliseconds: number,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
  inBackground = false,
): Promise<T> {
  signal?.throwIfAborted();
  const ending = new AbortController();
  const either = signal === undefined ? ending.signal : AbortSignal.any([signal, ending.signal]);
  const timer = setTimeout(() => {
    ending.abort(new DOMException(`no answer within ${milliseconds} ms`, "TimeoutError"));
  }, milliseconds);
  if (inBackground) unref(timer);
  try {
    return await untilAborted(work(either), either);
  } finally {
    clearTimeout(timer);
  }
}
