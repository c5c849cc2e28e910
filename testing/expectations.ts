/** What a decision is held to, in words and differences that every test runner shows. */
import assert from "node:assert/strict";
import type { NewEvent } from "../event.ts";

/** What an error must be: of a class, with a message that matches, or one of which a function says that it is right. */
// deno-lint-ignore no-explicit-any
export type ExpectedError = (abstract new (...args: any[]) => Error) | RegExp | ((error: unknown) => boolean);

/** What came of it. */
export type Outcome<T> = { readonly value: T } | { readonly error: unknown };

/** Keeps what is thrown. */
export function attempt<T>(work: () => T): Outcome<T> {
  try {
    return { value: work() };
  } catch (error) {
    return { error };
  }
}

/** Keeps what it rejects with. */
export async function attemptAsync<T>(work: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await work() };
  } catch (error) {
    return { error };
  }
}

/** Type, data, and what is given of their metadata. */
export function assertEvents(actual: readonly NewEvent[], expected: readonly NewEvent[]): void {
  const shown = actual.map((event, index) => seen(event, expected[index]));
  assert.deepEqual(shown, expected.map((event) => seen(event, event)));
}

/** What is compared, and shown where it differs. */
function seen(
  { eventType, data, metadata }: NewEvent,
  { metadata: wanted }: Pick<NewEvent, "metadata"> = {},
): Record<string, unknown> {
  if (wanted === undefined) return { eventType, data };
  const keys = Object.keys(wanted);
  return { eventType, data, metadata: Object.fromEntries(keys.map((key) => [key, metadata?.[key]])) };
}

/** A refusal, and by what. */
export function assertError(outcome: Outcome<readonly NewEvent[]>, expected: ExpectedError | undefined): void {
  if (!("error" in outcome)) {
    const events = outcome.value.map((event) => seen(event));
    assert.fail(`It was not refused, but decided ${JSON.stringify(events, undefined, 2)}`);
  }
  const { error } = outcome;
  if (expected === undefined) return;
  let fits: boolean;
  let wanted = "one that the function is true for";
  if (expected instanceof RegExp) {
    fits = expected.test(error instanceof Error ? error.message : String(error));
    wanted = `an error like ${expected}`;
  } else if (isErrorClass(expected)) {
    fits = error instanceof expected;
    wanted = expected.name;
  } else fits = (expected as (error: unknown) => boolean)(error);
  if (fits) return;
  throw new assert.AssertionError({ message: `It was refused by ${String(error)}, not by ${wanted}` });
}

/** By what its instances inherit: also a class of another realm. */
function isErrorClass(expected: Exclude<ExpectedError, RegExp>): expected is abstract new () => Error {
  const { prototype } = expected as { readonly prototype?: unknown };
  return typeof prototype === "object" && prototype !== null && "message" in prototype;
}

/** The failure of a test that expected events. */
export function refused(error: unknown): Error {
  const failure = new assert.AssertionError({ message: `It was refused: ${String(error)}` });
  failure.cause = error;
  return failure;
}
