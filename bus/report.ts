/** Where the errors of subscribers go that they do not take themselves. */
import type { Event } from "../event.ts";
import { type Attributes, harmless, type Observer } from "../store/observer.ts";
import { textOf, toConsole } from "../store/report.ts";

/** What a bus reports: to its observer, and errors to the console where there is none. */
export class Report {
  readonly #namespace: string;
  readonly #observer: Observer | undefined;
  readonly #observes: boolean;

  constructor(namespace: string, observer: Observer | undefined) {
    this.#namespace = namespace;
    this.#observer = harmless(observer);
    this.#observes = observer?.event !== undefined;
  }

  event(name: string, attributes: Attributes): void {
    this.#observer?.event?.(name, { namespace: this.#namespace, ...attributes });
  }

  /** A callback of a subscriber failed. It must not end the process, and nobody may miss it. */
  failed(callback: string, error: unknown, event?: Event): void {
    if (this.#observes) {
      const of: Attributes = event === undefined ? {} : { actorId: event.actorId, eventType: event.eventType };
      return this.event("subscriberError", { callback, ...of, error: textOf(error) });
    }
    const at = event === undefined ? "" : ` at ${event.eventType} of ${event.actorId}`;
    toConsole(`Bus ${this.#namespace}: ${callback} failed${at}:`, error);
  }

  /** A message that was published and did not pass the server. */
  refused(subject: string, error: Error): void {
    if (this.#observes) this.event("publishRefused", { subject });
    else console.error(`Bus ${this.#namespace}: the server refused what was published:`, error);
  }
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
