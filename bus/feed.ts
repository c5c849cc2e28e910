/** What the server delivers for one filter, once for all subscriptions of a bus that ask for the same. */
import type { Msg, NatsConnection, Subscription as NatsSubscription } from "@nats-io/nats-core";
import { ClosedError, EventDecodeError, PermissionError } from "../errors.ts";
import type { Event } from "../event.ts";
import { failureOf } from "../store/answer.ts";
import { Assembler } from "../store/assembler.ts";
import type { Commit } from "../store/event_store.ts";
import { letsActor } from "../store/filter.ts";
import type { Subjects } from "../store/subjects.ts";
import type { Part } from "../store/wire.ts";
import { Announcement } from "./announcement.ts";
import type { BusReader } from "./bus_reader.ts";
import { FilterIndex, type Target } from "./filter_index.ts";
import { Positions } from "./gaps.ts";
import { Lateness } from "./lateness.ts";
import type { Report } from "./report.ts";
import type { Subscription } from "./subscription.ts";

/** Milliseconds before the server is asked once more whether it knows of a subscription. */
const PAUSE = 50;

/** What feeds of a bus share. */
export interface FeedParts {
  readonly nc: NatsConnection;
  readonly subjects: Subjects;
  readonly shards: number;
  readonly reader: BusReader;
  readonly report: Report;
  /** Resolves once the server has read all that was sent before. */
  readonly flush: () => Promise<void>;
  /** Reads the commit whose last part this is; undefined if it was erased meanwhile. */
  readonly readWhole: (last: Part, signal: AbortSignal) => Promise<Commit | undefined>;
}

/** One round trip for all who ask for it in one turn: of very many subscriptions each would be a write of its own. */
export function flushesOf(nc: NatsConnection): () => Promise<void> {
  let asked: Promise<void> | undefined;
  return () =>
    asked ??= Promise.resolve().then(() => {
      asked = undefined;
      return nc.flush();
    });
}

/** What a feed of these subjects is known by. */
export function keyOf(subjects: readonly string[]): string {
  return subjects.join(" ");
}

/** Subscriptions of the server, and those of the bus that they are for. */
export class Feed {
  /** Resolves when the server knows of it. */
  readonly ready: Promise<void>;
  /** The same for feeds of the same subjects. */
  readonly key: string;
  readonly #parts: FeedParts;
  readonly #index: FilterIndex;
  readonly #subscriptions = new Set<Subscription<Event>>();
  readonly #nats: NatsSubscription[] = [];
  /** Of a group: the members in this process share what the server gives to this process. */
  readonly #group: Target | undefined;
  readonly #assembler = new Assembler();
  readonly #lateness = new Lateness();
  /** Of the commit at hand: the sequence of the actor's message before it. */
  #last = 0;
  /** Kept only while somebody wants to know of gaps. */
  readonly #positions = new Positions();
  #watching = 0;
  #failure: Error | undefined;
  #left = false;
  #draining = false;

  /** @throws {ClosedError} if the connection is closed */
  constructor(
    parts: FeedParts,
    subjects: readonly string[],
    group?: { readonly target: Target; readonly queue: string },
  ) {
    this.#parts = parts;
    this.key = keyOf(subjects);
    this.#index = new FilterIndex(parts.shards);
    this.#group = group?.target;
    const queue = group === undefined ? {} : { queue: group.queue };
    for (const subject of subjects) {
      const callback = (error: Error | null, message: Msg): void =>
        error ? this.#refused(error, subject) : this.#receive(message);
      try {
        const subscription = parts.nc.subscribe(subject, { callback, ...queue });
        this.#nats.push(subscription);
        void subscription.closed.then(() => this.#closed());
      } catch (error) {
        this.close();
        throw new ClosedError({ what: "The connection to NATS" }, { cause: error });
      }
    }
    this.ready = this.#known();
    this.ready.catch(() => {}); // whoever does not wait for it has the error as the end of the subscription
  }

  /** Nothing more will come. */
  get ended(): boolean {
    return this.#left || this.#draining;
  }

  get size(): number {
    return this.#subscriptions.size;
  }

  /** @returns how to leave */
  add(subscription: Subscription<Event>): () => void {
    if (subscription.watchesGaps) {
      subscription.gapsAfter = this.#lateness.latest;
      this.#watching++;
    }
    const remove = this.#group === undefined ? this.#index.add(subscription) : () => {};
    this.#subscriptions.add(subscription);
    return () => {
      remove();
      this.#subscriptions.delete(subscription);
      if (subscription.watchesGaps && --this.#watching === 0) this.#positions.clear();
    };
  }

  /** The server is to deliver no more. */
  close(): void {
    this.#left = true;
    for (const subscription of this.#nats) subscription.unsubscribe();
  }

  /** The same, once everything has come that the server has sent: nobody else in the group is given it. */
  async drain(): Promise<void> {
    this.#draining = true;
    const drained = this.#nats.map((subscription) => subscription.isClosed() || subscription.drain());
    await Promise.race([Promise.all(drained), this.#parts.nc.closed()]);
  }

  async #known(): Promise<void> {
    const { nc, flush } = this.#parts;
    while (this.#nats.length > 0) {
      try {
        await flush();
      } catch {
        // The connection was lost; once there is another, the client subscribes again.
        if (!this.#left && !nc.isClosed()) await new Promise((resolve) => setTimeout(resolve, PAUSE));
        else break;
        continue;
      }
      break;
    }
    if (this.#failure !== undefined) throw this.#failure;
    if (nc.isClosed()) throw new ClosedError({ what: "The connection to NATS" });
  }

  async #closed(): Promise<void> {
    if (this.ended) return;
    const cause = await this.#parts.nc.closed();
    this.#fail(new ClosedError({ what: "The connection to NATS" }, cause instanceof Error ? { cause } : undefined));
  }

  #refused(error: Error, subject: string): void {
    const failure = failureOf(error, subject);
    if (failure.kind !== "forbidden") return;
    this.#fail(new PermissionError({ subject: failure.subject }, { cause: error }));
  }

  /** Nothing more will come. */
  #fail(error: Error): void {
    if (this.ended) return;
    this.#failure = error;
    this.close();
    for (const subscription of this.#subscriptions) subscription.fail(error);
  }

  #receive(message: Msg): void {
    let part: Part;
    try {
      part = this.#parts.reader.read(message);
    } catch (error) {
      if (error instanceof EventDecodeError) return this.#undecodable(error, message);
      throw error;
    }
    if (part.sequence === 0) this.#published(part);
    else if (!this.#isLate(part)) this.#stored(part);
  }

  #published({ actorId, shard, events }: Part): void {
    const group = this.#group;
    if (group === undefined) { for (const event of events) this.#index.published(event); }
    else if (letsActor(group.filter, actorId, shard)) {
      const { eventTypes } = group.filter;
      for (const event of events) if (eventTypes?.has(event.eventType) ?? true) group.deliver(event);
    }
  }

  #stored(part: Part): void {
    if (this.#group !== undefined) return this.#shared(this.#group, part);
    if (part.part === 1) this.#last = this.#parts.reader.last;
    const commit = this.#assembler.add(part);
    if (this.#assembler.broken.length > 0) this.#broken();
    if (commit === undefined) return;
    const missed = this.#missedBefore(commit);
    // A seal has nothing for anybody.
    if (commit.events.length > 0 || part.deleted || missed > 0) this.#index.committed(commit, missed, part.shard);
  }

  /** The server gives each message of a large commit to another member: the one with the last reads the others. */
  #shared(group: Target, part: Part): void {
    const { actorId, shard, version, sequence: position, storedAt, events, deleted } = part;
    if (part.part < part.parts || !letsActor(group.filter, actorId, shard)) return;
    const commit = { actorId, version, position, events, storedAt };
    if (deleted) group.deliver(new Announcement({ ...commit, deleted }));
    else if (part.parts > 1) {
      group.deliver(new Announcement(commit, 0, (signal) => this.#parts.readWhole(part, signal)));
    } else {
      const { eventTypes } = group.filter;
      const meant = eventTypes === undefined ? events : events.filter(({ eventType }) => eventTypes.has(eventType));
      if (meant.length > 0) group.deliver(new Announcement({ ...commit, events: meant }));
    }
  }

  /** What two leaders have announced may overtake each other: an earlier commit behind a later one is a gap, no more. */
  #isLate(part: Part): boolean {
    const order = this.#lateness.judge(part, performance.now());
    if (order === "anew") this.#beginAnew();
    if (order !== "late") return false;
    this.#parts.report.event("late", { actorId: part.actorId, position: part.sequence });
    return true;
  }

  #beginAnew(): void {
    this.#positions.clear();
    for (const subscription of this.#subscriptions) if (subscription.watchesGaps) subscription.gapsAfter = 0;
  }

  /** The position of the first commit that was missed between this one and the actor's last; 0 if none was. */
  #missedBefore({ actorId, position }: Commit): number {
    if (this.#watching === 0) return 0;
    const before = this.#positions.replace(actorId, position);
    if (before === undefined || before === this.#last) return 0;
    this.#parts.report.event("gap", { actorId, afterPosition: before, beforePosition: position });
    return before + 1;
  }

  /** Some of a commit's parts are missing: it is told as a gap at the actor's next one. */
  #broken(): void {
    for (const { actorId, sequence, part, parts } of this.#assembler.broken.splice(0)) {
      this.#parts.report.event("incomplete", { actorId, position: sequence - part + parts });
      if (this.#watching > 0) this.#positions.begin(actorId, sequence - part + 1);
    }
  }

  #undecodable(error: EventDecodeError, { subject }: Msg): void {
    const { subjects, report } = this.#parts;
    const { stream, position } = error;
    report.event("undecodable", { stream, position, subject: error.subject, error: error.message });
    const address = subjects.parse(subjects.ofAnnounced(subject));
    for (const subscription of this.#subscriptions) {
      const isMeant = address === undefined || letsActor(subscription.filter, address.actorId, address.shard);
      if (isMeant) subscription.undecodable(error);
    }
  }
}
