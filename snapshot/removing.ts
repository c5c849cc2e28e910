/** Erasing a key's value: no byte of it is left. */
import { isAetherError } from "../errors.ts";
import type { Operation } from "../store/operation.ts";
import { Backoff } from "./backoff.ts";
import { eraseChunks } from "./chunks.ts";
import { parseChunk } from "./names.ts";
import type { Revisions } from "./revisions.ts";

/**
 * First a marker, onto which no save goes that began before; then everything under it is erased. A call that breaks off
 * is finished by the next. `only`: the revision that is meant; where another is the last, nothing happens.
 */
export async function remove(
  revisions: Revisions,
  subject: string,
  operation: Operation,
  only?: number,
): Promise<void> {
  for (const backoff = new Backoff(operation);; await backoff.pause()) {
    const { last, hasOlder, chunks } = await revisions.holdings(subject, "leader", operation);
    const sequence = last?.sequence ?? 0;
    if (only !== undefined && sequence !== only) return;
    const hasValue = last !== undefined && !last.isMarker;
    // A third revision would push the oldest out, and leave its bytes.
    if (hasOlder) await revisions.eraseBefore(subject, sequence, operation);
    const isOpen = chunks.some((chunk) => parseChunk(subject, chunk).base >= sequence);
    let end = sequence;
    if (hasValue || isOpen) {
      const marked = await mark(revisions, subject, sequence, operation);
      if (marked === undefined) continue;
      end = marked;
    }
    const doomed = chunks.length > 0 || end > sequence ? await revisions.chunks(subject, operation) : [];
    await eraseChunks(revisions, doomed.filter((chunk) => parseChunk(subject, chunk).base < end), operation);
    if (end > sequence && sequence > 0) await revisions.erase(sequence, operation);
    return;
  }
}

/** The sequence of the marker; Infinity: there is no room for one, and erasing needs none. Undefined: a conflict. */
async function mark(
  revisions: Revisions,
  subject: string,
  sequence: number,
  operation: Operation,
): Promise<number | undefined> {
  try {
    return await revisions.putMarker(subject, sequence, operation);
  } catch (error) {
    if (isAetherError(error, "LIMIT_REACHED")) return Infinity;
    throw error;
  }
}
