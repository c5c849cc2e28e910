/**
 * Calls without stack traces. The client takes two for every request, in case it fails, and each costs more the deeper
 * the caller stands: on a look-up as much as everything else together. Deno takes one all the same, of the synchronous
 * part: hence an `await` before each request. The errors of this library have traces of their own.
 */
export function untraced<T>(call: () => T): T {
  const { stackTraceLimit: limit } = Error as { stackTraceLimit?: number };
  Reflect.set(Error, "stackTraceLimit", 0); // does not throw where Error is frozen
  try {
    return call();
  } finally {
    Reflect.set(Error, "stackTraceLimit", limit);
  }
}
