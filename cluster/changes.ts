/**
 * What listeners are told, as an iterable: from the first `next` on, until it is left, the source has ended, or the signal
 * aborts: then it rejects with its reason.
 */
export async function* changesOf<T>(
  listen: (listener: (change: T) => void) => Disposable,
  ended: AbortSignal,
  signal: AbortSignal | undefined,
): AsyncGenerator<T, void, undefined> {
  signal?.throwIfAborted();
  const waiting: T[] = [];
  let wake = Promise.withResolvers<void>();
  using _listening = listen((change) => {
    waiting.push(change);
    wake.resolve();
  });
  const over = [ended, signal].filter((one) => one !== undefined);
  const end = (): void => wake.resolve();
  for (const one of over) one.addEventListener("abort", end);
  try {
    for (;;) {
      for (let change = waiting.shift(); change !== undefined; change = waiting.shift()) {
        yield change;
        signal?.throwIfAborted();
      }
      signal?.throwIfAborted();
      if (ended.aborted) return;
      await wake.promise;
      wake = Promise.withResolvers<void>();
    }
  } finally {
    for (const one of over) one.removeEventListener("abort", end);
  }
}
