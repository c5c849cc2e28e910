/** What the parts of the library report to: small enough that telemetry needs no change in them. */

/** Facts beside a report. */
export type Attributes = Readonly<Record<string, string | number | boolean>>;

/** An operation that began. */
export interface Observed {
  /** Called once: `"ok"`, or the `code` of the error, or `"aborted"`. */
  end(outcome: string, attributes?: Attributes): void;
}

/**
 * What the parts report to. Nothing is computed for it where it is not set. It must not throw: what it throws reaches
 * the caller of the operation.
 */
export interface Observer {
  /** Something happened. */
  event?(name: string, attributes: Attributes): void;
  /** An operation began. Undefined: its end is of no interest. */
  start?(operation: string, attributes: Attributes): Observed | undefined;
}
