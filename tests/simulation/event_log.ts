/** The stream of events as its servers have it. */
import type { Written } from "../../cluster/bucket.ts";
import type { FenceMessage } from "../../cluster/fences.ts";
import type { Event } from "../../event.ts";
import type { Machine } from "./machine.ts";
import type { Scheduler } from "./scheduler.ts";

/** A commit in the stream. */
export interface StoredCommit {
  readonly sequence: number;
  readonly at: number;
  readonly shard: number;
  readonly actorId: string;
  readonly version: number;
  readonly previous: number;
  readonly epoch: number;
  readonly events: readonly Event[];
  readonly by: string;
}

/** A commit on its way. */
export type NewCommit = Omit<StoredCommit, "sequence" | "at">;

/** What became of an append: the sequence of what was there instead, or of the fence. */
export type Appended =
  | { readonly stored: StoredCommit }
  | { readonly conflict: number }
  | { readonly fenced: number };

/** What a replica has of an actor, and up to which sequence it has anything. */
export interface ActorAnswer {
  readonly commits: readonly StoredCommit[];
  readonly upTo: number;
}

interface StoredFence {
  readonly sequence: number;
  readonly at: number;
  readonly nonce: string;
}

/** Told before a commit is stored, and after a fence was. */
export interface LogListener {
  onCommit(commit: NewCommit, last: StoredCommit | undefined): void;
  onFence(shard: number, sequence: number, by: Machine): void;
}

/** Commits and fences in one order. */
export class EventLog {
  readonly #scheduler: Scheduler;
  readonly #listener: LogListener;
  /** When each message was stored. */
  readonly #times: number[] = [];
  readonly #actors = new Map<string, StoredCommit[]>();
  readonly #fences = new Map<number, StoredFence[]>();

  constructor(scheduler: Scheduler, listener: LogListener) {
    this.#scheduler = scheduler;
    this.#listener = listener;
  }

  /** All commits of an actor. */
  commitsOf(actorId: string): readonly StoredCommit[] {
    return this.#actors.get(actorId) ?? [];
  }

  /** The versions of a shard's actors. */
  versionsOf(shard: number): ReadonlyMap<string, number> {
    const versions = new Map<string, number>();
    for (const [actorId, commits] of this.#actors) {
      const last = commits.at(-1);
      if (last?.shard === shard) versions.set(actorId, last.version);
    }
    return versions;
  }

  /** All commits, in order. */
  get all(): StoredCommit[] {
    return [...this.#actors.values()].flat().sort((a, b) => a.sequence - b.sequence);
  }

  append(commit: NewCommit, fence: number | undefined): Appended {
    const commits = this.#actors.get(commit.actorId) ?? [];
    const last = commits.at(-1);
    const sequence = last?.sequence ?? 0;
    if (sequence !== commit.previous) return { conflict: sequence };
    const current = this.lastFence(commit.shard, Infinity).sequence;
    if (fence !== undefined && current !== fence) return { fenced: current };
    this.#listener.onCommit(commit, last);
    const stored = { ...commit, sequence: this.#times.push(this.#scheduler.now), at: this.#scheduler.now };
    commits.push(stored);
    this.#actors.set(commit.actorId, commits);
    return { stored };
  }

  read(actorId: string, asOf: number): ActorAnswer {
    const commits = this.commitsOf(actorId).filter(({ at }) => at <= asOf);
    let upTo = this.#times.length;
    while (upTo > 0 && (this.#times[upTo - 1] as number) > asOf) upTo--;
    return { commits, upTo };
  }

  lastFence(shard: number, asOf: number): FenceMessage {
    const last = this.#fences.get(shard)?.findLast(({ at }) => at <= asOf);
    return last ?? { sequence: 0, nonce: undefined };
  }

  fence(shard: number, nonce: string, previous: number, by: Machine): Written {
    const current = this.lastFence(shard, Infinity).sequence;
    if (current !== previous) return { kind: "conflict", revision: current };
    const sequence = this.#times.push(this.#scheduler.now);
    const fences = this.#fences.get(shard) ?? [];
    this.#fences.set(shard, fences);
    fences.push({ sequence, at: this.#scheduler.now, nonce });
    this.#listener.onFence(shard, sequence, by);
    return { kind: "stored", revision: sequence };
  }
}
