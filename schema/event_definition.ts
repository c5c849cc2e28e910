/** What an event type is defined by, and the type of its data. */
import type { StandardSchema } from "./standard_schema.ts";

/** An event type that has a history. */
export interface VersionedDefinition<Data> {
  /** Of the data as it is written today. */
  readonly schema: StandardSchema<unknown, Data>;
  /** Of the data's shape; stored in the metadata. Raise it with every change that old data does not fit. @default 1 */
  readonly schemaVersion?: number | undefined;
  /**
   * From version n to n + 1, for every n below `schemaVersion`: pure. Annotate the parameter with the old shape. It is
   * given a copy of what is stored.
   */
  readonly upcast?: Readonly<Record<number, (data: never) => unknown>> | undefined;
  /** Names under which the events were stored before. */
  readonly formerly?: readonly string[] | undefined;
}

/** What describes one event type: its schema, or its schema and history. */
// deno-lint-ignore no-explicit-any
export type EventDefinition = StandardSchema<any, any> | VersionedDefinition<any>;

/** The data type of a definition. */
// deno-lint-ignore no-explicit-any
export type DataOf<D> = D extends StandardSchema<any, infer Data> ? Data
  // deno-lint-ignore no-explicit-any
  : D extends { readonly schema: StandardSchema<any, infer Data> } ? Data
  : never;

/** What comes back from JSON as it went in: `never` where a Date, Map, bigint, function, … stands. */
export type Json<T> = unknown extends T ? T
  : T extends string | number | boolean | null | undefined ? T
  : T extends
    | bigint
    | symbol
    | Date
    | ReadonlyMap<unknown, unknown>
    | ReadonlySet<unknown>
    | ((...args: never) => unknown) ? never
  : { [Key in keyof T]: Json<T[Key]> };
