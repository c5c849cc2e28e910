/** The fields of an event, checked and copied before anything is sent. */
import { InvalidEventError } from "./errors.ts";
import type { Metadata } from "./event.ts";
import { appendKey, copyJson } from "./json.ts";
import { shown } from "./shown.ts";

const MAX_ID_LENGTH = 128;
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

let lastTime = Number.NaN;
let lastTimestamp: string | undefined;

/** Throws the error that names a field of an event. */
export function rejectEvent(path: string, problem: string): never {
  throw new InvalidEventError({ path }, `${PREFIX}${path}: ${problem}`);
}

const PREFIX = "Invalid event: ";

/** The error of an event among others: its text says of which one, its path is the event's own. */
export function withPlace(error: InvalidEventError, place: string): InvalidEventError {
  const { path, message, cause } = error;
  const problem = message.startsWith(PREFIX) ? message.slice(PREFIX.length) : message;
  const text = `${PREFIX}${place}${problem}`;
  return new InvalidEventError({ path }, text, { cause: cause ?? error });
}

/** A non-empty text of up to 128 characters. */
export function checkId(id: unknown): string {
  if (typeof id === "string" && id !== "" && id.length <= MAX_ID_LENGTH) return id;
  return rejectEvent("id", `must be a text of 1 to ${MAX_ID_LENGTH} characters`);
}

/** A non-empty text. */
export function checkEventType(eventType: unknown, event: object = {}): string {
  if (typeof eventType === "string" && eventType !== "") return eventType;
  const hint = "type" in event ? " (it has `type`; did you mean `eventType`?)" : ""; // the name that others have for it
  return rejectEvent("eventType", `must be a text that is not empty, not ${shown(eventType)}${hint}`);
}

/** A positive safe integer. */
export function checkVersion(version: unknown): number {
  if (Number.isSafeInteger(version) && (version as number) > 0) return version as number;
  return rejectEvent("version", "must be an integer from 1 to 2^53 - 1");
}

/** What a timestamp must be, for the text of an error. */
export const TIMESTAMP_RULE = "must be ISO 8601 in UTC with milliseconds, as Date.prototype.toISOString gives it";

/** `2026-01-31T12:00:00.000Z` and no other form: it sorts as text. */
export function isTimestamp(timestamp: unknown): timestamp is string {
  if (typeof timestamp !== "string") return false;
  if (timestamp === lastTimestamp) return true;
  if (!TIMESTAMP.test(timestamp)) return false;
  const time = Date.parse(timestamp);
  return !Number.isNaN(time) && new Date(time).toISOString() === timestamp; // no 31st of February
}

/** The same, or the error of an event. */
export function checkTimestamp(timestamp: unknown): string {
  return isTimestamp(timestamp) ? timestamp : rejectEvent("timestamp", TIMESTAMP_RULE);
}

/** A copy of the data. */
export function copyData(data: unknown): unknown {
  return copyJson(data, "data", rejectEvent);
}

/** A copy with text values only; undefined if there are none. */
export function copyMetadata(metadata: unknown): Metadata | undefined {
  if (metadata === undefined) return undefined;
  if (typeof metadata !== "object" || metadata === null || Array.isArray(metadata)) {
    return rejectEvent("metadata", "must be an object with text values");
  }
  const copy = copyJson(metadata, "metadata", rejectEvent) as Record<string, unknown>;
  let empty = true;
  for (const key of Object.keys(copy)) {
    if (typeof copy[key] !== "string") rejectEvent(appendKey("metadata", key), "must be a text");
    empty = false;
  }
  return empty ? undefined : copy as Metadata;
}

/** ISO 8601 of a time; formatting costs more than a lookup, and many events share a millisecond. */
export function timestampOf(time: number): string {
  if (time !== lastTime) {
    lastTimestamp = new Date(time).toISOString();
    lastTime = time;
  }
  return lastTimestamp as string;
}
