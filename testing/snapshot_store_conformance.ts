import type { SnapshotStore } from "../snapshot/snapshot_store.ts";
import { casesOf, type ConformanceCase } from "./conformance.ts";
import { badInput } from "./snapshot_store/bad_input.ts";
import { keeping } from "./snapshot_store/keeping.ts";
import { replacing } from "./snapshot_store/replacing.ts";
import type { SnapshotPromises } from "./snapshot_store/scene.ts";

const PROMISES: SnapshotPromises = { ...keeping, ...replacing, ...badInput };

/** Options of {@linkcode snapshotStoreConformance}. */
export interface SnapshotStoreConformanceOptions {
  /**
   * `open` called twice with one namespace gives two stores over the same snapshots: the cases that race then go over
   * several of them, as several processes would. @default false
   */
  readonly shared?: boolean;
}

/**
 * Every promise of a snapshot store, for any test runner: each case opens a namespace of its own, and is named after
 * what it holds the store to. Stores that can be closed (`AsyncDisposable`) are closed.
 *
 * @example
 * ```ts
 * import { InMemorySnapshotStore } from "@aether/aether";
 * import { snapshotStoreConformance } from "@aether/aether/testing";
 * import { it } from "node:test";
 *
 * for (const { name, run } of snapshotStoreConformance(() => new InMemorySnapshotStore())) it(name, run);
 * ```
 */
export function snapshotStoreConformance(
  open: (namespace: string) => SnapshotStore | Promise<SnapshotStore>,
  { shared = false }: SnapshotStoreConformanceOptions = {},
): ConformanceCase[] {
  return casesOf(PROMISES, async (namespace, keep) => {
    const opened = (name: string): Promise<SnapshotStore> => keep<SnapshotStore & Partial<AsyncDisposable>>(open(name));
    const store = await opened(namespace);
    return {
      store,
      another: () => shared ? opened(namespace) : Promise.resolve(store),
      elsewhere: () => opened(`${namespace}-else`),
    };
  });
}
