/** What the cases of the suite have in common. */
import assert from "node:assert/strict";
import { type ErrorCode, type ErrorFields, isAetherError } from "../../errors.ts";
import type { Event, NewEvent } from "../../event.ts";
import type { Commit, EventStore } from "../../store/event_store.ts";

/** A store of a namespace that is empty at first. */
export interface Scene {
  readonly store: EventStore;
  readonly namespace: string;
  /** A store over the same events, where the implementation has such a thing: else the same store. */
  another(): Promise<EventStore>;
  /** A store of another namespace. */
  elsewhere(): Promise<EventStore>;
}

/** A promise and what must hold. */
export type Promises = Readonly<Record<string, (scene: Scene) => Promise<void>>>;

/** An event to append. */
export function added(by: unknown = 1, more: Partial<NewEvent> = {}): NewEvent {
  return { eventType: "Added", data: { by }, ...more };
}

/** So many events to append. */
export function several(count: number): NewEvent[] {
  return Array.from({ length: count }, (_, index) => added(index + 1));
}

/** An event with every field. */
export function eventOf(actorId: string, version: number, more: Partial<Event> = {}): Event {
  const timestamp = "2026-01-31T12:00:00.000Z";
  return { id: crypto.randomUUID(), eventType: "Added", actorId, version, data: { by: version }, timestamp, ...more };
}

/** The error that a promise must reject with: its code, and those of its fields that are given. */
export async function rejects<Code extends ErrorCode>(
  promise: Promise<unknown>,
  code: Code,
  fields: Partial<ErrorFields[Code]> = {},
): Promise<ErrorFields[Code]> {
  const error = await promise.then(() => assert.fail(`resolved, must be ${code}`), (error: unknown) => error);
  if (!isAetherError(error, code)) throw error;
  assert(error instanceof Error);
  const actual = error as unknown as Record<string, unknown>;
  assert.deepEqual(Object.fromEntries(Object.keys(fields).map((field) => [field, actual[field]])), fields);
  return error as unknown as ErrorFields[Code];
}

/** Everything that an iterable gives. */
export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

/** The versions of events. */
export function versions(events: readonly Event[]): number[] {
  return events.map(({ version }) => version);
}

/** Actor and version of each commit, and of its events. */
export function outline(commits: readonly Commit[]): string[] {
  return commits.map(({ actorId, version, events, deleted }) =>
    `${actorId}@${version}${deleted ? " deleted" : ` [${versions(events)}]`}`
  );
}

/** The numbers from 1 to n. */
export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}
