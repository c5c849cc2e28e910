/**
 * The interface of an event bus: live events of one namespace.
 * @module
 */
import type { AetherError } from "../errors.ts";
import type { Event, Select } from "../event.ts";
import type { Abortable, Commit, EventFilter, EventStore, ReadActorOptions } from "../store/event_store.ts";

/** What happens when a subscriber is slower than its events. */
export type Overflow = "fail" | "drop-oldest" | "drop-newest";

/** What a subscription has missed of one actor: everything between two commits. */
export interface Gap {
  /** Whose. */
  readonly actorId: string;
  /** The last commit that was delivered whole. */
  readonly afterPosition: number;
  /** The first behind the gap. */
  readonly beforePosition: number;
}

/** What `fill` needs of a store; every `EventStore` has it, whatever its events. */
export interface GapStore extends Pick<EventStore, "namespace"> {
  /** The commits of one actor. */
  readActor(actorId: never, options?: ReadActorOptions): AsyncIterable<Commit>;
}

/** Options of a subscription. */
export interface SubscribeOptions<E extends Event, Types extends string, ActorTypes extends string>
  extends EventFilter<E, Types, ActorTypes>, Abortable {
  /** An actor was deleted. In a group one of the members that have this is told. */
  readonly onDeleted?: (actorId: string) => void;
  /** A message that is no commit (EVENT_DECODE), or an event that does not fit its schema (SCHEMA); it goes on. */
  readonly onUndecodable?: (error: AetherError) => void;
  /** Commits of an actor were missed. With `fill` they are read from the store and delivered first. */
  readonly onGap?: (gap: Gap) => void;
  /** Where to read what was missed: a store of the bus's namespace. */
  readonly fill?: GapStore;
  /**
   * Members of a group share the events, and have the same filter. None is meant to see all: neither `onGap` nor `fill`
   * goes with it. In each process a deletion goes to a member with `onDeleted`; the server chooses the process, so give
   * it to the members of all of them, or of none. A large commit, of several messages, is read from the stream by the member that
   * is given it. If it cannot be read, the member goes on without it: it is counted in `dropped`, and told to `onError`.
   */
  readonly group?: string;
  /** Events that may wait for a slow subscriber. @default 1024 */
  readonly buffer?: number;
  /** What happens when more would wait. @default "fail" */
  readonly overflow?: Overflow;
}

/** Options of `on`. */
export interface HandlerOptions<E extends Event, Types extends string, ActorTypes extends string>
  extends SubscribeOptions<E, Types, ActorTypes> {
  /**
   * The handler threw or rejected, or a large commit of the group could not be read: the subscription goes on. Or more
   * waited than may (OVERFLOW), and it ended: told with the event that had no room, or where that was a deletion or a
   * gap, with the next that waits or the one that the handler is at. What there is no event of goes to the bus's
   * observer, or else to the console.
   */
  onError?(error: unknown, event: Select<E, Types, ActorTypes>): void;
}

/** Events as they are committed. */
export interface EventSubscription<out E extends Event> extends AsyncIterable<E>, AsyncDisposable {
  /**
   * Resolves when the server knows of the subscription: what is committed afterwards is delivered. Of several servers that
   * of the connection does; the others learn of it within milliseconds, and until then what their clients commit may be
   * missed.
   */
  readonly ready: Promise<void>;
  /** How many events were dropped; of a large commit that a member of a group could not read, those that are known. */
  readonly dropped: number;
  /**
   * Takes no more, finishes what it has, ends the iteration; no handler and no callback runs after it. Awaited inside of
   * one of its own it waits for itself: there, end it by `[Symbol.asyncDispose]()`, which waits for nothing.
   *
   * Rejects with what has ended the subscription before, be it OVERFLOW, PERMISSION or a lost connection, unless the
   * reader was told. An end by its holder is none: an aborted signal, or a bus or a connection that was closed.
   */
  drain(): Promise<void>;
}

/** Live events of one namespace: at most once, in order per actor. For "none missed" use `readAll({ live: true })`. */
export interface EventBus<out E extends Event = Event> extends AsyncDisposable {
  /** The wall: nothing crosses it. */
  readonly namespace: string;
  /** Announces an event, without storing it. */
  publish(event: E, options?: Abortable): Promise<void>;
  /** The events that the filter lets through, for one `for await`. */
  subscribe<const Types extends string = string, const ActorTypes extends string = string>(
    options?: SubscribeOptions<E, Types, ActorTypes>,
  ): EventSubscription<Select<E, Types, ActorTypes>>;
  /** The same for a handler, which is given one event after the other. */
  on<const Types extends string = string, const ActorTypes extends string = string>(
    options: HandlerOptions<E, Types, ActorTypes>,
    handler: (event: Select<E, Types, ActorTypes>) => void | Promise<void>,
  ): EventSubscription<Select<E, Types, ActorTypes>>;
}
