/** Bodies that are larger than a message may be, as several messages. */
import { concat } from "./body.ts";
import { type Chunks, Untrusted } from "./envelope.ts";
import type { Operation } from "../store/operation.ts";
import { chunkSubject } from "./names.ts";
import type { Revisions, Source } from "./revisions.ts";

/** How many are on their way at once. */
const AT_ONCE = 4;

/**
 * Stores a body; the sequences. What is stored when it fails is erased at once where that is possible, and else by the
 * next save, or by deleting.
 */
export async function storeChunks(
  revisions: Revisions,
  subject: string,
  id: string,
  parts: readonly Uint8Array[],
  operation: Operation,
): Promise<number[]> {
  const done: number[] = [];
  const store = async (part: Uint8Array, index: number): Promise<number> => {
    const chunk = chunkSubject(subject, id, index);
    for (;;) {
      const stored = await revisions.put(chunk, part, 0, operation);
      if (stored !== undefined) return stored;
      // Its name is new: what is there already is this, and its answer was lost.
      const found = await revisions.last(chunk, "leader", operation);
      if (found !== undefined) return found.sequence;
      await operation.pause(1);
    }
  };
  try {
    return await some(parts, async (part, index) => {
      const sequence = await store(part, index);
      done.push(sequence);
      return sequence;
    });
  } catch (error) {
    await eraseSequences(revisions, done, operation).catch(() => {}); // why it failed is what matters
    throw error;
  }
}

/** Erases chunks that this store has stored itself. */
export async function eraseSequences(
  revisions: Revisions,
  sequences: readonly number[],
  operation: Operation,
): Promise<void> {
  await some(sequences, (sequence) => revisions.erase(sequence, operation));
}

/**
 * The body of chunks.
 * @throws {Untrusted} `missing` if one is not there
 */
export async function readChunks(
  revisions: Revisions,
  subject: string,
  { id, sequences }: Chunks,
  source: Source,
  operation: Operation,
): Promise<Uint8Array<ArrayBuffer>> {
  const parts = await some(sequences, async (sequence, index) => {
    const part = await revisions.at(chunkSubject(subject, id, index), sequence, source, operation);
    if (part === undefined) throw new Untrusted(`its chunk ${index} is not at ${sequence}`, true);
    return part;
  });
  return concat(parts);
}

/** Erases chunks, given by their subjects. */
export async function eraseChunks(
  revisions: Revisions,
  chunks: readonly string[],
  operation: Operation,
): Promise<void> {
  await some(chunks, (chunk) => revisions.eraseBefore(chunk, Infinity, operation));
}

/** Some of many things at once; fails with the first that fails: begins no other then, and waits for those under way. */
async function some<T, R>(things: readonly T[], work: (thing: T, index: number) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  let failure: { readonly error: unknown } | undefined;
  const worker = async (): Promise<void> => {
    while (next < things.length && failure === undefined) {
      const index = next++;
      try {
        results[index] = await work(things[index] as T, index);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, things.length) }, worker));
  if (failure !== undefined) throw (failure as { readonly error: unknown }).error;
  return results;
}
