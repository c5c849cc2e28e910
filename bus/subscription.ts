/** A subscription to any bus: who takes, what waits, and how it ends. */
import { ClosedError, type EventDecodeError, InvalidArgumentError, OverflowError } from "../errors.ts";
import type { Event } from "../event.ts";
import type { Filter } from "../store/filter.ts";
import { countOf, type Delivery, eventOf } from "./announcement.ts";
import { Callbacks } from "./callbacks.ts";
import type { EventSubscription } from "./event_bus.ts";
import { type Consumer, HandlerLoop } from "./handler_loop.ts";
import { Iteration } from "./iteration.ts";
import { Mailbox } from "./mailbox.ts";
import type { Report } from "./report.ts";
import type { Signals } from "./signals.ts";
import type { Terms } from "./terms.ts";

/** Of `on`. */
export interface Handling {
  readonly handler: (event: Event) => unknown;
  readonly onError?: ((error: unknown, event: Event) => unknown) | undefined;
}

/** @throws {InvalidArgumentError} unless it is a function */
export function handlingOf(
  options: { readonly onError?: unknown },
  handler: unknown,
): Handling {
  if (typeof handler !== "function") {
    throw new InvalidArgumentError({ argument: "handler" }, "The handler is a function");
  }
  const { onError } = options;
  return { handler, onError: typeof onError === "function" ? onError.bind(options) : undefined } as Handling;
}

/** What the bus does its part with. */
export interface SubscriptionParts {
  readonly terms: Terms;
  readonly report: Report;
  /** Left out, it heeds none. */
  readonly signals?: Signals | undefined;
  /** Left out, it is read by `for await`. */
  readonly handling?: Handling | undefined;
  readonly ready: Promise<void>;
  /** The bus is to deliver no more. Called once. */
  readonly leave: () => void;
  /** Before it leaves to be drained: resolves once all has come that nobody else is given. Left out: it has. */
  readonly quiesce?: (() => Promise<void> | undefined) | undefined;
}

/** Told by the bus of every event that its filter lets through, by `deliver`. */
export class Subscription<E extends Event> implements EventSubscription<E> {
  readonly ready: Promise<void>;
  readonly filter: Filter;
  /** Whether it wants to be told of deletions too. */
  readonly deletions: boolean;
  /** Whether it wants to be told of gaps. */
  readonly watchesGaps: boolean;
  /** Where it began to listen, if it wants to be told of what was missed since: the bus knows. */
  gapsAfter: number | undefined = undefined;
  readonly #terms: Terms;
  readonly #report: Report;
  readonly #callbacks: Callbacks;
  readonly #mailbox: Mailbox;
  readonly #loop: HandlerLoop | undefined;
  readonly #iteration: Iteration | undefined;
  readonly #consumer: Consumer;
  readonly #leave: () => void;
  /** Its signal is of no interest any more. */
  readonly #unwatch: (() => void) | undefined;
  readonly #quiesce: (() => Promise<void> | undefined) | undefined;
  #taking = true;
  #woken = false;
  #read = false;
  /** What ended it, if not its holder. */
  #failure: { readonly error: unknown } | undefined;
  /** Who waits for the end. */
  #drained: PromiseWithResolvers<void> | undefined;

  constructor({ terms, report, signals, handling, ready, leave, quiesce }: SubscriptionParts) {
    this.ready = ready;
    this.filter = terms.filter;
    this.deletions = terms.onDeleted !== undefined;
    this.watchesGaps = terms.onGap !== undefined || terms.fill !== undefined;
    this.#terms = terms;
    this.#report = report;
    this.#leave = leave;
    this.#quiesce = quiesce;
    const wake = (): void => this.#wake();
    this.#callbacks = new Callbacks(report, wake);
    this.#mailbox = new Mailbox(terms, report, this.#callbacks, wake, (error, event) => this.#unread(error, event));
    if (handling !== undefined) {
      this.#loop = new HandlerLoop(this.#mailbox, report, this.#callbacks, wake, handling.handler, handling.onError);
    } else this.#iteration = new Iteration(this.#mailbox, wake, () => this.#stop());
    this.#consumer = (this.#loop ?? this.#iteration) as Consumer;
    const { signal } = terms;
    this.#unwatch = signal && signals?.add(signal, () => this.end({ error: signal.reason }));
  }

  get dropped(): number {
    return this.#mailbox.dropped;
  }

  /** How much it has to do: what waits, and what runs. */
  get load(): number {
    return this.#mailbox.waiting + (this.#consumer.idle ? 0 : 1);
  }

  /** Whether it takes this without dropping anything, and without an end. */
  hasRoomFor(delivery: Delivery): boolean {
    return this.#mailbox.hasRoomFor(delivery);
  }

  /** Runs nothing of the subscriber's: that comes later, each subscription by itself. */
  deliver(delivery: Delivery): void {
    if (!this.#taking) return;
    if (this.#mailbox.push(delivery)) return this.#wake();
    const { buffer } = this.#terms;
    const error = new OverflowError({ buffer });
    const event = eventOf(delivery, this.filter) ?? this.#mailbox.next ?? this.#loop?.current;
    this.#mailbox.dropped += countOf(delivery);
    this.#report.event("overflow", { buffer });
    // A handler that hangs must not keep it back; nor may the subscriber run before every other has the event.
    if (this.#loop !== undefined) this.#callbacks.later(() => this.#loop?.failed(error, event, "subscription"));
    this.#failure = { error };
    this.#close(this.#failure);
  }

  /** A message that is none: told at once, whatever waits. What nobody is told of is counted. */
  undecodable(error: EventDecodeError): void {
    if (!this.#taking) return;
    const { onUndecodable } = this.#terms;
    if (onUndecodable === undefined) this.#mailbox.dropped++;
    else {
      this.#callbacks.later(() => {
        if (!this.#mailbox.discarded) this.#callbacks.call("onUndecodable", () => onUndecodable(error));
      });
    }
  }

  /** The bus can give it nothing more. It keeps what waits. */
  fail(error: Error): void {
    if (!this.#taking) return;
    // Who has closed the connection knows it; a handler has no other way to learn of anything else.
    const isMeant = error instanceof ClosedError && error.cause === undefined;
    if (!isMeant) this.#failure = { error };
    if (this.#loop !== undefined && !isMeant) this.#report.failed("subscription", error);
    this.#close({ error });
  }

  drain(): Promise<void> {
    const quiet = this.#taking && this.#drained === undefined ? this.#quiesce?.() : undefined;
    if (quiet !== undefined) void quiet.then(() => this.#close());
    else if (this.#drained === undefined || !this.#taking) this.#close();
    if (this.#drained === undefined) {
      this.#drained = Promise.withResolvers();
      this.#drained.promise.catch(() => {}); // whoever does not wait for it does not fail by it
    }
    return this.#drained.promise;
  }

  /** At once: what waits is let go of. With an error the iteration rejects; a handler is not told. */
  end(failure?: { readonly error: unknown }): void {
    this.#mailbox.discard();
    this.#close(failure);
  }

  [Symbol.asyncIterator](): AsyncIterator<E, undefined> {
    if (this.#iteration === undefined || this.#read) {
      const problem = this.#read ? "It is read already" : "Its handler has the events";
      throw new InvalidArgumentError({ argument: "subscription" }, `${problem}: subscribe once more`);
    }
    this.#read = true;
    this.#iteration.open();
    return this.#iteration as unknown as AsyncIterator<E, undefined>;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#stop();
    return Promise.resolve();
  }

  #stop(): void {
    this.end();
  }

  /** A commit that was meant for it alone could not be read. */
  #unread(error: unknown, event: Event | undefined): void {
    if (this.#loop !== undefined) this.#loop.failed(error, event, "read");
    else this.#report.failed("read", error, event);
  }

  /** Takes no more. */
  #close(failure?: { readonly error: unknown }): void {
    this.#iteration?.end(failure);
    if (this.#taking) {
      this.#taking = false;
      this.#leave();
    }
    this.#wake();
  }

  #wake(): void {
    if (this.#woken) return;
    this.#woken = true;
    queueMicrotask(this.#run);
  }

  readonly #run = (): void => {
    this.#woken = false;
    this.#consumer.run();
    if (!this.#taking) this.#settle();
  };

  /** Once nothing runs any more. A reader that never came has nothing running, and may still come for what waits. */
  #settle(): void {
    if (!this.#consumer.idle || !this.#callbacks.idle || (this.#loop !== undefined && !this.#mailbox.empty)) return;
    this.#unwatch?.();
    if (this.#failure === undefined || this.#iteration?.told) this.#drained?.resolve();
    else this.#drained?.reject(this.#failure.error);
  }
}
