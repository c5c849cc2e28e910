/** The commits of one namespace in this process: every decision of the store in memory, without waiting for anything. */
import { ActorDeletedError, EventTooLargeError, FencedError } from "../errors.ts";
import type { Event } from "../event.ts";
import { timestampOf } from "../validate.ts";
import type { AppendResult, Commit, ReadActorOptions } from "./event_store.ts";
import { conflict, holds } from "./expectation.ts";
import { type Fence, isToSeal, nextEpoch } from "./fence.ts";
import { checkRange, notThisCommit, Selection } from "./range.ts";
import { isSame, numbered, type Write } from "./write.ts";

/** A commit as it is kept: JSON text, so that nothing that was saved or read can change it. */
export interface StoredCommit {
  readonly actorId: string;
  readonly shard: number;
  readonly version: number;
  readonly position: number;
  /** Milliseconds since 1970. */
  readonly storedAt: number;
  /** A JSON array of events; `[]` for a tombstone, and a seal. */
  readonly payload: string;
  readonly deleted: boolean;
}

interface Actor {
  /** In order, without seals; of a deleted actor the tombstone only. */
  readonly commits: StoredCommit[];
  /** Of the last commit, be it a seal. */
  position: number;
  version: number;
  epoch: number;
  deleted: boolean;
}

/** A write that passed every check. */
interface Admitted {
  readonly write: Write;
  readonly events: readonly Event[];
  readonly version: number;
  /** Undefined: a check, of which nothing is stored. */
  readonly payload: string | undefined;
  readonly epoch: number;
}

const NOBODY: Actor = { commits: [], position: 0, version: 0, epoch: 0, deleted: false };
const utf8 = new TextEncoder();

/** Commits by position and by actor. */
export class CommitLog {
  readonly #maxEventSize: number;
  readonly #now: () => number;
  readonly #actors = new Map<string, Actor>();
  /** Position `n` at `n - 1`; an erased commit leaves a hole. */
  readonly #commits: (StoredCommit | undefined)[] = [];
  /** The latest epoch that has written to a shard. */
  readonly #epochs = new Map<number, number>();

  constructor(maxEventSize: number, now: () => number) {
    this.#maxEventSize = maxEventSize;
    this.#now = now;
  }

  /** The last position. */
  get position(): number {
    return this.#commits.length;
  }

  /** The commit at a position, if it was not erased. */
  at(position: number): StoredCommit | undefined {
    return this.#commits[position - 1];
  }

  /** Undefined for an actor that never was. */
  actor(actorId: string): { readonly version: number; readonly deleted: boolean } | undefined {
    return this.#actors.get(actorId);
  }

  actors(): Iterable<[actorId: string, { readonly version: number; readonly deleted: boolean }]> {
    return this.#actors;
  }

  write(write: Write): AppendResult {
    const repeated = this.#expected(write) ? undefined : this.#find(write);
    return repeated ? resultOf(repeated, true) : this.#commit(this.#admit(write));
  }

  /** All or nothing: every commit is checked before one is stored. */
  writeAll(writes: readonly Write[]): AppendResult[] {
    const expected = writes.map((write) => this.#expected(write));
    const repeated = expected.includes(false) ? this.#findAll(writes) : undefined;
    if (repeated !== undefined) return repeated;
    for (const write of writes) this.#checkAlive(write);
    return writes.map((write) => this.#admit(write)).map((admitted) => this.#commit(admitted));
  }

  /** Erases the actor's commits and puts a tombstone in their place; undefined for an actor that never was. */
  erase(write: Write): StoredCommit | undefined {
    const { actorId, expectation, shard, fence } = write;
    const { commits, version, epoch: last, deleted } = this.#actors.get(actorId) ?? NOBODY;
    if (deleted) return commits[0];
    const epoch = this.#nextEpoch(shard, fence, last);
    if (!holds(expectation, version)) throw conflict(actorId, expectation, version);
    if (version === 0) return undefined;
    for (const { position } of commits.splice(0)) this.#commits[position - 1] = undefined;
    return this.#store({ write, version, epoch }, "[]", true);
  }

  /** The commits of an actor that lie in the range. Costs what it returns, and a binary search. */
  select(actorId: string, options: ReadActorOptions): Commit[] {
    const range = checkRange(options);
    const { commits, deleted } = this.#actors.get(actorId) ?? NOBODY;
    if (deleted) return commits.map(commitOf);
    const { from } = options;
    if (from !== undefined) {
      const known = this.at(from.position);
      if (known?.actorId !== actorId || known.version !== from.version) throw notThisCommit(actorId, from);
    }
    const selection = new Selection(range);
    const end = firstIndex(commits, (commit) => selection.done(commit)) + 1;
    const start = firstIndex(
      commits,
      ({ version, position }) => version >= range.fromVersion && position > range.afterPosition,
    );
    // The commit at an end of the range may have no event in it: one more than is wanted.
    const wanted = Math.min(range.last, range.lastCommits) + 1;
    const selected: Commit[] = [];
    for (const stored of commits.slice(Math.max(start, Math.min(end, commits.length) - wanted), end)) {
      const commit = selection.add(commitOf(stored));
      if (commit !== undefined) selected.push(commit);
    }
    return [...selected, ...selection.end()];
  }

  #expected({ actorId, expectation }: Write): boolean {
    const { version, deleted } = this.#actors.get(actorId) ?? NOBODY;
    return !deleted && holds(expectation, version);
  }

  #checkAlive({ actorId }: Write): void {
    const { version, deleted } = this.#actors.get(actorId) ?? NOBODY;
    if (deleted) throw new ActorDeletedError({ actorId, deletedAtVersion: version });
  }

  #admit(write: Write): Admitted {
    const { actorId, shard, fence, expectation, drafts } = write;
    this.#checkAlive(write);
    const { version, epoch: last } = this.#actors.get(actorId) ?? NOBODY;
    const epoch = this.#nextEpoch(shard, fence, last);
    if (!holds(expectation, version)) throw conflict(actorId, expectation, version);
    if (drafts.length === 0) {
      return { write, events: [], version, payload: isToSeal(fence, last) ? "[]" : undefined, epoch };
    }
    const events = numbered(write, version);
    const payload = JSON.stringify(events);
    this.#checkSize(events, payload);
    return { write, events, version: write.version ?? version + events.length, payload, epoch };
  }

  #commit(admitted: Admitted): AppendResult {
    const { write: { actorId }, version, events, payload } = admitted;
    const position = payload === undefined ? this.#lastPosition(actorId) : this.#store(admitted, payload).position;
    return { actorId, version, position, events, duplicate: false };
  }

  #store(
    { write, version, epoch }: Pick<Admitted, "write" | "version" | "epoch">,
    payload: string,
    deleted = false,
  ): StoredCommit {
    const { actorId, shard, fence } = write;
    const position = this.#commits.length + 1;
    const commit = { actorId, shard, version, position, storedAt: this.#now(), payload, deleted };
    const actor: Actor = this.#actors.get(actorId) ?? { ...NOBODY, commits: [] };
    this.#actors.set(actorId, Object.assign(actor, { position, version, epoch, deleted }));
    if (!isSeal(commit)) actor.commits.push(commit);
    this.#commits.push(commit);
    if (fence !== undefined) this.#epochs.set(shard, Math.max(epoch, this.#epochs.get(shard) ?? 0));
    return commit;
  }

  #nextEpoch(shard: number, fence: Fence | undefined, last: number): number {
    const taken = this.#epochs.get(shard) ?? 0;
    if (fence?.checked && taken > fence.epoch) throw new FencedError({ shard, epoch: taken });
    return nextEpoch(shard, fence, last);
  }

  #checkSize(events: readonly Event[], payload: string): void {
    const limit = this.#maxEventSize;
    if (payload.length * 3 <= limit) return; // a UTF-16 unit is at most three bytes
    for (const event of events) {
      const size = utf8.encode(JSON.stringify(event)).length;
      if (size > limit) throw new EventTooLargeError({ size, limit });
    }
  }

  /** The commit that this write would repeat, if it is stored: the one that covers the next version. */
  #find(write: Write): Commit | undefined {
    const { named, actorId, expectation: { expected } } = write;
    if (!named || typeof expected !== "number") return undefined;
    const { commits } = this.#actors.get(actorId) ?? NOBODY;
    const stored = commits[firstIndex(commits, ({ version }) => version > expected)];
    const commit = stored && commitOf(stored);
    return commit && isSame(write, commit.events) ? commit : undefined;
  }

  /** The results of a transaction that is stored already: its commits lie side by side. */
  #findAll(writes: readonly Write[]): AppendResult[] | undefined {
    const written = writes.filter(({ drafts }) => drafts.length > 0);
    const found = written.map((write) => this.#find(write));
    const anchor = found.findIndex((commit) => commit !== undefined);
    const first = (found[anchor]?.position ?? NaN) - anchor;
    const commits = new Map<string, Commit>();
    for (const [index, write] of written.entries()) {
      const stored = this.at(first + index);
      const commit = stored && commitOf(stored);
      if (commit?.actorId !== write.actorId || !isSame(write, commit.events)) return undefined;
      commits.set(write.actorId, commit);
    }
    return writes.map(({ actorId }) => {
      const { version } = this.#actors.get(actorId) ?? NOBODY;
      return resultOf(
        commits.get(actorId) ?? { actorId, version, position: this.#lastPosition(actorId), events: [] },
        true,
      );
    });
  }

  #lastPosition(actorId: string): number {
    return this.#actors.get(actorId)?.position ?? 0;
  }
}

/** Whether it is nothing to readers. */
export function isSeal({ payload, deleted }: StoredCommit): boolean {
  return payload === "[]" && !deleted;
}

/** As a reader gets it: its own copy. */
export function commitOf({ actorId, version, position, payload, deleted, storedAt }: StoredCommit): Commit {
  const commit = { actorId, version, position, events: JSON.parse(payload), storedAt: timestampOf(storedAt) };
  return deleted ? { ...commit, deleted } : commit;
}

function resultOf({ actorId, version, position, events }: Commit, duplicate: boolean): AppendResult {
  return { actorId, version, position, events, duplicate };
}

/** The first index at which a monotonic condition holds; the length if nowhere. */
function firstIndex<T>(list: readonly T[], holds: (item: T) => boolean): number {
  let low = 0;
  for (let high = list.length; low < high;) {
    const middle = (low + high) >>> 1;
    if (holds(list[middle] as T)) high = middle;
    else low = middle + 1;
  }
  return low;
}
