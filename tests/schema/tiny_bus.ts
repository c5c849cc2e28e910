/** The least that is a bus: in this process, one queue a subscription, no group, no buffer limit, no gaps. */
import type {
  Event,
  EventBus,
  EventFilter,
  EventSubscription,
  HandlerOptions,
  Select,
  SubscribeOptions,
} from "../../mod.ts";
import { actorTypeOf } from "../../actor_id.ts";

type Filter = EventFilter<Event, string, string>;

/** A bus; `options` holds what each subscription was asked for. */
export class TinyBus implements EventBus {
  readonly namespace = "tiny";
  readonly options: SubscribeOptions<Event, string, string>[] = [];
  readonly #subscriptions = new Set<TinySubscription>();

  publish(event: Event): Promise<void> {
    for (const subscription of this.#subscriptions) subscription.take(event);
    return Promise.resolve();
  }

  subscribe<const Types extends string = string, const ActorTypes extends string = string>(
    options: SubscribeOptions<Event, Types, ActorTypes> = {},
  ): EventSubscription<Select<Event, Types, ActorTypes>> {
    return this.#open(options as SubscribeOptions<Event, string, string>) as EventSubscription<never>;
  }

  on<const Types extends string = string, const ActorTypes extends string = string>(
    options: HandlerOptions<Event, Types, ActorTypes>,
    handler: (event: Select<Event, Types, ActorTypes>) => void | Promise<void>,
  ): EventSubscription<Select<Event, Types, ActorTypes>> {
    const subscription = this.#open(options as SubscribeOptions<Event, string, string>);
    void (async () => {
      for await (const event of subscription) {
        try {
          await handler(event as never);
        } catch (error) {
          options.onError?.(error, event as never);
        }
      }
    })();
    return subscription as EventSubscription<never>;
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const subscription of this.#subscriptions) void subscription.drain();
    this.#subscriptions.clear();
    return Promise.resolve();
  }

  #open(options: SubscribeOptions<Event, string, string>): TinySubscription {
    const subscription = new TinySubscription(options);
    this.options.push(options);
    this.#subscriptions.add(subscription);
    return subscription;
  }
}

class TinySubscription implements EventSubscription<Event> {
  readonly ready = Promise.resolve();
  readonly dropped = 0;
  readonly #filter: Filter;
  readonly #queue: Event[] = [];
  #wake: () => void = () => {};
  #ended = false;

  constructor(filter: Filter) {
    this.#filter = filter;
  }

  take(event: Event): void {
    const { eventTypes, actorTypes, actorId } = this.#filter;
    if (this.#ended || !(actorTypes?.includes(actorTypeOf(event.actorId)) ?? true)) return;
    if (!(eventTypes?.includes(event.eventType) ?? true) || actorId !== undefined && actorId !== event.actorId) return;
    this.#queue.push(event);
    this.#wake();
  }

  drain(): Promise<void> {
    this.#ended = true;
    this.#wake();
    return Promise.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Event, void, undefined> {
    try {
      for (;;) {
        const event = this.#queue.shift();
        if (event !== undefined) yield event;
        else if (this.#ended) return;
        else await new Promise<void>((resolve) => this.#wake = resolve);
      }
    } finally {
      this.#ended = true;
      this.#queue.length = 0;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.drain();
  }
}
