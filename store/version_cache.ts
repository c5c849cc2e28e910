import { type Head, NO_HEAD } from "./wire.ts";

/**
 * The last that a store knows of its actors, bounded. Two generations: when the young one is full it becomes the old
 * one, and what is looked up in the old one moves into the young, so that a look-up is one or two map reads and what
 * was not used for a whole generation is forgotten (an approximation of LRU: hashlru, by Dominic Tarr).
 */
export class VersionCache {
  readonly #capacity: number;
  #young = new Map<string, Head>();
  #old = new Map<string, Head>();
  #highest = 0;
  #forgotten = 0;

  /** Keeps at most so many actors. */
  constructor(capacity: number) {
    this.#capacity = Math.max(1, Math.floor(capacity / 2));
  }

  get(actorId: string): Head | undefined {
    const head = this.#young.get(actorId);
    if (head !== undefined) return head;
    const old = this.#old.get(actorId);
    if (old !== undefined) this.#put(actorId, old);
    return old;
  }

  /** The highest sequence that was ever learnt. */
  get highest(): number {
    return this.#highest;
  }

  /** At least the highest sequence that was learnt of an actor that is no longer known; 0 if all are. */
  get forgotten(): number {
    return this.#forgotten;
  }

  /** Takes what was learnt; an older answer never replaces a newer one. */
  learn(actorId: string, head: Head): void {
    if (head.sequence > this.#highest) this.#highest = head.sequence;
    if (head.sequence > (this.get(actorId) ?? NO_HEAD).sequence) this.#put(actorId, head);
  }

  /** Drops what turned out wrong. */
  forget(actorId: string): void {
    this.#young.delete(actorId);
    this.#old.delete(actorId);
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  #put(actorId: string, head: Head): void {
    this.#old.delete(actorId);
    this.#young.set(actorId, head);
    if (this.#young.size < this.#capacity) return;
    if (this.#old.size > 0) this.#forgotten = this.#highest;
    this.#old = this.#young;
    this.#young = new Map();
  }
}
