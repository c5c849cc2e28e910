/**
 * Event buses: the interface.
 * @module
 */
export type * from "./event_bus.ts";
