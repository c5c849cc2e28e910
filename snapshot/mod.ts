/**
 * Snapshots: the interface, and its implementations in memory and in a NATS KV bucket.
 * @module
 */
export { InMemorySnapshotStore } from "./in_memory.ts";
export { KvSnapshotStore } from "./kv.ts";
export type { KvSnapshotOptions } from "./kv_options.ts";
export type * from "./snapshot_store.ts";
