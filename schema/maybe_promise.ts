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
