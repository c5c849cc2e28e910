/** Finds who is meant by an event, at a cost that does not grow with the number of those who are not. */
import { actorTypeOf, encodeToken } from "../actor_id.ts";
import type { Event } from "../event.ts";
import type { Commit } from "../store/event_store.ts";
import { type Filter, letsActor, letsEvents } from "../store/filter.ts";
import { shardOfToken } from "../store/shard.ts";
import { Announcement, type Delivery } from "./announcement.ts";

/** Who is to be told. */
export interface Target {
  readonly filter: Filter;
  /** Whether it is to be told of deletions too. */
  readonly deletions: boolean;
  /** Where it began to listen: it is told of what was missed behind that. Undefined: it is not to be told. */
  readonly gapsAfter?: number | undefined;
  deliver(delivery: Delivery): void;
}

/** A target, and what of its filter is still to be asked where the index has found it. */
interface Entry {
  readonly target: Target;
  readonly filter: Filter;
  /** The filter is met by being found. */
  readonly met: boolean;
  /** The last dispatch that found it: it may stand under several types of one commit. */
  found: number;
}

type Key = string | number;
type Bucket = Map<Key, Entries>;

/** A set whose list is made anew only where it has changed: a list is several times faster to walk. */
class Entries {
  readonly #set = new Set<Entry>();
  #list: readonly Entry[] | undefined;

  get size(): number {
    return this.#set.size;
  }

  /** As it is now: who leaves while it is walked has to refuse what comes. */
  get list(): readonly Entry[] {
    return this.#list ??= [...this.#set];
  }

  add(entry: Entry): void {
    this.#list = undefined;
    this.#set.add(entry);
  }

  delete(entry: Entry): void {
    this.#list = undefined;
    this.#set.delete(entry);
  }
}

/** The parts of a filter that an index goes by. */
const KEYS = ["actorId", "eventTypes", "actorTypes", "shards"] as const;
type KeyName = typeof KEYS[number];

/**
 * Targets by that part of their filter that has the fewest others under it: an event is compared with those only that
 * share an actor, a type or a shard with it. Whoever is told must not call back before all are.
 */
export class FilterIndex {
  readonly #shards: number;
  readonly #buckets: Readonly<Record<KeyName, Bucket>> = {
    actorId: new Map(),
    eventTypes: new Map(),
    actorTypes: new Map(),
    shards: new Map(),
  };
  /** Those without a filter. */
  readonly #all = new Entries();
  /** Those by event type that want deletions or gaps, which are of every type. */
  readonly #anyType = new Entries();
  #dispatch = 0;

  constructor(shards: number) {
    this.#shards = shards;
  }

  /** @returns how to remove it */
  add(target: Target): () => void {
    const { filter } = target;
    const name = this.#mostSelective(filter);
    const entry = entryOf(target, name);
    if (name === undefined) {
      this.#all.add(entry);
      return () => this.#all.delete(entry);
    }
    const bucket = this.#buckets[name];
    const keys = keysOf(filter, name);
    for (const key of keys) {
      const entries = bucket.get(key) ?? new Entries();
      entries.add(entry);
      bucket.set(key, entries);
    }
    if (name === "eventTypes" && (target.deletions || target.gapsAfter !== undefined)) this.#anyType.add(entry);
    return () => {
      this.#anyType.delete(entry);
      for (const key of keys) {
        const entries = bucket.get(key);
        entries?.delete(entry);
        if (entries?.size === 0) bucket.delete(key);
      }
    };
  }

  published(event: Event): void {
    const { actorId, eventType } = event;
    const { actorId: byActor, eventTypes, actorTypes, shards } = this.#buckets;
    const shard = shards.size > 0 ? this.#shardOf(actorId) : -1;
    if (this.#all.size > 0) this.#publish(this.#all, event, shard);
    if (byActor.size > 0) this.#publish(byActor.get(actorId), event, shard);
    if (eventTypes.size > 0) this.#publish(eventTypes.get(eventType), event, shard);
    if (actorTypes.size > 0) this.#publish(actorTypes.get(actorTypeOf(actorId)), event, shard);
    if (shard >= 0) this.#publish(shards.get(shard), event, shard);
  }

  /** A commit, and the position of the first of the actor's that were missed right before it; 0 if none was. */
  committed(commit: Commit, missed = 0, shard: number = this.#shardOf(commit.actorId)): void {
    const { actorId, events, deleted } = commit;
    const { actorId: byActor, eventTypes, actorTypes, shards } = this.#buckets;
    const announcement = new Announcement(commit);
    this.#dispatch++;
    const announce = (entries: Entries | undefined): void => this.#announce(entries, announcement, shard, missed);
    announce(this.#all);
    announce(byActor.get(actorId));
    if (deleted || missed > 0) announce(this.#anyType);
    if (!deleted && eventTypes.size > 0) { for (const { eventType } of events) announce(eventTypes.get(eventType)); }
    announce(actorTypes.get(actorTypeOf(actorId)));
    announce(shards.get(shard));
  }

  #publish(entries: Entries | undefined, event: Event, shard: number): void {
    if (entries === undefined) return;
    const { list } = entries;
    for (let index = 0; index < list.length; index++) { // on Bun an iterator shows in the rate of deliveries
      const { target, filter, met } = list[index] as Entry;
      if (met || this.#lets(filter, event, shard)) target.deliver(event);
    }
  }

  #lets(filter: Filter, { actorId, eventType }: Event, shard: number): boolean {
    if (filter.eventTypes !== undefined && !filter.eventTypes.has(eventType)) return false;
    return letsActor(filter, actorId, filter.shards && shard < 0 ? this.#shardOf(actorId) : shard);
  }

  #announce(entries: Entries | undefined, announcement: Announcement, shard: number, missed: number): void {
    if (entries === undefined) return;
    const { commit } = announcement;
    for (const entry of entries.list) {
      if (entry.found === this.#dispatch) continue;
      entry.found = this.#dispatch;
      const { target } = entry;
      const isTold = missed > 0 && target.gapsAfter !== undefined && missed - 1 > target.gapsAfter;
      if (commit.deleted && !target.deletions && !isTold) continue;
      if (!letsActor(target.filter, commit.actorId, shard)) continue;
      const meant = letsEvents(target.filter, commit);
      // A gap is told at the first commit behind it, whether or not that one has anything for the subscriber.
      if (isTold) target.deliver(new Announcement(meant ?? { ...commit, events: [] }, missed));
      else if (meant !== undefined) target.deliver(meant === commit ? announcement : new Announcement(meant));
    }
  }

  /** The part with the fewest others under its keys; undefined for a filter that lets all through. */
  #mostSelective(filter: Filter): KeyName | undefined {
    let best: KeyName | undefined;
    let fewest = Infinity;
    for (const name of KEYS) {
      if (filter[name] === undefined) continue;
      let others = 0;
      for (const key of keysOf(filter, name)) others += this.#buckets[name].get(key)?.size ?? 0;
      if (others < fewest) [best, fewest] = [name, others];
    }
    return best;
  }

  #shardOf(actorId: string): number {
    return shardOfToken(encodeToken(actorId), this.#shards);
  }
}

function keysOf(filter: Filter, name: KeyName): readonly Key[] {
  const value = filter[name];
  return value === undefined ? [] : typeof value === "string" ? [value] : [...value];
}

function entryOf(target: Target, name: KeyName | undefined): Entry {
  const filter: Filter = name === undefined ? target.filter : { ...target.filter, [name]: undefined };
  return { target, filter, met: KEYS.every((key) => filter[key] === undefined), found: 0 };
}
