/** Gives a handler one event after the other. */
import type { Event } from "../event.ts";
import type { Callbacks } from "./callbacks.ts";
import type { Mailbox } from "./mailbox.ts";
import { isThenable, type Report } from "./report.ts";

/** Events in a row before other subscriptions have their turn. */
const TURN = 128;

/** What takes the events of a subscription out of its mailbox. */
export interface Consumer {
  /** There is something to take, or nothing more will come. Never called from within what took the event. */
  run(): void;
  /** Nothing runs, and nothing was given that is not dealt with. */
  readonly idle: boolean;
}

/** Of `on`. */
export class HandlerLoop implements Consumer {
  readonly #mailbox: Mailbox;
  readonly #handler: (event: Event) => unknown;
  readonly #onError: ((error: unknown, event: Event) => unknown) | undefined;
  readonly #report: Report;
  readonly #callbacks: Callbacks;
  /** Asks to be run once more. */
  readonly #wake: () => void;
  /** The event that the handler is at. */
  #current: Event | undefined;

  constructor(
    mailbox: Mailbox,
    report: Report,
    callbacks: Callbacks,
    wake: () => void,
    handler: (event: Event) => unknown,
    onError: ((error: unknown, event: Event) => unknown) | undefined,
  ) {
    this.#mailbox = mailbox;
    this.#report = report;
    this.#callbacks = callbacks;
    this.#wake = wake;
    this.#handler = handler;
    this.#onError = onError;
  }

  get idle(): boolean {
    return this.#current === undefined;
  }

  get current(): Event | undefined {
    return this.#current;
  }

  run(): void {
    if (this.#current !== undefined) return;
    for (let turn = 0; turn < TURN; turn++) {
      const event = this.#mailbox.take();
      if (event === undefined) return;
      try {
        const result = this.#handler(event);
        if (!isThenable(result)) continue;
        this.#current = event;
        Promise.resolve(result).then(() => this.#go(), (error: unknown) => {
          this.failed(error, event);
          this.#go();
        });
        return;
      } catch (error) {
        this.#current = undefined; // a promise of its own making may throw where it is waited for
        this.failed(error, event);
      }
    }
    this.#wake();
  }

  /** The handler threw, there was no room for an event, or it could not be read; where none is at hand, none is shown. */
  failed(error: unknown, event: Event | undefined, what = "handler"): void {
    const onError = this.#onError;
    if (onError === undefined || event === undefined) this.#report.failed(what, error, event);
    else this.#callbacks.call("onError", () => onError(error, event));
  }

  #go(): void {
    this.#current = undefined;
    this.#wake();
  }
}
