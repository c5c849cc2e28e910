/**
 * Event sourcing primitives powered by NATS JetStream.
 * @module
 */
export * from "./errors.ts";
export {
  type ActorEvents,
  type ActorId,
  type ActorTypeOf,
  causedBy,
  createEvent,
  type Event,
  type EventsFor,
  type Metadata,
  type NewEvent,
  type OwnId,
  type Select,
} from "./event.ts";
export * from "./store/mod.ts";
export * from "./snapshot/mod.ts";
export * from "./bus/mod.ts";
export * from "./schema/mod.ts";
export * from "./decider/mod.ts";
export * from "./cluster/mod.ts";
