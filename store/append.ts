/** Writes: one commit or several, each with the expectation that the server checks. */
import { ActorDeletedError, FencedError, type VersionConflictError } from "../errors.ts";
import { type AttemptParts, Attempts, type Onto, type Plan } from "./attempt.ts";
import type { AppendResult, Commit } from "./event_store.ts";
import { conflict, holds } from "./expectation.ts";
import { isToSeal, nextEpoch } from "./fence.ts";
import type { FencedLane } from "./fenced_lane.ts";
import type { Linked } from "./history.ts";
import type { Lanes } from "./lanes.ts";
import type { Operation } from "./operation.ts";
import { publish } from "./publish.ts";
import type { Subjects } from "./subjects.ts";
import { type Check, encodeCommit, type Head, NO_HEAD } from "./wire.ts";
import { isSame, numbered, type Write } from "./write.ts";

/** Bytes that the headers of a message with events take at most: ours, and those of an expectation and a batch. */
const HEADERS = 512;

/** What appends need. */
export interface AppenderParts extends AttemptParts {
  readonly subjects: Subjects;
  readonly lanes: Lanes;
  readonly fencedLane: FencedLane;
  /** Bytes of a message's payload above which an append is cut into several. */
  readonly messageSize: number;
}

/** Stores commits. */
export class Appender {
  readonly #parts: AppenderParts;

  constructor(parts: AppenderParts) {
    this.#parts = parts;
  }

  /** Small enough for the server too: only a single event is ever too large. */
  get #messageSize(): number {
    const { api: { nc }, messageSize } = this.#parts;
    return Math.min(messageSize, (nc.info?.max_payload ?? Infinity) - HEADERS);
  }

  /** Stores all of the writes or none. */
  async write(writes: readonly Write[], operation: Operation): Promise<AppendResult[]> {
    return await this.#attempt<AppendResult[]>(writes, operation, (onto, sure) => {
      if (sure) return this.#decide(onto, operation);
      if (onto.some(({ head }) => head.deleted)) return "ask the leader"; // of several the first is named
      if (onto.some(isLost) || onto.some(isFenced)) return "ask the leader";
      if (!onto.some(isWritten)) return "ask the leader";
      return this.#plan(onto);
    });
  }

  /** Onto what the leader has. */
  async #decide(onto: readonly Onto[], operation: Operation): Promise<Plan<AppendResult[]>> {
    const dead = onto.find(({ head }) => head.deleted);
    const lost = onto.find(isLost);
    // What a dead actor had is erased: only the commits of others tell whether this is a repetition.
    if ((dead || lost) && onto.some(({ write, head }) => write.drafts.length > 0 && !head.deleted)) {
      const result = await this.#repeated(onto, operation);
      if (result !== undefined) return { result: this.#reported(result) };
    }
    if (dead) throw new ActorDeletedError({ actorId: dead.write.actorId, deletedAtVersion: dead.head.version });
    await this.#checkFences(onto, operation);
    if (lost !== undefined) throw this.#conflict(lost);
    if (!onto.some(isWritten)) return { result: onto.map((one) => found(one, false)) };
    return this.#plan(onto);
  }

  /** Puts a tombstone behind an actor's history; what it says, or what is there: undefined for an actor that never was. */
  async bury(write: Write, operation: Operation): Promise<Head | undefined> {
    return await this.#attempt<Head | undefined>([write], operation, async ([onto], sure) => {
      const { head, subject } = onto as Onto;
      const { version, sequence: previous } = head;
      const lost = isLost(onto as Onto);
      if (!sure && (head.deleted || lost || version === 0 || isFenced(onto as Onto))) return "ask the leader";
      if (head.deleted) return { result: head };
      if (sure) await this.#checkFences([onto as Onto], operation);
      if (lost) throw this.#conflict(onto as Onto);
      if (version === 0) return { result: undefined };
      const epoch = nextEpoch(write.shard, write.fence, head.epoch);
      const checks = this.#fences(write);
      const commit = { subject, events: [], version, previous, epoch, deleted: true, checks };
      const messages = encodeCommit(commit, this.#messageSize);
      return {
        commits: [{
          target: { actorId: write.actorId, subject },
          version: head.version,
          previous,
          behind: 0,
          isOurs: ({ commit }) => commit.deleted === true,
        }],
        checks,
        send: (operation, careful) => publish(this.#parts.api, messages, operation, careful),
        stored: (sequence): Head => this.#learnt(write.actorId, { version, sequence, epoch, deleted: true }),
      };
    });
  }

  /** Tries until the outcome is certain; writes to one actor one after another, in the order of the calls. */
  async #attempt<T>(
    writes: readonly Write[],
    operation: Operation,
    plan: (onto: readonly Onto[], sure: boolean) => Plan<T> | Promise<Plan<T>>,
  ): Promise<T> {
    const look = (sure: boolean): readonly Onto[] | Promise<Onto[]> =>
      (sure ? undefined : this.#known(writes)) ??
        Promise.all(writes.map((write) => this.#onto(write, sure, operation)));
    return await this.#parts.lanes.run(
      writes.map(({ actorId }) => actorId),
      operation,
      () => new Attempts<T>(this.#parts, writes, operation).run(look, plan),
    );
  }

  /** What can be said without asking anybody: whoever expects nothing needs no look-up, the server checks. */
  #known(writes: readonly Write[]): Onto[] | undefined {
    const { heads, subjects, observer } = this.#parts;
    const known: Onto[] = [];
    for (const write of writes) {
      const { actorId, token, shard, expectation } = write;
      const cached = heads.known(actorId);
      const head = cached ?? (expectation.expected === 0 ? NO_HEAD : undefined);
      if (head === undefined) return undefined;
      if (cached !== undefined) observer?.event?.("cacheHit", { actorId });
      known.push({ write, subject: subjects.ofActor(token, shard), head });
    }
    return known;
  }

  async #onto(write: Write, sure: boolean, operation: Operation): Promise<Onto> {
    const { heads, subjects } = this.#parts;
    const { actorId, token, shard } = write;
    const target = { actorId, subject: subjects.ofActor(token, shard) };
    const head = sure ? await heads.corrected(target, operation) : await heads.head(target, "session", operation);
    return { write, subject: target.subject, head };
  }

  #plan(onto: readonly Onto[]): Plan<AppendResult[]> {
    const written = onto.filter(isWritten);
    const isGrouped = onto.length === 1 && onto[0]?.write.fence?.checked === true;
    // Checks on actors that are not written travel with the last commit.
    const others = onto.filter((one) => !isWritten(one))
      .map(({ subject, head: { sequence } }) => ({ subject, sequence }));
    const commits = written.map(({ write, subject, head }, index) => {
      const events = write.drafts.length > 0 ? numbered(write, head.version) : [];
      const version = write.version ?? head.version + events.length;
      const epoch = nextEpoch(write.shard, write.fence, head.epoch);
      const checks = [...this.#fences(write), ...(index === written.length - 1 ? others : [])];
      const commit = { subject, events, version, previous: head.sequence, epoch, checks };
      const messages = encodeCommit(isGrouped ? { ...commit, checks: [] } : commit, this.#messageSize);
      return { write, head, commit, messages };
    });
    const messages = commits.flatMap((commit) => commit.messages);
    const checks = commits.flatMap(({ commit: { checks } }) => checks);
    let behind = messages.length;
    return {
      commits: commits.map(({ write, head, commit: { subject, previous, epoch }, messages: { length } }) => ({
        target: { actorId: write.actorId, subject },
        version: head.version,
        previous,
        behind: behind -= length,
        isOurs: (found): boolean => write.drafts.length > 0 ? isSame(write, found.commit.events) : isSeal(found, epoch),
      })),
      checks,
      send: (operation, careful) => {
        const { api, fencedLane } = this.#parts;
        const [first] = commits;
        const [fence] = checks;
        if (!isGrouped || !first || !fence) return publish(api, messages, operation, careful);
        return fencedLane.send({ messages, previous: first.commit.previous, fence }, operation, careful);
      },
      stored: (sequence, duplicate): AppendResult[] => {
        let position = sequence - messages.length;
        const results = new Map(commits.map(({ write, commit: { events, version, epoch }, messages: { length } }) => {
          const { actorId } = write;
          position += length; // the messages of a batch have consecutive sequences
          this.#learnt(actorId, { version, sequence: position, epoch, deleted: false });
          return [actorId, { actorId, version, position, events, duplicate }];
        }));
        return this.#reported(onto.map((one) => results.get(one.write.actorId) ?? found(one, duplicate)));
      },
    };
  }

  /** The result of writes that are stored already, in one batch; undefined if they are not. */
  async #repeated(onto: readonly Onto[], operation: Operation): Promise<AppendResult[] | undefined> {
    const { history } = this.#parts;
    const written = onto.filter(({ write }) => write.drafts.length > 0);
    const anchor = written.findIndex(({ write: { named, expectation } }) =>
      named && typeof expectation.expected === "number"
    );
    const first = written[anchor];
    if (first === undefined) return undefined;
    const expected = first.write.expectation.expected as number;
    const target = { actorId: first.write.actorId, subject: first.subject };
    const located = await history.covering(target, expected + 1, first.head.sequence, operation);
    if (located === undefined || !isSame(first.write, located.commit.events)) return undefined;
    const commits: Commit[] = [located.commit];
    for (let begins = located.begins, index = anchor - 1; index >= 0; index--) {
      const before = await history.endingAt(written[index]?.subject ?? "", begins - 1, operation);
      if (before === undefined) return undefined;
      commits.unshift(before.commit);
      begins = before.begins;
    }
    for (let ends = located.commit.position, index = anchor + 1; index < written.length; index++) {
      const after = await history.beginningAt(written[index]?.subject ?? "", ends + 1, operation);
      if (after === undefined) return undefined;
      commits.push(after.commit);
      ends = after.commit.position;
    }
    const same = written.every(({ write }, index) => {
      const commit = commits[index];
      return commit?.actorId === write.actorId && isSame(write, commit.events);
    });
    if (!same) return undefined;
    return onto.map((one) => {
      const commit = commits[written.indexOf(one)];
      if (commit === undefined) return found(one, true);
      const { actorId, version, position, events } = commit;
      return { actorId, version, position, events, duplicate: true };
    });
  }

  #fences({ shard, fence }: Write): Check[] {
    return fence?.checked ? [{ subject: this.#parts.subjects.ofFence(shard), sequence: fence.epoch }] : [];
  }

  /**
   * A batch that was refused does not tell whether it was by a fence.
   * @throws {FencedError}
   */
  async #checkFences(onto: readonly Onto[], operation: Operation): Promise<void> {
    const { api, subjects } = this.#parts;
    for (const { write: { shard, fence }, head } of onto) {
      nextEpoch(shard, fence, head.epoch);
      if (!fence?.checked) continue;
      const which = { last_by_subj: subjects.ofFence(shard) };
      const message = await api.reading(operation, () => api.get(which, operation));
      const epoch = message?.sequence ?? 0;
      if (epoch !== fence.epoch) throw new FencedError({ shard, epoch });
    }
  }

  #conflict({ write: { actorId, expectation }, head: { version } }: Onto): VersionConflictError {
    const error = conflict(actorId, expectation, version);
    const { expectedVersion, actualVersion } = error;
    this.#parts.observer?.event?.("conflict", { actorId, expectedVersion, actualVersion });
    return error;
  }

  #reported(results: AppendResult[]): AppendResult[] {
    const { observer } = this.#parts;
    if (observer === undefined) return results;
    for (const { duplicate, actorId, version, events } of results) {
      if (duplicate && events.length > 0) observer.event?.("duplicate", { actorId, version });
    }
    return results;
  }

  #learnt(actorId: string, head: Head): Head {
    this.#parts.heads.learn(actorId, head);
    return head;
  }
}

/** Whether a message goes onto the actor: events, or the seal of a check. */
function isWritten({ write: { drafts, fence }, head: { epoch } }: Onto): boolean {
  return drafts.length > 0 || isToSeal(fence, epoch);
}

/** A seal has no ids to be known by, but only its owner writes its epoch, and each of that owner's is as good. */
function isSeal({ commit: { events, deleted }, epoch: written }: Linked, epoch: number): boolean {
  return events.length === 0 && !deleted && written === epoch;
}

function isLost({ write: { expectation }, head: { version } }: Onto): boolean {
  return !holds(expectation, version);
}

/** Whether a later owner has written. */
function isFenced({ write: { fence }, head: { epoch } }: Onto): boolean {
  return fence !== undefined && fence.epoch < epoch;
}

function found({ write: { actorId }, head: { version, sequence } }: Onto, duplicate: boolean): AppendResult {
  return { actorId, version, position: sequence, events: [], duplicate };
}
