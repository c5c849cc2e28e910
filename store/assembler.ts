import type { Commit } from "./event_store.ts";
import type { Part } from "./wire.ts";

/** Puts the parts of commits together: they have consecutive sequences, and nothing lies between them. */
export class Assembler {
  /** Of the commit at hand: its first ones, as long as none is missing. */
  #parts: Part[] = [];
  #last: Part | undefined;
  /** The last parts of commits of which others are missing, for whoever takes them out. */
  readonly broken: Part[] = [];

  /** Takes the messages in order; the commit that this one completes. */
  add(part: Part): Commit | undefined {
    const last = this.#last;
    if (last === undefined && part.parts === 1) return commitOf(part, part.events);
    if (last !== undefined && !areOfOneCommit(last, part)) this.giveUp();
    if (part.part === this.#parts.length + 1) this.#parts.push(part);
    this.#last = part;
    if (part.part < part.parts) return undefined;
    // The end of a tombstone is one, whatever was erased before it.
    if (this.#parts.length < part.parts && !part.deleted) return this.giveUp();
    const commit = commitOf(part, this.#parts.flatMap(({ events }) => events));
    this.#parts = [];
    this.#last = undefined;
    return commit;
  }

  /** The last part so far of a commit whose end is still to come. */
  get unfinished(): Part | undefined {
    return this.#last;
  }

  /** The end of the commit at hand will not come. */
  giveUp(): undefined {
    if (this.#last !== undefined) this.broken.push(this.#last);
    this.#parts = [];
    this.#last = undefined;
  }
}

/** Each part says where its commit begins. */
function areOfOneCommit(a: Part, b: Part): boolean {
  return a.actorId === b.actorId && a.parts === b.parts && a.sequence - a.part === b.sequence - b.part;
}

function commitOf({ actorId, version, sequence: position, storedAt, deleted }: Part, events: Commit["events"]): Commit {
  return deleted
    ? { actorId, version, position, events, storedAt, deleted }
    : { actorId, version, position, events, storedAt };
}
