import type { Clock } from "./clock.ts";

/** A reason of its own, since a signal without one makes an error and its stack, which costs more than the rest. */
const OVER = "over";

/** What a promise gives, unless the time is up or the signal aborts first: then undefined. */
export async function within<T>(
  clock: Clock,
  promise: Promise<T>,
  milliseconds: number,
  signal?: AbortSignal,
): Promise<T | undefined> {
  const over = new AbortController();
  const end = (): void => over.abort(OVER);
  if (signal?.aborted) end();
  signal?.addEventListener("abort", end);
  try {
    return await Promise.race([promise, clock.sleep(milliseconds, over.signal).then(() => undefined)]);
  } finally {
    end();
    signal?.removeEventListener("abort", end);
  }
}
