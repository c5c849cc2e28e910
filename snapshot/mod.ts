/**
 * Snapshots: the interface, and its implementations in memory and in a NATS KV bucket.
 * @module
 */
export type * from "./snapshot_store.ts";
