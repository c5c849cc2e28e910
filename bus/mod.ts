/**
 * Event buses: the interface, and its implementation within a process.
 * @module
 */
export type * from "./event_bus.ts";
export { type LocalBusOptions, LocalEventBus } from "./local.ts";
