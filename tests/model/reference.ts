/** What a store must do, as plainly as it can be said: lists, and no thought of speed, concurrency or faults. */
import type { Event, ExpectedVersion } from "../../mod.ts";

/** A commit as the reference keeps it. */
export interface Kept {
  readonly actorId: string;
  readonly version: number;
  readonly events: readonly Pick<Event, "id" | "version" | "data">[];
  readonly deleted: boolean;
}

/** A write of one actor: new events, by id and data. */
export interface Written {
  readonly actorId: string;
  readonly events: readonly { readonly id: string; readonly data: unknown }[];
  readonly expectedVersion: ExpectedVersion;
  /** Of the first event, where the writer brings it. */
  readonly version?: number;
}

/** What a write comes to. */
export type Outcome =
  | { readonly version: number; readonly duplicate: boolean }
  | { readonly code: "VERSION_CONFLICT"; readonly actorId: string; readonly actualVersion: number }
  | { readonly code: "ACTOR_DELETED"; readonly actorId: string };

/** All commits of a namespace, in order. */
export class Reference {
  commits: Kept[] = [];

  of(actorId: string): Kept[] {
    return this.commits.filter((commit) => commit.actorId === actorId);
  }

  latest(actorId: string): number {
    return this.of(actorId).at(-1)?.version ?? 0;
  }

  isDeleted(actorId: string): boolean {
    return this.of(actorId).at(-1)?.deleted ?? false;
  }

  events(actorId: string): Kept["events"] {
    return this.of(actorId).flatMap(({ events }) => events);
  }

  /** The living with their versions. */
  actors(): Map<string, number> {
    const living = new Map(this.commits.map(({ actorId, version }) => [actorId, version]));
    for (const { actorId, deleted } of this.commits) if (deleted) living.delete(actorId);
    return living;
  }

  /** All or none; of each what it comes to, or the first that fails. */
  write(writes: readonly Written[]): Outcome[] {
    const dead = writes.find(({ actorId }) => this.isDeleted(actorId));
    const lost = writes.find((write) => !this.#holds(write));
    if ((dead || lost) && writes.every((write) => this.#isStored(write))) {
      return writes.map(({ events, expectedVersion }) => ({
        version: (expectedVersion as number) + events.length,
        duplicate: true,
      }));
    }
    if (dead) return [{ code: "ACTOR_DELETED", actorId: dead.actorId }];
    if (lost) {
      return [{ code: "VERSION_CONFLICT", actorId: lost.actorId, actualVersion: this.latest(lost.actorId) }];
    }
    return writes.map(({ actorId, events, version: first }) => {
      const latest = this.latest(actorId);
      const numbered = events.map(({ id, data }, index) => ({ id, data, version: (first ?? latest + 1) + index }));
      const version = numbered.at(-1)?.version ?? latest;
      if (numbered.length > 0) this.commits.push({ actorId, version, events: numbered, deleted: false });
      return { version, duplicate: false };
    });
  }

  /** The version of what is gone; 0 if it never was. */
  delete(actorId: string): number {
    const version = this.latest(actorId);
    if (version === 0 || this.isDeleted(actorId)) return version;
    this.commits = this.commits.filter((commit) => commit.actorId !== actorId);
    this.commits.push({ actorId, version, events: [], deleted: true });
    return version;
  }

  #holds({ actorId, expectedVersion, version }: Written): boolean {
    const latest = this.latest(actorId);
    if (version !== undefined) return version > latest;
    return expectedVersion === "any" || (expectedVersion === "exists" ? latest > 0 : expectedVersion === latest);
  }

  /** A write that is repeated: the commit behind what it expected has its ids. */
  #isStored({ actorId, events, expectedVersion }: Written): boolean {
    if (typeof expectedVersion !== "number") return false;
    const commit = this.of(actorId).find((kept) => kept.version > expectedVersion);
    return commit?.events[0]?.version === expectedVersion + 1 &&
      commit.events.length === events.length && events.every(({ id }, index) => commit.events[index]?.id === id);
  }
}
