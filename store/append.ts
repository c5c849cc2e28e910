/** Writes: one commit or several, each with the expectation that the server checks. */
import { ActorDeletedError, FencedError, UnavailableError, UnknownOutcomeError } from "../errors.ts";
import { Failed } from "./answer.ts";
import type { AppendResult, Commit } from "./event_store.ts";
import { conflict, holds } from "./expectation.ts";
import { nextEpoch } from "./fence.ts";
import type { Heads } from "./heads.ts";
import type { History } from "./history.ts";
import type { JetStreamApi } from "./jetstream_api.ts";
import type { Lanes } from "./lanes.ts";
import type { Operation } from "./operation.ts";
import type { Subjects } from "./subjects.ts";
import { encodeCommit, type Head, NO_HEAD, type WireMessage } from "./wire.ts";
import { isSame, numbered, type Write } from "./write.ts";

/** Milliseconds before a write that the server refused for the moment is sent again; doubled up to `MAX_PAUSE`. */
const PAUSE = 2;
const MAX_PAUSE = 200;
/** Bytes that the headers of a message with events take at most: ours, and those of an expectation and a batch. */
const HEADERS = 512;

/** What appends need. */
export interface AppenderParts {
  readonly api: JetStreamApi;
  readonly subjects: Subjects;
  readonly heads: Heads;
  readonly history: History;
  readonly lanes: Lanes;
  /** Bytes of a message's payload above which an append is cut into several. */
  readonly messageSize: number;
}

/** A write, and what is known of the actor that it goes onto. */
interface Onto {
  readonly write: Write;
  readonly subject: string;
  readonly head: Head;
}

/** What an attempt does: it has its result, or sends messages, or must know for certain first. */
type Plan<T> =
  | { readonly result: T }
  | { readonly messages: WireMessage[]; stored(sequence: number): T }
  | "ask the leader";

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
    return await this.#attempt(writes, operation, async (onto, sure) => {
      const dead = onto.find(({ head }) => head.deleted);
      if (dead) throw new ActorDeletedError({ actorId: dead.write.actorId, deletedAtVersion: dead.head.version });
      if (onto.some(({ write, head }) => !holds(write.expectation, head.version))) {
        if (!sure) return "ask the leader";
        const result = await this.#repeated(onto, operation);
        if (result !== undefined) return { result };
      }
      if (await this.#mayBeFenced(onto, sure, operation)) return "ask the leader";
      const epochs = onto.map(({ write: { shard, fence }, head }) => nextEpoch(shard, fence, head.epoch));
      const lost = onto.find(({ write, head }) => !holds(write.expectation, head.version));
      if (lost !== undefined) throw conflict(lost.write.actorId, lost.write.expectation, lost.head.version);
      if (onto.every(({ write }) => write.drafts.length === 0)) {
        return sure ? { result: onto.map((one) => found(one, false)) } : "ask the leader";
      }
      return this.#plan(onto, epochs);
    });
  }

  /** Puts a tombstone behind an actor's history; what it says, or what is there: undefined for an actor that never was. */
  async bury(write: Write, operation: Operation): Promise<Head | undefined> {
    return await this.#attempt<Head | undefined>([write], operation, async ([onto], sure) => {
      const { head, subject } = onto as Onto;
      const { version, sequence: previous } = head;
      if (head.deleted) return { result: head };
      if (await this.#mayBeFenced([onto as Onto], sure, operation)) return "ask the leader";
      const epoch = nextEpoch(write.shard, write.fence, head.epoch);
      if (!holds(write.expectation, version) || version === 0) {
        if (!sure) return "ask the leader";
        if (!holds(write.expectation, version)) throw conflict(write.actorId, write.expectation, version);
        return { result: undefined };
      }
      const checks = this.#fences(write);
      const messages = encodeCommit(
        { subject, events: [], version, previous, epoch, deleted: true, checks },
        this.#messageSize,
      );
      return {
        messages,
        stored: (sequence): Head => this.#learnt(write.actorId, { version, sequence, epoch, deleted: true }),
      };
    });
  }

  /** One plan after another, each onto what the leader says by then, until one is through. */
  async #attempt<T>(
    writes: readonly Write[],
    operation: Operation,
    plan: (onto: readonly Onto[], sure: boolean) => Plan<T> | Promise<Plan<T>>,
  ): Promise<T> {
    const { lanes } = this.#parts;
    return await lanes.run(writes.map(({ actorId }) => actorId), operation, async () => {
      let pause = 0;
      for (let sure = false;; sure = true) {
        const onto = await Promise.all(writes.map((write) => this.#onto(write, sure, operation)));
        const next = await plan(onto, sure);
        if (next === "ask the leader") continue;
        if ("result" in next) return next.result;
        if (operation.remaining <= 0) throw new UnavailableError({ reason: "nothing was sent in time" });
        const answer = await this.#publish(next.messages, writes, operation);
        if (typeof answer === "number") return next.stored(answer);
        if (operation.remaining <= pause) {
          throw new UnavailableError({ reason: `not stored in time: ${answer.message}` });
        }
        if (sure) await operation.pause(pause); // a conflict with what this store believed is no reason to wait
        pause = Math.min(2 * pause + PAUSE, MAX_PAUSE);
      }
    });
  }

  async #onto(write: Write, sure: boolean, operation: Operation): Promise<Onto> {
    const { heads, subjects } = this.#parts;
    const { actorId, token, shard } = write;
    const target = { actorId, subject: subjects.ofActor(token, shard) };
    if (sure) return { write, subject: target.subject, head: await heads.corrected(target, operation) };
    // Whoever expects nothing needs no look-up: the server checks.
    const hint = heads.known(actorId) ?? (write.expectation.expected === 0 ? NO_HEAD : undefined);
    return { write, subject: target.subject, head: hint ?? await heads.head(target, "session", operation) };
  }

  /** The sequence of the last message; or why nothing was stored, where another attempt may do better. */
  async #publish(messages: WireMessage[], writes: readonly Write[], operation: Operation): Promise<number | Failed> {
    const { api } = this.#parts;
    try {
      return (await api.publish(messages, operation)).seq;
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
      const { failure, cause } = error;
      if (failure.kind === "silence") {
        const actorIds = writes.map(({ actorId }) => actorId);
        const eventIds = writes.flatMap(({ drafts }) => drafts.map(({ id }) => id));
        throw new UnknownOutcomeError({ actorIds, eventIds }, { cause });
      }
      const again = failure.kind === "absent" ||
        failure.kind === "answer" && (failure.meaning === "conflict" || failure.meaning === "busy");
      if (!again) throw api.errorOf(error);
      return error;
    }
  }

  #plan(onto: readonly Onto[], epochs: readonly number[]): Plan<AppendResult[]> {
    const written = onto.filter(({ write }) => write.drafts.length > 0);
    // Checks on actors that are not written travel with the last commit.
    const others = onto.filter(({ write }) => write.drafts.length === 0)
      .map(({ subject, head: { sequence } }) => ({ subject, sequence }));
    const commits = written.map((one, index) => {
      const { write, subject, head } = one;
      const events = numbered(write, head.version);
      const version = write.version ?? head.version + events.length;
      const epoch = epochs[onto.indexOf(one)] ?? 0;
      const checks = [...this.#fences(write), ...(index === written.length - 1 ? others : [])];
      const commit = { subject, events, version, previous: head.sequence, epoch, checks };
      return { actorId: write.actorId, commit, messages: encodeCommit(commit, this.#messageSize) };
    });
    const messages = commits.flatMap((commit) => commit.messages);
    return {
      messages,
      stored: (sequence): AppendResult[] => {
        let position = sequence - messages.length;
        const results = new Map(commits.map(({ actorId, commit: { events, version, epoch }, messages: { length } }) => {
          position += length; // the messages of a batch have consecutive sequences
          this.#learnt(actorId, { version, sequence: position, epoch, deleted: false });
          return [actorId, { actorId, version, position, events, duplicate: false }];
        }));
        return onto.map((one) => results.get(one.write.actorId) ?? found(one, false));
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

  #fences({ shard, fence }: Write): { subject: string; sequence: number }[] {
    return fence?.checked ? [{ subject: this.#parts.subjects.ofFence(shard), sequence: fence.epoch }] : [];
  }

  /** Whether what this store believes says that a later owner has written; what the leader says is checked for good. */
  async #mayBeFenced(onto: readonly Onto[], sure: boolean, operation: Operation): Promise<boolean> {
    if (sure) await this.#checkFences(onto.map(({ write }) => write), operation);
    return !sure && onto.some(({ write: { fence }, head }) => fence !== undefined && fence.epoch < head.epoch);
  }

  /** A batch that was refused does not tell whether it was by a fence. */
  async #checkFences(writes: readonly Write[], operation: Operation): Promise<void> {
    const { api, subjects } = this.#parts;
    for (const { shard, fence } of writes) {
      if (!fence?.checked) continue;
      const which = { last_by_subj: subjects.ofFence(shard) };
      const message = await api.reading(operation, () => api.get(which, operation));
      const epoch = message?.sequence ?? 0;
      if (epoch !== fence.epoch) throw new FencedError({ shard, epoch });
    }
  }

  #learnt(actorId: string, head: Head): Head {
    this.#parts.heads.learn(actorId, head);
    return head;
  }
}

function found({ write: { actorId }, head: { version, sequence } }: Onto, duplicate: boolean): AppendResult {
  return { actorId, version, position: sequence, events: [], duplicate };
}
