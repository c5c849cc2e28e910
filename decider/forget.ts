import { checkOptionNames, namesOf } from "../options.ts";
import type { SnapshotStore } from "../snapshot/snapshot_store.ts";
import type { EventStore, SaveOptions } from "../store/event_store.ts";
import { untilAborted } from "../store/operation.ts";
import { saved } from "./snapshots.ts";
import type { StateCache } from "./state_cache.ts";

/** Options of `forgetActor`. */
export interface ForgetOptions extends SaveOptions {
  /** Where the actor's snapshot is. */
  readonly snapshots?: SnapshotStore | undefined;
  /** Where its state may be. */
  readonly cache?: StateCache | undefined;
}

const NAMES = namesOf<ForgetOptions>({ snapshots: true, cache: true, fence: true, signal: true });

/**
 * Deletes the actor, its snapshot, and what a cache holds of it. Should it break off between the two, call it again; a
 * snapshot that is left is never used, and erased by the next load. Read models forget the actor by its deletion.
 *
 * @throws as `deleteActor` and `deleteSnapshot` do
 */
export async function forgetActor(
  store: Pick<EventStore, "deleteActor">,
  actorId: string,
  options: ForgetOptions = {},
): Promise<void> {
  checkOptionNames("forgetActor", options, NAMES);
  const { snapshots, cache, fence, signal } = options;
  await store.deleteActor(actorId, { fence, signal });
  cache?.delete(actorId);
  if (snapshots === undefined) return;
  // One that is under way would come back.
  await untilAborted(saved(snapshots, actorId), signal);
  await snapshots.deleteSnapshot(actorId, { signal });
}
