/** One save until it is stored, or another is found that stays. */
import { isAetherError } from "../errors.ts";
import type { Operation } from "../store/operation.ts";
import { Backoff } from "./backoff.ts";
import { type Body, pack } from "./body.ts";
import { eraseChunks, eraseSequences, storeChunks } from "./chunks.ts";
import { encodeEnvelope, type Envelope } from "./envelope.ts";
import { standing, type Target } from "./loading.ts";
import { newChunksId, parseChunk } from "./names.ts";
import { replaces } from "./replaces.ts";
import type { Holdings, Revisions, Source } from "./revisions.ts";
import type { Snapshot } from "./snapshot_store.ts";

/** Bytes, wherever larger messages are allowed: a leader gives them as text, in one piece. */
const MAX_CHUNK = 1_000_000;

/** How values are made. */
export interface SavingOptions {
  /** Bytes of a state above which it is compressed. */
  readonly compressAbove: number;
  /** Bytes that a value may have at the moment. */
  readonly maxValue: () => number;
}

/** What an attempt sends. */
interface Draft {
  readonly value: Uint8Array;
  /** Its chunks: what it leaves behind where it fails. */
  readonly sequences: readonly number[];
}

/** Saves a snapshot that was checked; false: another stays. */
export async function save(
  revisions: Revisions,
  target: Target,
  { state, ...facts }: Snapshot,
  { compressAbove, maxValue }: SavingOptions,
  operation: Operation,
): Promise<boolean> {
  const { subject } = target;
  let body: Body | undefined;
  let source: Source = "session";
  for (const backoff = new Backoff(operation);; await backoff.pause()) {
    const found = await revisions.holdings(subject, source, operation);
    const sequence = found.last?.sequence ?? 0;
    const stays = await standing(target, found.last);
    if (!replaces(facts, stays?.facts)) {
      if (found.hasOlder) await tidy(revisions, subject, found, sequence, stays?.chunks?.id, operation);
      return false;
    }
    // A third revision would push the oldest out, and leave its bytes.
    if (found.hasOlder) await revisions.eraseBefore(subject, sequence, operation);
    body ??= await pack(state, compressAbove);
    const draft = await prepare(revisions, subject, facts, body, sequence, maxValue(), operation);
    const stored = await put(revisions, subject, draft, sequence, operation);
    if (stored !== undefined) {
      revisions.saw(subject, stored);
      await tidy(revisions, subject, found, stored, undefined, operation);
      return true;
    }
    await eraseSequences(revisions, draft.sequences, operation);
    source = "leader";
  }
}

/** Stores what does not fit into the value. */
async function prepare(
  revisions: Revisions,
  subject: string,
  facts: Envelope["facts"],
  body: Body,
  base: number,
  maxValue: number,
  operation: Operation,
): Promise<Draft> {
  const line = encodeEnvelope({ facts, body: body.facts, chunks: undefined });
  if (line.length + body.bytes.length <= maxValue) {
    const value = new Uint8Array(line.length + body.bytes.length);
    value.set(line);
    value.set(body.bytes, line.length);
    return { value, sequences: [] };
  }
  const parts: Uint8Array[] = [];
  const size = Math.min(maxValue, MAX_CHUNK);
  for (let at = 0; at < body.bytes.length; at += size) parts.push(body.bytes.subarray(at, at + size));
  const id = newChunksId(base);
  const sequences = await storeChunks(revisions, subject, id, parts, operation);
  const chunks = { id, sequences };
  const value = encodeEnvelope({ facts, body: body.facts, chunks });
  if (value.length <= maxValue) return { value, sequences };
  const { commands: _commands, ...rest } = facts; // absent: not known
  return { value: encodeEnvelope({ facts: rest, body: body.facts, chunks }), sequences };
}

/** The sequence; undefined: another was first. */
async function put(
  revisions: Revisions,
  subject: string,
  draft: Draft,
  base: number,
  operation: Operation,
): Promise<number | undefined> {
  let stored: number | undefined;
  try {
    stored = await revisions.put(subject, draft.value, base, operation);
  } catch (error) {
    // Refused, that is; where the answer is missing, it may be stored.
    if (isAetherError(error, "LIMIT_REACHED")) await eraseSequences(revisions, draft.sequences, operation);
    throw error;
  }
  if (stored !== undefined) return stored;
  const last = await revisions.last(subject, "leader", operation);
  return last !== undefined && isSame(last.value, draft.value) ? last.sequence : undefined;
}

/** Erases what lies before a revision: the chunks of others first, so that an older revision tells of what is left. */
async function tidy(
  revisions: Revisions,
  subject: string,
  { last, hasOlder, chunks }: Holdings,
  end: number,
  keep: string | undefined,
  operation: Operation,
): Promise<void> {
  const doomed = chunks.filter((chunk) => {
    const { id, base } = parseChunk(subject, chunk);
    return id !== keep && base < end;
  });
  await eraseChunks(revisions, doomed, operation);
  if (last === undefined) return;
  if (last.sequence < end) await revisions.erase(last.sequence, operation);
  else if (hasOlder) await revisions.eraseBefore(subject, end, operation);
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}
