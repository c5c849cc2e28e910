import type { SnapshotStore } from "../snapshot/snapshot_store.ts";
import type { ConformanceCase } from "./event_store/scene.ts";
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
  const run = crypto.randomUUID().slice(0, 8);
  return Object.entries(PROMISES).map(([name, keep], index) => ({
    name,
    async run(): Promise<void> {
      const stores: (SnapshotStore & Partial<AsyncDisposable>)[] = [];
      const namespace = `conformance-${run}-${index}`;
      const opened = async (namespace: string): Promise<SnapshotStore> => {
        const store = await open(namespace);
        stores.push(store);
        return store;
      };
      try {
        const store = await opened(namespace);
        await keep({
          store,
          another: () => shared ? opened(namespace) : Promise.resolve(store),
          elsewhere: () => opened(`${namespace}-else`),
        });
      } finally {
        for (const store of stores) await store[Symbol.asyncDispose]?.();
      }
    },
  }));
}
