/**
 * Event buses: the interface, and its implementations within a process and on NATS.
 * @module
 */
export type * from "./event_bus.ts";
export { type LocalBusOptions, LocalEventBus } from "./local.ts";
export { NatsEventBus } from "./nats.ts";
export type { NatsBusOptions } from "./nats_options.ts";
