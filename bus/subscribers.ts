/** All who subscribe to one bus: how they come, and how all of them end. */
import { ClosedError } from "../errors.ts";
import type { Event } from "../event.ts";
import { checkOptionNames } from "../options.ts";
import type { SubscribeOptions } from "./event_bus.ts";
import { ON, SUBSCRIBE } from "./option_names.ts";
import type { Report } from "./report.ts";
import { Signals } from "./signals.ts";
import { type Handling, handlingOf, Subscription, type SubscriptionParts } from "./subscription.ts";
import { checkTerms, type Terms } from "./terms.ts";

/** Where the bus is to deliver to a subscription. */
export interface Place extends Pick<SubscriptionParts, "quiesce"> {
  readonly ready: Promise<void>;
  /** @returns how to leave */
  readonly enter: (subscription: Subscription<Event>) => () => void;
}

/** Shared by every call: a promise of its own would cost more than a delivery. */
export const ACCEPTED: Promise<void> = Promise.resolve();

type Options = SubscribeOptions<Event, string, string>;

/** Of one bus. */
export class Subscribers {
  readonly #namespace: string;
  readonly #shards: number;
  readonly #report: Report;
  readonly #placeOf: (terms: Terms) => Place;
  readonly #signals = new Signals();
  readonly #all = new Set<Subscription<Event>>();
  #closed = false;

  /** `placeOf` finds the place, or throws; nobody has entered it then. */
  constructor(namespace: string, shards: number, report: Report, placeOf: (terms: Terms) => Place) {
    this.#namespace = namespace;
    this.#shards = shards;
    this.#report = report;
    this.#placeOf = placeOf;
  }

  /** Whether the bus was disposed of. */
  get closed(): boolean {
    return this.#closed;
  }

  /** @throws {ClosedError} once the bus was disposed of */
  checkOpen(): void {
    if (this.#closed) throw this.#closedError();
  }

  /** For a `for await`. Its events are as the filter says, which no type can follow from here on. */
  subscribe(options: object): never {
    checkOptionNames("subscribe", options, SUBSCRIBE);
    return this.#add(options as Options) as never;
  }

  /** For a handler. */
  on(options: object, handler: unknown): never {
    checkOptionNames("on", options, ON);
    return this.#add(options as Options, handlingOf(options, handler)) as never;
  }

  /** Ends every subscription at once. */
  close(): void {
    this.#closed = true;
    for (const subscription of this.#all) subscription.end({ error: this.#closedError() });
  }

  #add(options: Options, handling?: Handling): Subscription<Event> {
    this.checkOpen();
    const terms = checkTerms(options, this.#shards, this.#namespace);
    const { signal } = terms;
    const place = signal?.aborted ? undefined : this.#placeOf(terms);
    const subscription: Subscription<Event> = new Subscription<Event>({
      terms,
      report: this.#report,
      signals: this.#signals,
      handling,
      ready: place?.ready ?? ACCEPTED,
      quiesce: place?.quiesce,
      leave: () => {
        leave?.();
        this.#all.delete(subscription);
      },
    });
    const leave = place?.enter(subscription);
    if (place === undefined) subscription.end({ error: signal?.reason });
    else this.#all.add(subscription);
    return subscription;
  }

  #closedError(): ClosedError {
    return new ClosedError({ what: `The bus of ${this.#namespace}` });
  }
}
