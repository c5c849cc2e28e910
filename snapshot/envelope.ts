/**
 * The value of a key, format 1: a line of JSON, `\n`, and the body (nothing, if it is in chunks).
 *
 * | in the line | what |
 * | --- | --- |
 * | `v` | the format: 1. Who meets another ignores the value |
 * | `actorId`, `version`, `position`, `schemaVersion`, `timestamp`, `commands` | as in `Snapshot`; `commands` may be absent |
 * | `encoding` | of the body: `identity`, or `gzip` |
 * | `size` | bytes of the state as JSON in UTF-8 |
 * | `checksum` | CRC-32 of the body as it is stored, in lower-case hex |
 * | `chunks` | absent, or `{ id, sequences }`: the body is these messages of the stream, one after another, on the subjects `<key's subject>.<id>.<k>` with k from 0 |
 *
 * The body is the state as JSON in UTF-8. Unknown keys are ignored. The `id` of chunks begins with the revision of the
 * key that the value was to go onto, and `-`: a chunk whose value can no longer be stored is known by it.
 */
import { isAetherError } from "../errors.ts";
import { checkFacts } from "./check.ts";
import type { Snapshot } from "./snapshot_store.ts";

const FORMAT = 1;
const NEWLINE = 0x0a;
const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder("utf-8", { fatal: true });

/** How the body is stored. */
export interface BodyFacts {
  readonly encoding: "identity" | "gzip";
  readonly size: number;
  readonly checksum: string;
}

/** Where the body is, if not behind the line. */
export interface Chunks {
  readonly id: string;
  readonly sequences: readonly number[];
}

/** What the line says. */
export interface Envelope {
  readonly facts: Omit<Snapshot, "state">;
  readonly body: BodyFacts;
  readonly chunks: Chunks | undefined;
}

/** Thrown inside the store: a value is not to be trusted. */
export class Untrusted extends Error {
  /** A chunk is not there: it may just have been replaced. */
  readonly missing: boolean;

  constructor(reason: string, missing = false) {
    super(reason);
    this.missing = missing;
  }
}

/** The line, with its end. */
export function encodeEnvelope({ facts, body, chunks }: Envelope): Uint8Array {
  return utf8.encode(`${JSON.stringify({ v: FORMAT, ...facts, ...body, chunks })}\n`);
}

/**
 * The line, and what is behind it.
 * @throws {Untrusted}
 */
export function decodeEnvelope(value: Uint8Array, actorId: string): { envelope: Envelope; rest: Uint8Array } {
  const end = value.indexOf(NEWLINE);
  const line = end < 0 ? undefined : parse(value.subarray(0, end));
  if (typeof line !== "object" || line === null) throw new Untrusted("it is no snapshot");
  const { v, encoding, size, checksum, chunks, ...fields } = line as Readonly<Record<string, unknown>>;
  if (v !== FORMAT) throw new Untrusted(`its format is ${JSON.stringify(v)}`);
  const envelope: Envelope = {
    facts: factsOf(fields),
    body: bodyOf(encoding, size, checksum),
    chunks: chunksOf(chunks),
  };
  if (envelope.facts.actorId !== actorId) throw new Untrusted(`it is of ${JSON.stringify(envelope.facts.actorId)}`);
  return { envelope, rest: value.subarray(end + 1) };
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(strictUtf8.decode(bytes));
  } catch {
    return undefined;
  }
}

function factsOf(fields: Readonly<Record<string, unknown>>): Omit<Snapshot, "state"> {
  try {
    return checkFacts(fields);
  } catch (error) {
    if (isAetherError(error)) throw new Untrusted(error.message);
    throw error;
  }
}

function bodyOf(encoding: unknown, size: unknown, checksum: unknown): BodyFacts {
  if (encoding !== "identity" && encoding !== "gzip") {
    throw new Untrusted(`its encoding is ${JSON.stringify(encoding)}`);
  }
  if (!Number.isSafeInteger(size) || typeof checksum !== "string") throw new Untrusted("its size or checksum is none");
  return { encoding, size: size as number, checksum };
}

function chunksOf(chunks: unknown): Chunks | undefined {
  if (chunks === undefined) return undefined;
  const { id, sequences } = (chunks ?? {}) as Readonly<Record<string, unknown>>;
  const valid = typeof id === "string" && Array.isArray(sequences) && sequences.length > 0 &&
    sequences.every((sequence) => Number.isSafeInteger(sequence) && sequence > 0);
  if (!valid) throw new Untrusted("its chunks are none");
  return { id, sequences: sequences as number[] };
}
