import { checkActorId, MAX_TOKEN_LENGTH } from "../actor_id.ts";
import type { Event, Select } from "../event.ts";
import { checkOptionNames } from "../options.ts";
import type { Abortable, Commit } from "../store/event_store.ts";
import type { Filter } from "../store/filter.ts";
import type { Observer } from "../store/observer.ts";
import { checkNamespace, checkShards, DEFAULT_SHARDS } from "../store/shard.ts";
import { checkEventType, checkId, checkVersion, rejectEvent } from "../validate.ts";
import type { EventBus, EventSubscription, HandlerOptions, SubscribeOptions } from "./event_bus.ts";
import { FilterIndex } from "./filter_index.ts";
import { Group } from "./group.ts";
import { LOCAL_BUS } from "./option_names.ts";
import { Report } from "./report.ts";
import { ACCEPTED, type Place, Subscribers } from "./subscribers.ts";
import type { Subscription } from "./subscription.ts";
import type { Terms } from "./terms.ts";

/** Options of a {@linkcode LocalEventBus}. */
export interface LocalBusOptions {
  /** 1 to 64 characters of `A-Za-z0-9_-`. @default "default" */
  readonly namespace?: string;
  /** How many: those of the store. @default 64 */
  readonly shards?: number;
  /** Told of events that were dropped, of subscriptions that ended by it, and of errors that no `onError` takes. */
  readonly observer?: Observer;
}

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
  readonly #index: FilterIndex;
  readonly #groups = new Map<string, { readonly group: Group; readonly remove: () => void }>();
  readonly #subscribers: Subscribers;
  /** An observer that is told of a drop may publish: everyone has the event at hand first. */
  readonly #behind: (() => void)[] = [];
  #telling = false;

  /**
   * A bus without subscribers.
   * @throws {InvalidNamespaceError} if the namespace is not 1 to 64 characters of `A-Za-z0-9_-`
   * @throws {InvalidArgumentError} for shards that make no sense
   */
  constructor(options: LocalBusOptions = {}) {
    checkOptionNames("new LocalEventBus", options, LOCAL_BUS);
    const { namespace = "default", shards = DEFAULT_SHARDS, observer } = options;
    this.namespace = checkNamespace(namespace);
    this.#index = new FilterIndex(checkShards(shards));
    const report = new Report(namespace, observer);
    this.#subscribers = new Subscribers(namespace, shards, report, (terms) => this.#placeOf(terms));
  }

  /**
   * Resolves when it is in the buffers of all whom it concerns; waits for no subscriber. INVALID_EVENT and
   * INVALID_ACTOR_ID for an event whose id, type, version or actor is none.
   */
  publish(event: E, options?: Abortable): Promise<void> {
    try {
      this.#subscribers.checkOpen();
      options?.signal?.throwIfAborted();
      checkHead(event);
      this.#tell(published, event);
      return ACCEPTED;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** What the store calls once a commit is stored. A bus that was disposed of has nobody to tell, and takes no notice. */
  committed(commit: Commit<E>): void {
    if (!this.#subscribers.closed) this.#tell(committed, commit);
  }

  subscribe<const Types extends string = string, const ActorTypes extends string = string>(
    options: SubscribeOptions<E, Types, ActorTypes> = {},
  ): EventSubscription<Select<E, Types, ActorTypes>> {
    return this.#subscribers.subscribe(options);
  }

  on<const Types extends string = string, const ActorTypes extends string = string>(
    options: HandlerOptions<E, Types, ActorTypes>,
    handler: (event: Select<E, Types, ActorTypes>) => void | Promise<void>,
  ): EventSubscription<Select<E, Types, ActorTypes>> {
    return this.#subscribers.on(options, handler);
  }

  /** Ends every subscription at once: iterations reject with CLOSED, handlers are given nothing more. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#subscribers.close();
    return Promise.resolve();
  }

  #tell<T>(tell: (index: FilterIndex, what: T) => void, what: T): void {
    if (this.#telling) return void this.#behind.push(() => tell(this.#index, what));
    this.#telling = true;
    try {
      tell(this.#index, what);
      for (let next = this.#behind.shift(); next !== undefined; next = this.#behind.shift()) next();
    } finally {
      this.#telling = false;
    }
  }

  #placeOf({ group: name, filter }: Terms): Place {
    if (name === undefined) return { ready: ACCEPTED, enter: (subscription) => this.#index.add(subscription) };
    this.#groups.get(name)?.group.check(filter);
    return { ready: ACCEPTED, enter: (member) => this.#join(name, filter, member) };
  }

  /** @returns how to leave */
  #join(name: string, filter: Filter, member: Subscription<Event>): () => void {
    let joined = this.#groups.get(name);
    if (joined === undefined) {
      const group = new Group(name, filter);
      joined = { group, remove: this.#index.add(group) };
      this.#groups.set(name, joined);
    }
    const { group, remove } = joined;
    group.add(member);
    return () => {
      group.delete(member);
      if (group.size > 0) return;
      remove();
      this.#groups.delete(name);
    };
  }
}

const published = (index: FilterIndex, event: Event): void => index.published(event);
const committed = (index: FilterIndex, commit: Commit): void => index.committed(commit);

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
