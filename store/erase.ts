import { Failed } from "./answer.ts";
import type { JetStreamApi } from "./jetstream_api.ts";
import { Operation } from "./operation.ts";

/**
 * Erases the messages of a subject before a tombstone, overwriting them on disk, oldest first: what a crash leaves is
 * found again, and erased by the next call. Milliseconds for each step.
 */
export async function eraseBefore(
  api: JetStreamApi,
  subject: string,
  tombstone: number,
  timeout: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let next = 1;;) {
    const operation = new Operation(timeout, signal);
    const message = await api.reading(operation, () => api.get({ seq: next, next_by_subj: subject }, operation));
    if (message === undefined || message.sequence >= tombstone) return;
    await erase(api, message.sequence, operation);
    next = message.sequence + 1;
  }
}

/** Repeating it is harmless, so that a lost answer is no matter. */
async function erase(api: JetStreamApi, sequence: number, operation: Operation): Promise<void> {
  await api.reading(operation, async () => {
    try {
      await api.call("STREAM.MSG.DELETE", { seq: sequence, no_erase: false }, operation);
    } catch (error) {
      const failure = error instanceof Failed ? error.failure : undefined;
      if (failure?.kind !== "answer" || failure.meaning !== "none") throw error; // it is gone already
    }
  });
}
