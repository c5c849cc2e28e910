/** Values that may still be on their way: what is there at once costs no promise. */

/** A value, or one that is to come. */
export type MaybePromise<T> = T | Promise<T>;

/** Of any realm. */
export function isPromise<T>(value: MaybePromise<T>): value is Promise<T> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

/** As `value.then(next)`, at once where the value is there. */
export function chain<T, U>(value: MaybePromise<T>, next: (value: T) => MaybePromise<U>): MaybePromise<U> {
  return isPromise(value) ? value.then(next) : next(value);
}

/** As `items.map(map)`; the promises among them are waited for. What throws at once is the one error of them all. */
export function mapAll<T, U>(items: readonly T[], map: (item: T, index: number) => MaybePromise<U>): MaybePromise<U[]> {
  const results: MaybePromise<U>[] = [];
  let later = false;
  try {
    for (const [index, item] of items.entries()) {
      const result = map(item, index);
      later ||= isPromise(result);
      results.push(result);
    }
  } catch (error) {
    for (const result of results) if (isPromise(result)) result.catch(() => {});
    throw error;
  }
  return later ? Promise.all(results) : results as U[];
}

/** Nobody waits for it: what it rejects with is no more than that it was refused. */
export function abandon(promise: PromiseLike<unknown>): void {
  void promise.then(undefined, () => {});
}
