/** Schemas for tests, without a library. */
import { createEvent, type Event, type StandardIssue, type StandardSchema } from "../../mod.ts";

/** A schema that answers with what a function gives, or with the message that it throws. */
export function schema<Data>(parse: (value: unknown) => Data): StandardSchema<unknown, Data> {
  return { "~standard": { version: 1, vendor: "tests", validate: (value) => answer(() => parse(value)) } };
}

/** The same, a while later. */
export function lateSchema<Data>(parse: (value: unknown) => Data, wait = 1): StandardSchema<unknown, Data> {
  const validate = async (value: unknown): Promise<{ value: Data } | { issues: StandardIssue[] }> => {
    for (let turn = 0; turn < wait; turn++) await Promise.resolve();
    return answer(() => parse(value));
  };
  return { "~standard": { version: 1, vendor: "tests", validate } };
}

function answer<Data>(parse: () => Data): { value: Data } | { issues: StandardIssue[] } {
  try {
    return { value: parse() };
  } catch (error) {
    return { issues: [{ message: (error as Error).message, path: ["total"] }] };
  }
}

/** `{ total: number }`, and nothing beside it. */
export function money(value: unknown): { total: number } {
  const { total } = value as { total: unknown };
  if (typeof total !== "number") throw new Error("is no number");
  return { total };
}

/** As it is stored. */
export function stored(eventType: string, data: unknown, more: Partial<Event> = {}): Event {
  return { ...createEvent({ actorId: "order-1", version: 1, eventType, data }), ...more };
}
