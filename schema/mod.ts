/**
 * Event catalogues: validation by any Standard Schema, upcasting, and typed views of stores and buses.
 * @module
 */
export type * from "./event_catalogue.ts";
export type * from "./standard_schema.ts";
