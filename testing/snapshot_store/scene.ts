/** What the cases of the suite have in common. */
import assert from "node:assert/strict";
import type { Snapshot, SnapshotStore } from "../../snapshot/snapshot_store.ts";

/** A store of a namespace that is empty at first. */
export interface SnapshotScene {
  readonly store: SnapshotStore;
  /** A store over the same snapshots, where the implementation has such a thing: else the same store. */
  another(): Promise<SnapshotStore>;
  /** A store of another namespace. */
  elsewhere(): Promise<SnapshotStore>;
}

/** A promise and what must hold. */
export type SnapshotPromises = Readonly<Record<string, (scene: SnapshotScene) => Promise<void>>>;

/** A snapshot with every field that must be there. */
export function snapshotOf(actorId: string, version: number, more: Partial<Snapshot> = {}): Snapshot {
  const timestamp = "2026-01-31T12:00:00.000Z";
  return { actorId, version, position: 10 * version, state: { at: version }, schemaVersion: 1, timestamp, ...more };
}

/** A state of so many characters, which no compression makes small, that tells its version at every place. */
export function largeState(version: number, size: number): { readonly at: number; readonly lines: readonly string[] } {
  const lines: string[] = [];
  let seed = version;
  for (let length = 0; length < size; length += 1_000) {
    let line = `${version}:`;
    while (line.length < 1_000) line += Math.imul(seed = (seed + 0x6d2b79f5) | 0, 0x2545f491).toString(36);
    lines.push(line);
  }
  return { at: version, lines };
}

/** Fails if a large state is not of one version all over. */
export function assertWhole({ version, state }: Snapshot, size: number): void {
  assert.deepEqual(state, largeState(version, size));
}
