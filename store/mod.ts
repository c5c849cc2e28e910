/**
 * Event stores: the interface, and its implementations in memory and on JetStream.
 * @module
 */
export type * from "./event_store.ts";
export type { Fence } from "./fence.ts";
export { importEvents, type ImportOptions } from "./import.ts";
export type { ImportProgress } from "./import_window.ts";
export { InMemoryEventStore, type InMemoryOptions } from "./in_memory.ts";
export { JetStreamEventStore } from "./jetstream.ts";
export type { JetStreamOptions } from "./jetstream_options.ts";
export type { Attributes, Observed, Observer } from "./observer.ts";
export { shardOf } from "./shard.ts";
