/** What a writer expects of an actor, and whether it holds. */
import { InvalidArgumentError, VersionConflictError } from "../errors.ts";
import { shown } from "../shown.ts";
import type { ExpectedVersion } from "./event_store.ts";

/** @throws {InvalidArgumentError} unless it is a version, `"any"` or `"exists"` */
export function checkExpectedVersion(expected: ExpectedVersion = "any"): ExpectedVersion {
  if (expected === "any" || expected === "exists") return expected;
  if (Number.isSafeInteger(expected) && expected >= 0) return expected;
  throw new InvalidArgumentError(
    { argument: "expectedVersion" },
    `expectedVersion is an integer from 0 (of an actor without events), "any" or "exists", not ${shown(expected)}`,
  );
}

/**
 * A write and what it expects. `append` expects exactly a version, `saveEvent` one below the event's own.
 */
export interface Expectation {
  /** What is told in a conflict. */
  readonly expected: ExpectedVersion;
  /** True: the latest version may be lower too. */
  readonly gap: boolean;
}

/** Whether a write may go onto this version. */
export function holds({ expected, gap }: Expectation, latest: number): boolean {
  if (expected === "any") return true;
  if (expected === "exists") return latest > 0;
  return gap ? latest <= expected : latest === expected;
}

/** The error of a write that may not. */
export function conflict(actorId: string, { expected }: Expectation, actualVersion: number): VersionConflictError {
  return new VersionConflictError({ actorId, expectedVersion: expected as number | "exists", actualVersion });
}
