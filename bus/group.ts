/** Subscriptions that share the events. */
import { InvalidArgumentError } from "../errors.ts";
import type { Event } from "../event.ts";
import type { Filter } from "../store/filter.ts";
import { Announcement, type Delivery } from "./announcement.ts";
import type { Target } from "./filter_index.ts";
import type { Subscription } from "./subscription.ts";
import { filterKey } from "./terms.ts";

/** The members of a group in this process: each delivery to one of them. */
export class Group implements Target {
  readonly filter: Filter;
  /** Some member may have `onDeleted`. */
  readonly deletions = true;
  readonly #name: string;
  readonly #key: string;
  readonly #members: Subscription<Event>[] = [];
  /** Where the search for the next member begins, so that those who are alike take turns. */
  #turn = 0;

  constructor(name: string, filter: Filter) {
    this.#name = name;
    this.filter = filter;
    this.#key = filterKey(filter);
  }

  get size(): number {
    return this.#members.length;
  }

  /** @throws {InvalidArgumentError} unless the filter is that of the others */
  check(filter: Filter): void {
    if (filterKey(filter) === this.#key) return;
    throw new InvalidArgumentError({ argument: "group" }, `The members of ${this.#name} have another filter`);
  }

  add(member: Subscription<Event>): void {
    this.#members.push(member);
  }

  delete(member: Subscription<Event>): void {
    const index = this.#members.indexOf(member);
    if (index >= 0) this.#members.splice(index, 1);
  }

  /**
   * To the member with the least to do of those that have room: one that hangs keeps nothing from the others. A deletion
   * to one that has `onDeleted`, if any has.
   */
  deliver(delivery: Delivery): void {
    const count = this.#members.length;
    let chosen: Subscription<Event> | undefined;
    let hasRoom = false;
    const isDeletion = delivery instanceof Announcement && delivery.commit.deleted === true;
    for (let step = 0; step < count; step++) {
      const member = this.#members[(this.#turn + step) % count] as Subscription<Event>;
      if (isDeletion && !member.deletions) continue;
      const fits = member.hasRoomFor(delivery);
      if (chosen !== undefined && (fits === hasRoom ? member.load >= chosen.load : hasRoom)) continue;
      chosen = member;
      hasRoom = fits;
    }
    this.#turn = (this.#turn + 1) % Math.max(1, count);
    chosen?.deliver(delivery);
  }
}
