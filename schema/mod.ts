/**
 * Event catalogues: validation by any Standard Schema, upcasting, and typed views of stores and buses.
 * @module
 */
export { defineEvents, type DefineEventsOptions } from "./define_events.ts";
export type * from "./event_catalogue.ts";
export type * from "./event_definition.ts";
export type * from "./standard_schema.ts";
export { typed } from "./typed.ts";
