/** What a bus hands to its subscriptions. */
import type { Event } from "../event.ts";
import type { Commit } from "../store/event_store.ts";
import { type Filter, letsEvents } from "../store/filter.ts";

/** A commit that was announced, with those of its events that the subscription's filter lets through. */
export class Announcement {
  readonly commit: Commit;
  /** The position of the first of the actor's commits that were missed right before this one; 0 if none was. */
  readonly missed: number;

  /** Of a commit of which only the last part is at hand: reads it whole; undefined if it is there no more. */
  readonly read: ((signal: AbortSignal) => Promise<Commit | undefined>) | undefined;

  constructor(commit: Commit, missed = 0, read?: (signal: AbortSignal) => Promise<Commit | undefined>) {
    this.commit = commit;
    this.missed = missed;
    this.read = read;
  }
}

/** An event that was published and not stored stays bare: most are, and it costs nothing. */
export type Delivery = Event | Announcement;

/** How many events a delivery has, of which a deletion is one. */
export function countOf(delivery: Delivery): number {
  return delivery instanceof Announcement ? Math.max(1, delivery.commit.events.length) : 1;
}

/** Whose it is. */
export function actorOf(delivery: Delivery): string {
  return delivery instanceof Announcement ? delivery.commit.actorId : delivery.actorId;
}

/** The first of its events that is meant, if one is. */
export function eventOf(delivery: Delivery, filter: Filter): Event | undefined {
  return delivery instanceof Announcement ? letsEvents(filter, delivery.commit)?.events[0] : delivery;
}
