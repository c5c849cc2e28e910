import type { Clock } from "./clock.ts";

/** What a promise gives, unless the time is up or the signal aborts first: then undefined. */
export function within<T>(
  clock: Clock,
  promise: Promise<T>,
  milliseconds: number,
  signal?: AbortSignal,
): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const clear = (): void => {
      cancel();
      signal?.removeEventListener("abort", end);
    };
    const end = (): void => {
      clear();
      resolve(undefined);
    };
    const cancel = clock.timer(milliseconds, end);
    promise.then((value) => {
      clear();
      resolve(value);
    }, (error) => {
      clear();
      reject(error);
    });
    if (signal?.aborted) Promise.resolve().then(end); // behind a promise that is settled
    else signal?.addEventListener("abort", end);
  });
}
