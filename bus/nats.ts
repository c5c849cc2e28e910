import { headers, type NatsConnection, type Status } from "@nats-io/nats-core";
import { encodeToken } from "../actor_id.ts";
import { ClosedError, EventTooLargeError, UnavailableError } from "../errors.ts";
import { copyEvent, type Event, type Select } from "../event.ts";
import { Failed, failureOf } from "../store/answer.ts";
import { DirectGet } from "../store/direct_get.ts";
import type { Abortable } from "../store/event_store.ts";
import { JetStreamApi } from "../store/jetstream_api.ts";
import { Operation } from "../store/operation.ts";
import { checkShards, DEFAULT_SHARDS, shardOfToken } from "../store/shard.ts";
import { checkServer, findStream } from "../store/stream_config.ts";
import { Subjects } from "../store/subjects.ts";
import { Decoder, HEADER } from "../store/wire.ts";
import { BusReader } from "./bus_reader.ts";
import type { EventBus, EventSubscription, HandlerOptions, SubscribeOptions } from "./event_bus.ts";
import { Feed, type FeedParts, flushesOf, keyOf } from "./feed.ts";
import { Group } from "./group.ts";
import { checkBusOptions, type NatsBusOptions } from "./nats_options.ts";
import { subjectsOf } from "./narrowing.ts";
import { Report } from "./report.ts";
import { ACCEPTED, type Place, Subscribers } from "./subscribers.ts";
import type { Subscription } from "./subscription.ts";
import { filterKey, type Terms } from "./terms.ts";
import { readWhole } from "./whole.ts";

/** Bytes of `NATS/1.0`, the name of the one header, and the line ends. */
const HEAD = 16 + HEADER.version.length;

/** Members of a group in this process, and what the server delivers to them. */
interface Entered {
  readonly group: Group;
  readonly feed: Feed;
}

/**
 * A bus on core NATS: what is committed to the namespace's stream by any process, which the server itself announces, and
 * what is published. At most once; `readAll({ live: true })` misses nothing. The connection is the caller's: it is used,
 * and never closed.
 *
 * What is lost on its way (a connection that broke, a subscriber too slow for the server) shows at the actor's next
 * commit, to `onGap` and `fill`, of actors of which the subscription has had one; what was published and not stored
 * leaves no gap. A commit of which a part is missing is not delivered, unless it is filled. Of a stream that was deleted
 * and made anew, commits may be missed for 10 seconds after the last of the one before, or a minute if its clock is behind.
 *
 * A group is all its members with one name and one filter, in any process; members with another filter are a group of
 * their own, and within one bus they are refused. Whoever is given a large commit reads it from the stream.
 *
 * @example
 * ```ts
 * import { JetStreamEventStore, NatsEventBus } from "@aether/aether";
 * import { connect } from "@nats-io/transport-node";
 *
 * const nc = await connect({ servers: "localhost:4222" });
 * await using store = await JetStreamEventStore.open(nc, { namespace: "shop" });
 * await using bus = await NatsEventBus.open(nc, { namespace: "shop" });
 * await using placed = bus.on({ eventTypes: ["OrderPlaced"] }, (event) => console.log(event.actorId, event.data));
 * await placed.ready;
 * await store.append("order-123", [{ eventType: "OrderPlaced", data: { total: 42 } }]);
 * ```
 */
export class NatsEventBus<E extends Event = Event> implements EventBus<E> {
  /** The wall: nothing crosses it. */
  readonly namespace: string;
  /** Part of every subject. */
  readonly shards: number;
  readonly #nc: NatsConnection;
  readonly #api: JetStreamApi;
  readonly #subjects: Subjects;
  readonly #report: Report;
  readonly #parts: FeedParts;
  /** By the subjects that are asked for. */
  readonly #feeds = new Map<string, Feed>();
  readonly #groups = new Map<string, Entered>();
  readonly #subscribers: Subscribers;
  #statuses: (AsyncIterable<Status> & { stop?(): void }) | undefined;
  #isAway = false;

  private constructor(nc: NatsConnection, api: JetStreamApi, shards: number, timeout: number, options: NatsBusOptions) {
    const { namespace, observer } = options;
    const subjects = new Subjects(namespace, shards);
    const whole = { api, direct: new DirectGet(api), subjects, decoder: new Decoder(subjects) };
    this.namespace = namespace;
    this.shards = shards;
    this.#nc = nc;
    this.#api = api;
    this.#subjects = subjects;
    this.#report = new Report(namespace, observer);
    this.#subscribers = new Subscribers(namespace, shards, this.#report, (terms) => this.#placeOf(terms));
    this.#parts = {
      nc,
      subjects,
      shards,
      reader: new BusReader(subjects, shards),
      report: this.#report,
      flush: flushesOf(nc),
      readWhole: (last, signal) => readWhole(whole, last, new Operation(timeout, signal)),
    };
    void this.#watch();
  }

  /**
   * Opens the bus of a namespace, whose stream need not be there.
   *
   * @throws {InvalidNamespaceError} {@linkcode InvalidArgumentError}
   * @throws {UnsupportedServerError} before 2.12
   * @throws {PermissionError}
   * @throws {UnavailableError} without a server that answers in time; where `shards` is left out, without JetStream
   */
  static async open<E extends Event = Event>(nc: NatsConnection, options: NatsBusOptions): Promise<NatsEventBus<E>> {
    const { namespace, timeout, prefix } = checkBusOptions(nc, options);
    const { shards, signal } = options;
    if (shards !== undefined) checkShards(shards);
    const operation = new Operation(timeout, signal);
    if (nc.isClosed()) throw new ClosedError({ what: "The connection to NATS" });
    const api = new JetStreamApi(nc, new Subjects(namespace, 1).stream, prefix);
    try {
      const actual = shards ?? await shardsOf(api, operation);
      checkServer(nc);
      return new NatsEventBus<E>(nc, api, actual, timeout, options);
    } catch (error) {
      api.close();
      throw error;
    }
  }

  /**
   * Resolves when the connection has taken it: subscribers may get it, or not. What is told later is that the server
   * refused it: to the observer (`publishRefused`), or else to the console. INVALID_EVENT and INVALID_ACTOR_ID for what
   * no store would take either, EVENT_TOO_LARGE before anything is sent, UNAVAILABLE while there is no connection.
   */
  publish(event: E, options?: Abortable): Promise<void> {
    try {
      this.#subscribers.checkOpen();
      options?.signal?.throwIfAborted();
      this.#send(copyEvent(event));
      return ACCEPTED;
    } catch (error) {
      return Promise.reject(error);
    }
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
    this.#statuses?.stop?.();
    this.#api.close();
    return Promise.resolve();
  }

  #send(event: Event): void {
    const token = encodeToken(event.actorId);
    const version = String(event.version);
    const payload = utf8.encode(`[${JSON.stringify(event)}]`);
    const { info } = this.#nc;
    if (this.#nc.isClosed()) throw new ClosedError({ what: "The connection to NATS" });
    // What the client takes while it dials it sends later, or drops.
    if (this.#isAway || info === undefined) throw new UnavailableError({ reason: "not sent, there is no connection" });
    const size = payload.length + version.length + HEAD;
    if (size > info.max_payload) throw new EventTooLargeError({ size, limit: info.max_payload });
    const subject = this.#subjects.announced(this.#subjects.ofActor(token, shardOfToken(token, this.shards)));
    const head = headers();
    head.append(HEADER.version, version);
    try {
      this.#nc.publish(subject, payload, { headers: head });
    } catch (error) {
      throw this.#api.errorOf(new Failed(failureOf(error, subject), error));
    }
  }

  #placeOf(terms: Terms): Place {
    const { group: name } = terms;
    const feed = this.#feedOf(terms);
    return {
      ready: feed.ready,
      enter: (subscription) => this.#enter(subscription, name, feed),
      // What the server has given to the last member here it gives to no other. Of a lost connection nothing comes.
      quiesce: () => name !== undefined && !this.#isAway && feed.size === 1 ? feed.drain() : undefined,
    };
  }

  /** @returns how to leave */
  #enter(subscription: Subscription<Event>, name: string | undefined, feed: Feed): () => void {
    const group = name === undefined ? undefined : this.#groups.get(name)?.group;
    const remove = feed.add(subscription);
    group?.add(subscription);
    return () => {
      group?.delete(subscription);
      remove();
      if (feed.size === 0) this.#forget(feed, name);
    };
  }

  #feedOf({ group: name, filter }: Terms): Feed {
    if (name !== undefined) this.#groups.get(name)?.group.check(filter);
    const subjects = subjectsOf(filter, this.#subjects, this.shards);
    if (name === undefined) {
      const key = keyOf(subjects);
      const known = this.#feeds.get(key);
      if (known !== undefined && !known.ended) return known;
      const feed = new Feed(this.#parts, subjects);
      this.#feeds.set(key, feed);
      return feed;
    }
    const known = this.#groups.get(name);
    if (known !== undefined && !known.feed.ended) return known.feed;
    const group = new Group(name, filter);
    const feed = new Feed(this.#parts, subjects, { target: group, queue: queueOf(name, filterKey(filter)) });
    this.#groups.set(name, { group, feed });
    return feed;
  }

  /** There may be a newer one in its place. */
  #forget(feed: Feed, name: string | undefined): void {
    feed.close();
    if (name === undefined) {
      if (this.#feeds.get(feed.key) === feed) this.#feeds.delete(feed.key);
    } else if (this.#groups.get(name)?.feed === feed) this.#groups.delete(name);
  }

  async #watch(): Promise<void> {
    this.#statuses = this.#nc.status();
    for await (const status of this.#statuses) {
      if (status.type === "disconnect") this.#isAway = true;
      else if (status.type === "reconnect") this.#isAway = false;
      else if (status.type === "error") this.#refused(status.error);
    }
  }

  /** The server tells of a refused message apart from the call. */
  #refused(error: Error): void {
    const failure = failureOf(error, "");
    const { operation } = error as { readonly operation?: unknown };
    if (failure.kind !== "forbidden" || operation !== "publish") return;
    const { subject } = failure;
    if (!subject.startsWith(this.#subjects.bus.slice(0, -">".length))) return;
    this.#report.refused(subject, this.#api.errorOf(new Failed(failure, error)));
  }
}

const utf8 = new TextEncoder();

async function shardsOf(api: JetStreamApi, operation: Operation): Promise<number> {
  const info = await findStream(api, operation);
  const shards = info?.config.metadata?.["aether.shards"];
  return shards === undefined ? DEFAULT_SHARDS : checkShards(Number(shards));
}

/**
 * The queue group of NATS. One name is one group there, whatever its members ask for, and each message goes to one of
 * them: so those who ask for something else have another.
 */
function queueOf(name: string, filter: string): string {
  const token = encodeToken(filter);
  const digest = [token, [...token].toReversed().join("")].map((text) => shardOfToken(text, 2 ** 32).toString(36));
  return `${encodeToken(name)}.${digest.join("")}`;
}
