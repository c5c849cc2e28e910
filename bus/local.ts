import { checkActorId, MAX_TOKEN_LENGTH } from "../actor_id.ts";
import { ClosedError } from "../errors.ts";
import type { Event, Select } from "../event.ts";
import type { Abortable, Commit } from "../store/event_store.ts";
import type { Observer } from "../store/observer.ts";
import { checkNamespace, checkShards, DEFAULT_SHARDS } from "../store/shard.ts";
import { checkEventType, checkId, checkVersion, rejectEvent } from "../validate.ts";
import type { EventBus, EventSubscription, HandlerOptions, SubscribeOptions } from "./event_bus.ts";
import { FilterIndex } from "./filter_index.ts";
import { Group } from "./group.ts";
import { Report } from "./report.ts";
import { type Handling, handlingOf, Subscription } from "./subscription.ts";
import { checkTerms, type Terms } from "./terms.ts";

/** Options of a {@linkcode LocalEventBus}. */
export interface LocalBusOptions {
  /** 1 to 64 characters of `A-Za-z0-9_-`. @default "default" */
  readonly namespace?: string;
  /** How many: those of the store. @default 64 */
  readonly shards?: number;
  /** Told of events that were dropped, of subscriptions that ended by it, and of errors that no `onError` takes. */
  readonly observer?: Observer;
}

/** Shared by every call: a promise of its own would cost more than the delivery. */
const ACCEPTED = Promise.resolve();

/**
 * A bus within this process. Give it to an `InMemoryEventStore`, and it announces what is committed.
 *
 * Nothing of a subscriber runs before `publish` has returned: events wait in the buffers, and each subscription works
 * through its own. So at once no more can be published than fits the smallest buffer with `overflow: "fail"`; between
 * two awaited calls every subscriber that keeps up has emptied its own. Subscribers share the object that was published:
 * it is neither copied nor frozen, and its `data`, `timestamp` and `metadata` are not checked.
 *
 * @example
 * ```ts
 * import { type Event, InMemoryEventStore, LocalEventBus } from "@aether/aether";
 *
 * type CounterEvent = Event<"Added", { by: number }>;
 * const bus = new LocalEventBus<CounterEvent>();
 * const store = new InMemoryEventStore<CounterEvent>({ bus });
 * await using added = bus.on({ eventTypes: ["Added"] }, (event) => console.log(event.data.by)); // 2
 * await store.append("counter-1", [{ eventType: "Added", data: { by: 2 } }]);
 * await added.drain();
 * ```
 */
export class LocalEventBus<E extends Event = Event> implements EventBus<E> {
  /** The wall: nothing crosses it. */
  readonly namespace: string;
  readonly #shards: number;
  readonly #report: Report;
  readonly #index: FilterIndex;
  readonly #groups = new Map<string, { readonly group: Group; readonly remove: () => void }>();
  readonly #subscriptions = new Set<Subscription<Event>>();
  #closed = false;

  /**
   * A bus without subscribers.
   * @throws {InvalidNamespaceError} if the namespace is not 1 to 64 characters of `A-Za-z0-9_-`
   * @throws {InvalidArgumentError} for shards that make no sense
   */
  constructor(options: LocalBusOptions = {}) {
    const { namespace = "default", shards = DEFAULT_SHARDS, observer } = options;
    this.namespace = checkNamespace(namespace);
    this.#shards = checkShards(shards);
    this.#report = new Report(namespace, observer);
    this.#index = new FilterIndex(shards);
  }

  /**
   * Resolves when it is in the buffers of all whom it concerns; waits for no subscriber. INVALID_EVENT and
   * INVALID_ACTOR_ID for an event whose id, type, version or actor is none.
   */
  publish(event: E, options?: Abortable): Promise<void> {
    try {
      if (this.#closed) throw this.#closedError();
      options?.signal?.throwIfAborted();
      checkHead(event);
      this.#index.published(event);
      return ACCEPTED;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** What the store calls once a commit is stored. A bus that was disposed of has nobody to tell, and takes no notice. */
  committed(commit: Commit<E>): void {
    if (!this.#closed) this.#index.committed(commit);
  }

  subscribe<const Types extends string = string, const ActorTypes extends string = string>(
    options: SubscribeOptions<E, Types, ActorTypes> = {},
  ): EventSubscription<Select<E, Types, ActorTypes>> {
    return this.#subscribe(options as SubscribeOptions<Event, string, string>) as never;
  }

  on<const Types extends string = string, const ActorTypes extends string = string>(
    options: HandlerOptions<E, Types, ActorTypes>,
    handler: (event: Select<E, Types, ActorTypes>) => void | Promise<void>,
  ): EventSubscription<Select<E, Types, ActorTypes>> {
    return this.#subscribe(options as SubscribeOptions<Event, string, string>, handlingOf(options, handler)) as never;
  }

  /** Ends every subscription at once: iterations reject with CLOSED, handlers are given nothing more. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const subscription of this.#subscriptions) subscription.end({ error: this.#closedError() });
    return Promise.resolve();
  }

  #subscribe(options: SubscribeOptions<Event, string, string>, handling?: Handling): Subscription<Event> {
    if (this.#closed) throw this.#closedError();
    const terms = checkTerms(options, this.#shards);
    if (terms.group !== undefined) this.#groups.get(terms.group)?.group.check(terms.filter);
    const subscription = new Subscription<Event>({
      terms,
      report: this.#report,
      handling,
      ready: ACCEPTED,
      leave: () => leave?.(),
    });
    const leave = terms.signal?.aborted ? undefined : this.#enter(subscription, terms);
    if (terms.signal?.aborted) subscription.end({ error: terms.signal.reason });
    return subscription;
  }

  /** @returns how to leave */
  #enter(subscription: Subscription<Event>, { group: name, filter }: Terms): () => void {
    if (name === undefined) {
      const remove = this.#index.add(subscription);
      this.#subscriptions.add(subscription);
      return () => {
        remove();
        this.#subscriptions.delete(subscription);
      };
    }
    let entered = this.#groups.get(name);
    if (entered === undefined) {
      const group = new Group(name, filter);
      entered = { group, remove: this.#index.add(group) };
      this.#groups.set(name, entered);
    }
    const { group, remove } = entered;
    group.add(subscription);
    this.#subscriptions.add(subscription);
    return () => {
      group.delete(subscription);
      this.#subscriptions.delete(subscription);
      if (group.size > 0) return;
      remove();
      this.#groups.delete(name);
    };
  }

  #closedError(): ClosedError {
    return new ClosedError({ what: `The bus of ${this.namespace}` });
  }
}

/** What dispatching needs, and what every bus refuses. */
function checkHead(event: Event): void {
  if (typeof event !== "object" || event === null) rejectEvent("event", "must be an object");
  const { actorId } = event;
  // A short text is never over the limit once it is encoded, and encoding it costs as much as delivering it.
  const fits = typeof actorId === "string" && actorId !== "" && actorId.length <= MAX_TOKEN_LENGTH / 9;
  if (!fits || !actorId.isWellFormed()) checkActorId(actorId);
  checkEventType(event.eventType);
  checkId(event.id);
  checkVersion(event.version);
}
