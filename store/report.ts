/** What is reported where nobody catches it. */

/** Anything may be thrown, also what cannot be made a text of. */
export function textOf(error: unknown): string {
  try {
    return String(error);
  } catch {
    return "something that has no text";
  }
}

/** An error that nobody else is told of. */
export function toConsole(what: string, error: unknown): void {
  try {
    console.error(what, error);
  } catch {
    console.error(what, textOf(error)); // Deno shows no proxy that was revoked
  }
}
