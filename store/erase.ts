import { isAetherError } from "../errors.ts";
import { Failed } from "./answer.ts";
import type { History } from "./history.ts";
import type { JetStreamApi } from "./jetstream_api.ts";
import { Operation } from "./operation.ts";

/** What erasing needs. */
export interface EraserParts {
  readonly api: JetStreamApi;
  readonly history: History;
  /** Milliseconds that the server may take for one step. */
  readonly timeout: number;
}

/**
 * Erases the messages of a subject before a tombstone, overwriting them on disk, oldest first: what a crash leaves is
 * found again, and erased by the next call. They are found by their links, as readers find them; last of all the server
 * is asked whether there is another, which costs nothing where there is none.
 */
export async function eraseBefore(
  { api, history, timeout }: EraserParts,
  subject: string,
  tombstone: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const sequence of await linked(history, subject, tombstone, signal)) {
    await erase(api, sequence, new Operation(timeout, signal));
  }
  for (;;) {
    const operation = new Operation(timeout, signal);
    const message = await api.reading(operation, () => api.get({ seq: 1, next_by_subj: subject }, operation));
    if (message === undefined || message.sequence >= tombstone) return;
    await erase(api, message.sequence, operation);
  }
}

/** None where a message is no commit: then the server has to look for them. */
async function linked(
  history: History,
  subject: string,
  tombstone: number,
  signal: AbortSignal | undefined,
): Promise<readonly number[]> {
  try {
    return await history.sequencesBefore(subject, tombstone, signal);
  } catch (error) {
    if (!isAetherError(error, "EVENT_DECODE")) throw error;
    return [];
  }
}

/** Erases one message, overwriting it on disk. Repeating it is harmless, so that a lost answer is no matter. */
export async function erase(api: JetStreamApi, sequence: number, operation: Operation): Promise<void> {
  await api.reading(operation, async () => {
    try {
      await api.call("STREAM.MSG.DELETE", { seq: sequence, no_erase: false }, operation);
    } catch (error) {
      const failure = error instanceof Failed ? error.failure : undefined;
      if (failure?.kind !== "answer" || failure.meaning !== "none") throw error; // it is gone already
    }
  });
}
