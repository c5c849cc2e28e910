import type { Snapshot } from "./snapshot_store.ts";

/** What decides which of two snapshots of an actor stays. */
export type Age = Pick<Snapshot, "version" | "schemaVersion">;

/** Whether a snapshot takes the place of the one that is there: a later one, or at one version that of a newer shape. */
export function replaces(next: Age, current: Age | undefined): boolean {
  if (current === undefined || next.version !== current.version) return next.version > (current?.version ?? 0);
  return next.schemaVersion > current.schemaVersion;
}
