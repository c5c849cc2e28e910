import { Callbacks } from "../bus/callbacks.ts";
import type { EventBus, EventSubscription, HandlerOptions, SubscribeOptions } from "../bus/event_bus.ts";
import { Report } from "../bus/report.ts";
import type { SchemaError } from "../errors.ts";
import type { Event, Select } from "../event.ts";
import type { Abortable } from "../store/event_store.ts";
import { rejectEvent } from "../validate.ts";
import { baseStoreOf } from "./base_store.ts";
import type { Catalogues } from "./catalogues.ts";
import { Mapped } from "./mapped.ts";
import { chain, type MaybePromise } from "./maybe_promise.ts";
import { Turns } from "./turns.ts";
import { ViewFilter } from "./view_filter.ts";

type Options = SubscribeOptions<Event, string, string>;

/** What the bus behind a subscription knows nothing of. */
class Aside {
  /** Events that nobody was told of. */
  lost = 0;
  readonly callbacks: Callbacks;
  readonly #idle: (() => void)[] = [];

  constructor(report: Report) {
    this.callbacks = new Callbacks(report, () => this.#idle.splice(0).forEach((resolve) => resolve()));
  }

  /** Resolves once no callback runs. */
  idle(): Promise<void> {
    return this.callbacks.idle ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve));
  }
}

/** A bus seen through catalogues. */
export class TypedBus implements EventBus {
  readonly #bus: EventBus;
  readonly #catalogues: Catalogues;
  readonly #turns = new Turns();
  /** Of callbacks that fail: the bus behind knows nothing of these calls. */
  readonly #report: Report;

  constructor(bus: EventBus, catalogues: Catalogues) {
    this.#bus = bus;
    this.#report = new Report(bus.namespace, undefined);
    this.#catalogues = catalogues;
  }

  get namespace(): string {
    return this.#bus.namespace;
  }

  publish(event: Event, options?: Abortable): Promise<void> {
    try {
      if (typeof event !== "object" || event === null) rejectEvent("event", "must be an object");
      const own = { ...event }; // once: a getter may change its mind
      return this.#turns.take(
        [own.actorId],
        () => this.#catalogues.encodeWhole(own),
        (encoded) => this.#bus.publish(encoded, options),
        options?.signal,
      );
    } catch (error) {
      return Promise.reject(error);
    }
  }

  subscribe<const Types extends string = string, const ActorTypes extends string = string>(
    options: SubscribeOptions<Event, Types, ActorTypes> = {},
  ): EventSubscription<Select<Event, Types, ActorTypes>> {
    const aside = new Aside(this.#report);
    const filter = this.#filter(options as Options, aside);
    const subscription = this.#bus.subscribe<string, string>(behind(options as Options, filter));
    return this.#view(subscription, filter, aside);
  }

  on<const Types extends string = string, const ActorTypes extends string = string>(
    options: HandlerOptions<Event, Types, ActorTypes>,
    handler: (event: Select<Event, Types, ActorTypes>) => void | Promise<void>,
  ): EventSubscription<Select<Event, Types, ActorTypes>> {
    const aside = new Aside(this.#report);
    const filter = this.#filter(options as Options, aside);
    const decoded = new WeakMap<Event, Event>();
    const onError = (error: unknown, event: Event): void =>
      options.onError?.(error, (decoded.get(event) ?? event) as never);
    const subscription = this.#bus.on<string, string>(
      { ...behind(options as Options, filter), ...(options.onError && { onError }) },
      (event) =>
        chain(this.#decode(event, filter), (one) => {
          if (one === undefined) return;
          decoded.set(event, one);
          return handler(one as never);
        }),
    );
    return this.#view(subscription, filter, aside);
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#bus[Symbol.asyncDispose]();
  }

  /** A subscription goes on; what nobody is told of is counted. */
  #filter({ onUndecodable, ...filter }: Options, aside: Aside): ViewFilter {
    const tell = (error: SchemaError): void => aside.callbacks.call("onUndecodable", () => onUndecodable?.(error));
    return new ViewFilter(this.#catalogues, filter, onUndecodable === undefined ? () => void aside.lost++ : tell);
  }

  #view(subscription: EventSubscription<Event>, filter: ViewFilter, aside: Aside): EventSubscription<never> {
    return new TypedSubscription(subscription, (event) => this.#decode(event, filter), aside) as EventSubscription<
      never
    >;
  }

  #decode(event: Event, filter: ViewFilter): MaybePromise<Event | undefined> {
    return chain(this.#catalogues.decode(event.actorId, [event], filter), ([one]) => one);
  }
}

/** What is missing is read as it is stored: it is decoded on its way, as all else. */
function behind(options: Options, filter: ViewFilter): Options {
  const { fill } = options;
  return { ...options, ...filter.behind, ...(fill && { fill: baseStoreOf(fill) }) };
}

class TypedSubscription implements EventSubscription<Event> {
  readonly #subscription: EventSubscription<Event>;
  readonly #decode: (event: Event) => MaybePromise<Event | undefined>;
  readonly #aside: Aside;

  constructor(
    subscription: EventSubscription<Event>,
    decode: (event: Event) => MaybePromise<Event | undefined>,
    aside: Aside,
  ) {
    this.#subscription = subscription;
    this.#decode = decode;
    this.#aside = aside;
  }

  get ready(): Promise<void> {
    return this.#subscription.ready;
  }

  get dropped(): number {
    return this.#subscription.dropped + this.#aside.lost;
  }

  drain(): Promise<void> {
    const drained = this.#subscription.drain().finally(() => this.#aside.idle());
    drained.catch(() => {}); // as behind it: whoever does not wait for it does not fail by it
    return drained;
  }

  [Symbol.asyncIterator](): AsyncIterator<Event> {
    return new Mapped(this.#subscription[Symbol.asyncIterator](), this.#decode);
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#subscription[Symbol.asyncDispose]();
  }
}
