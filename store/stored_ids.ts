import type { Event } from "../event.ts";
import type { EventStore } from "./event_store.ts";
import { ReadAlong } from "./read_along.ts";

/** Ids of one actor that are read at once. */
const READ_AHEAD = 512;
/** Ids that are kept, of all actors: some 100 bytes each. */
const CAPACITY = 100_000;

/** What a store has in the place of an event. */
export type Found =
  /** The event. */
  | "same"
  /** Another event, or a later one: this one is not stored and never can be. */
  | "other"
  /** Nothing, nor behind it. */
  | "none"
  /** The actor was deleted, at this version or later. */
  | "deleted";

interface Stored {
  readonly version: number;
  readonly id: string;
  readonly position: number;
}

interface Ahead {
  readonly ids: readonly Stored[];
  /** The first of the ids that was not passed yet. */
  next: number;
  /** The lowest version that can be asked for. */
  from: number;
  /** Of the last commit that was read. */
  readonly position: number;
  readonly complete: boolean;
  readonly deletedAt: number | undefined;
}

const UNREAD: Ahead = { ids: [], next: 0, from: Infinity, position: 0, complete: false, deletedAt: undefined };

/**
 * The ids that a store has, read ahead actor by actor: who asks for the events of an actor in order pays a read for
 * hundreds of them. Bounded: the actors that were read first are forgotten.
 */
export class StoredIds {
  readonly #store: EventStore;
  readonly #along: ReadAlong;
  readonly #actors = new Map<string, Ahead>();
  #size = 0;

  constructor(store: EventStore) {
    this.#store = store;
    this.#along = new ReadAlong(store);
  }

  /** Whether anything is known of the actor, or is to be read. */
  has(actorId: string): boolean {
    return this.#actors.has(actorId);
  }

  /** What was read proved wrong: the next question reads. */
  refresh(actorId: string): void {
    this.#keep(actorId, UNREAD);
  }

  /** What is stored in the place of the event. */
  async find(event: Event): Promise<Found> {
    if (await this.#along.has(event)) return "same";
    const { actorId, version, id } = event;
    let ahead = this.#actors.get(actorId) ?? UNREAD;
    if (version < ahead.from) ahead = await this.#read(actorId, version, 0);
    for (;;) {
      ahead.from = version;
      while ((ahead.ids[ahead.next]?.version ?? Infinity) < version) ahead.next++;
      const stored = ahead.ids[ahead.next];
      if (stored !== undefined) {
        if (stored.version !== version || stored.id !== id) return "other";
        this.#along.found(stored.position);
        return "same";
      }
      if (ahead.deletedAt !== undefined) return version <= ahead.deletedAt ? "deleted" : "other";
      if (ahead.complete) return "none";
      ahead = await this.#read(actorId, version, ahead.position);
    }
  }

  /** Ends what is being read. */
  async stop(): Promise<void> {
    await this.#along.stop();
  }

  async #read(actorId: string, fromVersion: number, afterPosition: number): Promise<Ahead> {
    const ids: Stored[] = [];
    let position = afterPosition;
    let deletedAt: number | undefined;
    let complete = true;
    for await (const commit of this.#store.readActor(actorId, { fromVersion, afterPosition })) {
      if (commit.deleted) deletedAt = commit.version;
      ({ position } = commit);
      for (const { version, id } of commit.events) ids.push({ version, id, position });
      if (ids.length < READ_AHEAD) continue;
      complete = false;
      break;
    }
    return this.#keep(actorId, { ids, next: 0, from: fromVersion, position, complete, deletedAt });
  }

  #keep(actorId: string, ahead: Ahead): Ahead {
    this.#forget(actorId);
    this.#actors.set(actorId, ahead);
    this.#size += ahead.ids.length + 1;
    for (const oldest of this.#actors.keys()) {
      if (this.#size <= CAPACITY) break;
      if (oldest !== actorId) this.#forget(oldest);
    }
    return ahead;
  }

  #forget(actorId: string): void {
    this.#size -= (this.#actors.get(actorId)?.ids.length ?? -1) + 1;
    this.#actors.delete(actorId);
  }
}
