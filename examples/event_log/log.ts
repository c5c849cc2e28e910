/** Event logs: files of NDJSON, gzipped or not, with an event a line. */
import { createHash } from "node:crypto";
import { open, stat } from "node:fs/promises";
import { createEvent, type Event } from "../../mod.ts";

/** Characters. A file without line ends is refused before it fills the memory. */
const MAX_LINE_LENGTH = 16 * 1024 * 1024;
/** Of an event's id. */
const MAX_ID_LENGTH = 128;
const FIELDS = new Set(["actorId", "eventType", "timestamp", "data"]);

/** An event of a log, and where it stands. */
export interface LogEntry {
  readonly line: number;
  readonly event: Event;
}

/** Says what is wrong with a log, or with what became of it, and where. */
export class LogError extends Error {}

/**
 * The events of a log, in its order: numbered 1, 2, 3, … within each actor. Holds one piece of the file and one number
 * per actor, whatever the size of the log. Rejects with a `LogError` that names the line.
 */
export async function* readLog(path: string, signal?: AbortSignal): AsyncGenerator<LogEntry> {
  const versions = new Map<string, number>();
  let line = 0;
  for await (const text of readLines(path)) {
    signal?.throwIfAborted();
    line++;
    if (text.trim() === "") continue;
    let event: Event;
    try {
      event = parseEvent(text, versions);
    } catch (error) {
      const problem = error instanceof SyntaxError ? `not JSON: ${error.message}` : (error as Error).message;
      throw new LogError(`${path}:${line}: ${problem}`, { cause: error });
    }
    yield { line, event };
  }
}

/** Reads a log to its end without storing anything: the number of events of each actor. */
export async function countEvents(path: string, signal?: AbortSignal): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for await (const { event: { actorId, version } } of readLog(path, signal)) counts.set(actorId, version);
  return counts;
}

async function* readLines(path: string): AsyncGenerator<string> {
  let line = 0;
  try {
    let rest = "";
    for await (const piece of await openText(path)) {
      const lines = piece.split("\n"); // and at nothing else: U+2028 may stand in JSON
      lines[0] = rest + lines[0];
      rest = lines.pop() ?? "";
      for (const text of lines) {
        line++;
        yield text;
      }
      if (rest.length > MAX_LINE_LENGTH) throw new Error(`a line of more than ${MAX_LINE_LENGTH} characters`);
    }
    if (rest !== "") yield rest;
  } catch (error) {
    const where = line === 0 ? "" : ` behind line ${line}`;
    throw new LogError(`${path}: cannot be read${where}: ${complaintOf(error as Error)}`, { cause: error });
  }
}

/** What the streams throw for bytes that they cannot take is a `TypeError`, and says little. */
function complaintOf(error: Error & { readonly code?: string }): string {
  const { code, message } = error;
  return error instanceof TypeError ? `damaged, cut off, or not UTF-8 (${message.trim() || code})` : message;
}

async function openText(path: string): Promise<ReadableStream<string>> {
  if (!(await stat(path)).isFile()) throw new Error("not a file, and it is read more than once");
  const file = await open(path);
  const { buffer: [first, second] } = await file.read(new Uint8Array(2), 0, 2, 0);
  const bytes = ReadableStream.from<Uint8Array<ArrayBuffer>>(file.createReadStream());
  const isGzip = first === 0x1f && second === 0x8b;
  return (isGzip ? bytes.pipeThrough(new DecompressionStream("gzip")) : bytes)
    .pipeThrough(new TextDecoderStream("utf-8", { fatal: true }));
}

function parseEvent(text: string, versions: Map<string, number>): Event {
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error("not a JSON object");
  const { actorId, eventType, timestamp, data } = value as Event;
  for (const [name, field] of Object.entries({ actorId, eventType, timestamp })) {
    if (typeof field !== "string") throw new Error(`${name} is not a string`);
  }
  // Rather refused than lost.
  const unknown = Object.keys(value).find((name) => !FIELDS.has(name));
  if (unknown !== undefined) throw new Error(`the field ${JSON.stringify(unknown)} is unknown`);
  const version = (versions.get(actorId) ?? 0) + 1;
  const id = idOf(actorId, version);
  const event = createEvent({ id, actorId, version, eventType, data, timestamp: inUtc(timestamp) });
  versions.set(actorId, version);
  return event;
}

/** From actor and place, not from content: identical lines are different events, and loaded again they are the same. */
function idOf(actorId: string, version: number): string {
  const id = `${actorId}#${version}`;
  return id.length <= MAX_ID_LENGTH ? id : `${createHash("sha256").update(actorId).digest("hex")}#${version}`;
}

/** The same instant in the one form that is stored; refused where that would lose digits, or where there is no zone. */
function inUtc(timestamp: string): string {
  const local = /^(.{10}T\d\d:\d\d:\d\d)(?:\.\d{1,3}0*)?(?:Z|[+-]\d\d:\d\d)$/.exec(timestamp)?.[1];
  const isDate = local !== undefined && new Date(`${local}Z`).toJSON()?.startsWith(local); // no 31st of February
  const utc = isDate ? new Date(timestamp).toJSON() : null;
  if (utc === null) {
    throw new Error(`timestamp ${JSON.stringify(timestamp)} is not ISO 8601 with a zone, to the millisecond`);
  }
  return utc;
}
