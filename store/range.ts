/** Which part of an actor's history is read: decided here once for every store. */
import { InvalidArgumentError } from "../errors.ts";
import type { Commit, Consistency, ReadActorOptions } from "./event_store.ts";
import { shown } from "../shown.ts";
import type { Part } from "./wire.ts";

/** A range, checked; all bounds are inclusive but `afterPosition`. */
export interface Range {
  readonly fromVersion: number;
  readonly toVersion: number;
  readonly afterPosition: number;
  readonly toPosition: number;
  readonly limit: number;
  readonly last: number;
  readonly lastCommits: number;
  /** A position that the answer must include. */
  readonly atLeast: number;
}

/** @throws {InvalidArgumentError} for what is no count, version or position, and for `limit` with `last` */
export function checkRange(options: ReadActorOptions): Range {
  checkConsistency(options.consistency, ["session", "leader"]);
  const range: Range = {
    fromVersion: whole("fromVersion", options.fromVersion, 0),
    toVersion: whole("toVersion", options.toVersion, Infinity),
    afterPosition: whole("afterPosition", options.afterPosition, 0),
    toPosition: whole("toPosition", options.toPosition, Infinity),
    limit: whole("limit", options.limit, Infinity),
    last: whole("last", options.last, Infinity),
    lastCommits: whole("lastCommits", options.lastCommits, Infinity),
    atLeast: whole("atLeast", options.atLeast, 0),
  };
  if (options.limit !== undefined && (options.last !== undefined || options.lastCommits !== undefined)) {
    throw new InvalidArgumentError({ argument: "limit" }, "limit counts from the start, last from the end: give one");
  }
  const { from } = options;
  if (from === undefined) return range;
  whole("from", from.position, NaN);
  whole("from", from.version, NaN);
  return {
    ...range,
    fromVersion: Math.max(range.fromVersion, from.version + 1),
    afterPosition: Math.max(range.afterPosition, from.position),
  };
}

/** @throws {InvalidArgumentError} for options in the place of the version, which is often left out */
export function checkFromVersion(fromVersion: unknown): void {
  if (typeof fromVersion !== "object" || fromVersion === null) return;
  throw new InvalidArgumentError(
    { argument: "fromVersion" },
    "fromVersion is an integer from 0, not an object: options are the third argument of getEvents",
  );
}

/** The error of a `from` that is not a commit of the actor. */
export function notThisCommit(actorId: string, from: NonNullable<ReadActorOptions["from"]>): InvalidArgumentError {
  return new InvalidArgumentError(
    { argument: "from" },
    `Position ${from.position} is no commit of ${actorId} with version ${from.version}`,
  );
}

/** Whether no event can lie in it. */
export function isEmpty(
  { fromVersion, toVersion, afterPosition, toPosition, limit, last, lastCommits }: Range,
): boolean {
  return Math.min(limit, last, lastCommits) === 0 || toVersion < Math.max(1, fromVersion) ||
    toPosition <= afterPosition;
}

/** Whether it begins with the actor's first event. */
export function isFromStart({ fromVersion, afterPosition, last, lastCommits }: Range): boolean {
  return fromVersion <= 1 && afterPosition === 0 && Math.min(last, lastCommits) === Infinity;
}

/** Whether a message of an actor, and so all behind it, lies above the range. */
export function isAbove(
  { part, version, sequence, events }: Pick<Part, "part" | "version" | "sequence" | "events">,
  { toVersion, toPosition }: Range,
): boolean {
  return sequence > toPosition || part === 1 && (events[0]?.version ?? version) > toVersion;
}

/** @throws {InvalidArgumentError} unless it is a whole number from 0 */
export function whole(argument: string, value: number | undefined, absent: number): number {
  if (value === undefined && !Number.isNaN(absent)) return absent;
  if (value !== undefined && Number.isSafeInteger(value) && value >= 0) return value;
  throw new InvalidArgumentError({ argument }, `${argument} is an integer from 0, not ${shown(value)}`);
}

/** @throws {InvalidArgumentError} for a word that is none */
export function checkConsistency(value: "cached" | Consistency | undefined, allowed: readonly string[]): void {
  if (value === undefined || allowed.includes(value)) return;
  throw new InvalidArgumentError(
    { argument: "consistency" },
    `consistency is one of ${allowed.join(", ")}, not ${shown(value)}`,
  );
}

/**
 * Takes an actor's commits in order and gives those of the range, each with those of its events that lie in it. Commits
 * from the end (`last`, `lastCommits`) come when the history has ended.
 */
export class Selection {
  readonly #range: Range;
  #left: number;
  /** The last commits so far, where only those are wanted. */
  readonly #tail: Commit[] | undefined;
  #tailEvents = 0;

  constructor(range: Range) {
    this.#range = range;
    this.#left = range.limit;
    this.#tail = range.last === Infinity && range.lastCommits === Infinity ? undefined : [];
  }

  /** True once no later commit can lie in the range. */
  done(commit: { readonly version: number; readonly position: number }): boolean {
    const { toVersion, toPosition } = this.#range;
    return this.#left === 0 || commit.version >= toVersion || commit.position >= toPosition;
  }

  /** What to give of this commit now. */
  add(commit: Commit): Commit | undefined {
    const { afterPosition, toPosition, fromVersion, toVersion } = this.#range;
    if (commit.position <= afterPosition || commit.position > toPosition) return undefined;
    const part = within(commit, fromVersion, toVersion, this.#left);
    if (part === undefined) return undefined;
    this.#left -= part.events.length;
    if (this.#tail === undefined) return part;
    this.#tail.push(part);
    this.#tailEvents += part.events.length;
    const { last, lastCommits } = this.#range;
    for (let first = this.#tail[0]; first !== undefined; first = this.#tail[0]) {
      if (this.#tail.length <= lastCommits && this.#tailEvents - first.events.length < last) break;
      this.#tailEvents -= first.events.length;
      this.#tail.shift();
    }
    return undefined;
  }

  /** Whether it has as many commits from the end as are wanted. */
  get isFull(): boolean {
    const { last, lastCommits } = this.#range;
    return this.#tail === undefined || this.#tailEvents >= last || this.#tail.length >= lastCommits;
  }

  /** What is left to give at the end of the history. */
  end(): readonly Commit[] {
    const [first, ...rest] = this.#tail ?? [];
    if (first === undefined) return [];
    const over = this.#tailEvents - this.#range.last;
    return over > 0 ? [{ ...first, events: first.events.slice(over) }, ...rest] : [first, ...rest];
  }
}

function within(commit: Commit, fromVersion: number, toVersion: number, limit: number): Commit | undefined {
  const { events } = commit;
  const first = events[0];
  if (first === undefined || limit === 0) return undefined; // a seal has no events
  if (first.version >= fromVersion && commit.version <= toVersion && events.length <= limit) return commit;
  const part = events.filter(({ version }) => version >= fromVersion && version <= toVersion).slice(0, limit);
  return part.length > 0 ? { ...commit, events: part } : undefined;
}
