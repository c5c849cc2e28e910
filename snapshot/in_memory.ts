import { checkActorId } from "../actor_id.ts";
import type { Abortable } from "../store/event_store.ts";
import { checkSchemaVersion, checkSnapshot } from "./check.ts";
import { replaces } from "./replaces.ts";
import type { Snapshot, SnapshotOptions, SnapshotStore } from "./snapshot_store.ts";

/**
 * Keeps snapshots in this process, with the semantics of the store in a KV bucket: for tests, prototypes and
 * short-lived state. What was saved and what is given are copies: changing either changes nothing here.
 *
 * @example
 * ```ts
 * import { InMemorySnapshotStore } from "@aether/aether";
 *
 * const snapshots = new InMemorySnapshotStore();
 * await snapshots.saveSnapshot({
 *   actorId: "counter-1",
 *   version: 7,
 *   position: 12,
 *   state: { total: 42 },
 *   schemaVersion: 1,
 *   timestamp: new Date().toISOString(),
 * });
 * console.log((await snapshots.getLatestSnapshot("counter-1", { schemaVersion: 1 }))?.state); // { total: 42 }
 * ```
 */
export class InMemorySnapshotStore<State = unknown> implements SnapshotStore<State> {
  readonly #snapshots = new Map<string, Snapshot<State>>();

  /**
   * Takes effect before it returns.
   *
   * @throws {InvalidArgumentError} naming the field, or the path (`state.items[2]`) of what JSON cannot carry
   * @throws {InvalidActorIdError}
   */
  saveSnapshot(snapshot: Snapshot<State>, options: Abortable = {}): Promise<void> {
    return answer(options, () => {
      const copy = checkSnapshot(snapshot) as Snapshot<State>;
      if (replaces(copy, this.#snapshots.get(copy.actorId))) this.#snapshots.set(copy.actorId, copy);
    });
  }

  /**
   * Undefined if there is none of this shape.
   *
   * @throws {InvalidArgumentError} {@linkcode InvalidActorIdError}
   */
  getLatestSnapshot(actorId: string, options: SnapshotOptions = {}): Promise<Snapshot<State> | undefined> {
    return answer(options, () => {
      checkActorId(actorId);
      const schemaVersion = checkSchemaVersion(options.schemaVersion);
      const snapshot = this.#snapshots.get(actorId);
      if (snapshot === undefined || (schemaVersion ?? snapshot.schemaVersion) !== snapshot.schemaVersion) {
        return undefined;
      }
      return checkSnapshot(snapshot) as Snapshot<State>;
    });
  }

  /**
   * Resolves if there is none.
   *
   * @throws {InvalidActorIdError}
   */
  deleteSnapshot(actorId: string, options: Abortable = {}): Promise<void> {
    return answer(options, () => {
      checkActorId(actorId);
      this.#snapshots.delete(actorId);
    });
  }
}

// All work is done before the promise is there, so that calls take effect in their order.
function answer<T>({ signal }: Abortable, work: () => T): Promise<T> {
  try {
    signal?.throwIfAborted();
    return Promise.resolve(work());
  } catch (error) {
    return Promise.reject(error);
  }
}
