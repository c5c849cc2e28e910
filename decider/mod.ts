/**
 * Deciders: commands to events, events to state; loading, executing, snapshots.
 * @module
 */
export { type Decider, defineDecider, type Fold, type SnapshotPolicy } from "./decider.ts";
export { execute, type Executed, type ExecuteOptions } from "./execute.ts";
export { forgetActor, type ForgetOptions } from "./forget.ts";
export { load, type Loaded, type LoadOptions } from "./load.ts";
export { replay } from "./standing.ts";
export { StateCache, type StateCacheOptions } from "./state_cache.ts";
