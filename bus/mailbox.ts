/** What waits for a subscriber: bounded, and what happens at the bound. */
import type { Event } from "../event.ts";
import type { Commit } from "../store/event_store.ts";
import { letsEvents } from "../store/filter.ts";
import { actorOf, Announcement, countOf, type Delivery, eventOf } from "./announcement.ts";
import type { Callbacks } from "./callbacks.ts";
import type { Gap } from "./event_bus.ts";
import { Filling, missing } from "./filling.ts";
import { Gaps } from "./gaps.ts";
import type { Report } from "./report.ts";
import { Ring } from "./ring.ts";
import type { Terms } from "./terms.ts";

/** The buffer of a subscription, in and out; without waiting for anything. */
export class Mailbox {
  /** Events that were dropped. */
  dropped = 0;
  readonly #terms: Terms;
  readonly #report: Report;
  readonly #callbacks: Callbacks;
  /** There is something to take again. */
  readonly #wake: () => void;
  /** A commit could not be read; one of the events that are lost, if one is known that is meant. */
  readonly #unread: (error: unknown, event: Event | undefined) => void;
  readonly #ring = new Ring<Delivery>();
  /** Events in the ring. */
  #waiting = 0;
  /** The commit that is being given, and which of its events is next. */
  #commit: Commit | undefined;
  #next = 0;
  /** Kept only for who wants to know. */
  readonly #gaps: Gaps | undefined;
  #filling: Filling | undefined;
  /** Given once the gap before it is filled, if it is one. */
  #behind: Commit | undefined;
  #discarded = false;

  constructor(
    terms: Terms,
    report: Report,
    callbacks: Callbacks,
    wake: () => void,
    unread: (error: unknown, event: Event | undefined) => void,
  ) {
    this.#terms = terms;
    this.#report = report;
    this.#callbacks = callbacks;
    this.#wake = wake;
    this.#unread = unread;
    this.#gaps = terms.onGap || terms.fill ? new Gaps() : undefined;
  }

  /** Nothing is left to be taken. */
  get empty(): boolean {
    return this.#commit === undefined && this.#filling === undefined && this.#ring.length === 0;
  }

  /** All that waited was let go of. */
  get discarded(): boolean {
    return this.#discarded;
  }

  /** Events that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** The next event of those that wait, if there is one. */
  get next(): Event | undefined {
    if (this.#commit !== undefined) return this.#commit.events[this.#next];
    for (let index = 0; index < this.#ring.length; index++) {
      const event = eventOf(this.#ring.at(index), this.#terms.filter);
      if (event !== undefined) return event;
    }
    return undefined;
  }

  /** Whether it would be taken in and nothing dropped for it. */
  hasRoomFor(delivery: Delivery): boolean {
    return this.#waiting === 0 || this.#waiting + countOf(delivery) <= this.#terms.buffer;
  }

  /**
   * Takes it in or drops it, a commit as a whole. An empty mailbox takes a commit of any size: it is in memory anyway.
   * False if there is no room and nothing may be dropped.
   */
  push(delivery: Delivery): boolean {
    const count = countOf(delivery);
    if (this.#waiting > 0 && this.#waiting + count > this.#terms.buffer) {
      if (this.#terms.overflow === "fail") return false;
      if (this.#terms.overflow === "drop-newest") {
        this.#drop(delivery);
        return true;
      }
      while (this.#waiting > 0 && this.#waiting + count > this.#terms.buffer) {
        const oldest = this.#ring.shift() as Delivery;
        this.#waiting -= countOf(oldest);
        this.#drop(oldest);
      }
    }
    this.#waiting += count;
    this.#ring.push(this.#flagged(delivery));
    return true;
  }

  /** The next event, if it is there. On the way to it the subscriber is told of deletions and gaps. */
  take(): Event | undefined {
    for (;;) {
      if (this.#commit !== undefined) {
        const event = this.#commit.events[this.#next++];
        if (this.#next >= this.#commit.events.length) this.#commit = undefined;
        return event;
      }
      if (this.#filling !== undefined) {
        if (!this.#fill(this.#filling)) return undefined;
        continue;
      }
      const delivery = this.#ring.shift();
      if (delivery === undefined) return undefined;
      if (!(delivery instanceof Announcement)) {
        this.#waiting--;
        return delivery;
      }
      this.#waiting -= countOf(delivery);
      this.#begin(delivery);
    }
  }

  /** Lets go of all that waits. */
  discard(): void {
    this.#discarded = true;
    this.#ring.clear();
    this.#waiting = 0;
    this.#commit = undefined;
    this.#filling?.stop();
    this.#filling = undefined;
    this.#behind = undefined;
  }

  /** With `drop-newest` what was missed lies before the next that is taken in. */
  #flagged(delivery: Delivery): Delivery {
    if (this.#gaps === undefined || this.#terms.overflow !== "drop-newest") return delivery;
    if (!(delivery instanceof Announcement)) return delivery;
    const missed = this.#gaps.claim(delivery.commit.actorId);
    return missed === 0 ? delivery : new Announcement(delivery.commit, missed);
  }

  #drop(delivery: Delivery): void {
    const count = countOf(delivery);
    this.dropped += count;
    const actorId = actorOf(delivery);
    if (delivery instanceof Announcement) {
      this.#gaps?.missed(actorId, delivery.missed || delivery.commit.position);
    }
    this.#report.event("dropped", { actorId, count, overflow: this.#terms.overflow });
  }

  #begin({ commit, missed, read }: Announcement): void {
    if (read !== undefined) return this.#readWhole(commit, read);
    const gap = this.#gapBefore(commit, missed);
    const { fill, onGap, filter } = this.#terms;
    if (gap !== undefined) {
      if (onGap !== undefined) this.#callbacks.call("onGap", () => onGap(gap));
      if (this.#discarded) return; // by onGap
      if (fill !== undefined) {
        const failed = (error: unknown): void => this.#report.failed("fill", error);
        this.#filling = new Filling(missing(fill, gap), filter, this.#wake, failed);
        this.#behind = commit;
        return;
      }
    }
    this.#open(commit);
  }

  /** Of a commit only the last part is at hand. What it cannot be given nobody else is given either. */
  #readWhole(commit: Commit, read: NonNullable<Announcement["read"]>): void {
    const { filter } = this.#terms;
    const lost = (): void => {
      this.dropped += Math.max(1, commit.events.length);
      this.#report.event("incomplete", { actorId: commit.actorId, position: commit.position });
    };
    const whole = async function* (signal: AbortSignal): AsyncIterable<Commit> {
      const found = await read(signal);
      if (found !== undefined) yield found;
      else lost();
    };
    this.#filling = new Filling(whole, filter, this.#wake, (error) => {
      lost();
      this.#unread(error, letsEvents(filter, commit)?.events[0]);
    });
  }

  #gapBefore({ actorId, position }: Commit, missed: number): Gap | undefined {
    if (this.#gaps === undefined) return undefined;
    // With `drop-oldest` what was missed lies before the next that is given.
    const dropped = this.#terms.overflow === "drop-oldest" ? this.#gaps.claim(actorId) : 0;
    return this.#gaps.give(actorId, position, dropped || missed);
  }

  #open(commit: Commit): void {
    const { onDeleted } = this.#terms;
    if (commit.deleted) return this.#callbacks.call("onDeleted", () => onDeleted?.(commit.actorId));
    this.#commit = commit.events.length > 0 ? commit : undefined;
    this.#next = 0;
  }

  /** False while it has to be waited for. */
  #fill(filling: Filling): boolean {
    const commit = filling.take();
    if (commit !== undefined) this.#open(commit);
    else if (!filling.ended) return false;
    else {
      const behind = this.#behind;
      this.#filling = undefined;
      this.#behind = undefined;
      if (behind !== undefined) this.#open(behind);
    }
    return true;
  }
}
