/**
 * Deciders: commands to events, events to state; loading, executing, snapshots.
 * @module
 */
export { type Decider, defineDecider, type Fold, type SnapshotPolicy } from "./decider.ts";
