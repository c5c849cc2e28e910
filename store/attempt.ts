/**
 * One write until its outcome is certain, or time is up.
 *
 * An attempt is the pair of a subject and S0, the sequence of its last message that the write goes onto. The server
 * stores it only there, and every retry repeats the same S0, so that two copies of an attempt are never both stored,
 * however late one arrives. Once another message lies behind S0 the attempt is decided: the actor's commit that links
 * back to S0 is ours exactly if its event ids are, or of a seal its epoch; otherwise ours is not stored and never can be.
 */
import { UnavailableError, UnknownOutcomeError } from "../errors.ts";
import { Failed, isWorthAnother } from "./answer.ts";
import type { Heads, Target } from "./heads.ts";
import type { History, Linked } from "./history.ts";
import type { JetStreamApi } from "./jetstream_api.ts";
import type { Observer } from "./observer.ts";
import type { Operation } from "./operation.ts";
import type { Check, Head } from "./wire.ts";
import type { Write } from "./write.ts";

/** Milliseconds before a write that the server refused for the moment is sent again; doubled up to `MAX_PAUSE`. */
const PAUSE = 2;
const MAX_PAUSE = 200;
/** Commits that are followed link by link. */
const NEAR = 8;

/** What attempts need. */
export interface AttemptParts {
  readonly api: JetStreamApi;
  readonly heads: Heads;
  readonly history: History;
  readonly observer: Observer | undefined;
}

/** A write, and what is known of the actor that it goes onto. */
export interface Onto {
  readonly write: Write;
  readonly subject: string;
  readonly head: Head;
}

/** A commit of an attempt. */
export interface AttemptedCommit {
  readonly target: Target;
  /** S0, and the version there. */
  readonly previous: number;
  readonly version: number;
  /** Sequences from its last message to the last of the attempt. */
  readonly behind: number;
  isOurs(found: Linked): boolean;
}

/** Messages that are stored all or not at all, each commit only behind its S0. */
export interface Attempt<T> {
  readonly commits: readonly AttemptedCommit[];
  /** Subjects that it does not write. */
  readonly checks: readonly Check[];
  /** Sends them once; the sequence of the last one. `careful`: so that the reason shows why one does not arrive. */
  send(operation: Operation, careful: boolean): Promise<number>;
  /** The result, by the sequence of the last message. */
  stored(sequence: number, duplicate: boolean): T;
}

/** What to do next: there is a result, messages are to be sent, or what the leader has must be known for certain. */
export type Plan<T> = { readonly result: T } | Attempt<T> | "ask the leader";

/** The error of what there was no time for. */
export function notSent(): UnavailableError {
  return new UnavailableError({ reason: "nothing was sent in time" });
}

/** Plans again, each time onto what the leader has by then, until one plan is through. */
export class Attempts<T> {
  readonly #parts: AttemptParts;
  readonly #operation: Operation;
  readonly #writes: readonly Write[];
  /** Sent, and not known whether it is stored. */
  #open: Attempt<T> | undefined;
  /** Why the server will not take it any more. */
  #refusal: Error | undefined;
  #pause = 0;
  /** A batch that arrived incomplete: each of its messages has to be answered, so that the reason shows. */
  #careful = false;

  constructor(parts: AttemptParts, writes: readonly Write[], operation: Operation) {
    this.#parts = parts;
    this.#writes = writes;
    this.#operation = operation;
  }

  /**
   * @throws {UnknownOutcomeError} if it was sent and time is up, or it was aborted, before the outcome is certain
   * @throws {UnavailableError} if time is up and nothing is stored
   */
  async run(
    look: (sure: boolean) => readonly Onto[] | Promise<readonly Onto[]>,
    plan: (onto: readonly Onto[], sure: boolean) => Plan<T> | Promise<Plan<T>>,
  ): Promise<T> {
    try {
      for (let sure = false;; sure = true) {
        const onto = await look(sure);
        const settled = this.#open && await this.#settle(this.#open, onto);
        if (settled !== undefined) return settled.result;
        const next = this.#open ?? await plan(onto, sure);
        if (next === "ask the leader") continue;
        if ("result" in next) return next.result;
        const sequence = await this.#send(next);
        if (sequence !== undefined) return next.stored(sequence, false);
        // A conflict with what this store believed is no reason to wait.
        if (sure) await this.#operation.pause(this.#pause);
        this.#pause = Math.min(2 * this.#pause + PAUSE, MAX_PAUSE);
      }
    } catch (cause) {
      if (this.#open === undefined) throw cause;
      const actorIds = this.#writes.map(({ actorId }) => actorId);
      const eventIds = this.#writes.flatMap(({ drafts }) => drafts.map(({ id }) => id));
      throw new UnknownOutcomeError({ actorIds, eventIds }, { cause });
    }
  }

  /** The sequence of the last message; undefined: not stored now, or not known. */
  async #send(attempt: Attempt<T>): Promise<number | undefined> {
    const { api, observer } = this.#parts;
    if (this.#operation.remaining <= 0) throw notSent();
    try {
      return await attempt.send(this.#operation, this.#careful);
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
      const { failure } = error;
      if (failure.kind === "silence") {
        this.#open = attempt;
        this.#operation.beMorePatient();
      } else if (!isWorthAnother(failure)) this.#refuse(api.errorOf(error));
      else if (this.#operation.remaining <= this.#pause) {
        throw new UnavailableError({ reason: `not stored in time: ${failure.description}` }, { cause: error });
      }
      observer?.event?.("retry", { stream: api.stream, reason: failure.description });
      this.#careful ||= failure.kind === "answer" && failure.meaning === "incomplete";
      return undefined;
    }
  }

  /** What is not worth another attempt; an earlier copy may be stored all the same. */
  #refuse(refusal: Error): void {
    if (this.#open === undefined) throw refusal;
    this.#refusal = refusal;
  }

  /** The result of an attempt that turned out stored. Undefined: it goes on, or it is not stored and never can be. */
  async #settle(attempt: Attempt<T>, onto: readonly Onto[]): Promise<{ readonly result: T } | undefined> {
    const now = new Map(onto.map(({ write: { actorId }, head }) => [actorId, head]));
    // Of a deleted actor the commits are gone; any other tells. Where there is none the plan says what that means.
    const alive = attempt.commits.filter(({ target }) => !now.get(target.actorId)?.deleted);
    const [first] = alive;
    if (first === undefined) return this.#never();
    const moved = alive.find(({ target, previous }) => now.get(target.actorId)?.sequence !== previous);
    const whole = alive.length === attempt.commits.length;
    if (moved === undefined && whole && !await this.#isChecked(attempt, onto)) {
      if (this.#refusal !== undefined) throw this.#refusal;
      return undefined;
    }
    // What is not written has moved: so could the rest have, if it was ours, after it was looked at.
    const commit = moved ?? first;
    const head = moved
      ? now.get(moved.target.actorId)
      : await this.#parts.heads.corrected(commit.target, this.#operation);
    if (head === undefined || head.sequence === commit.previous || head.deleted) return this.#never();
    const found = await this.#behind(commit, head.sequence);
    if (!commit.isOurs(found)) return this.#never();
    this.#open = undefined;
    return { result: attempt.stored(found.commit.position + commit.behind, true) };
  }

  /** The actor's commit that links back to S0. */
  async #behind({ target, previous, version }: AttemptedCommit, last: number): Promise<Linked> {
    const { history } = this.#parts;
    let sequence = last;
    for (let steps = 1;; steps++) {
      const found = await history.endingAt(target.subject, sequence, this.#operation);
      if (found === undefined || found.previous < previous) {
        throw new UnavailableError({ reason: `messages of ${target.actorId} behind ${previous} are missing` });
      }
      if (found.previous === previous) return found;
      sequence = found.previous;
      if (steps !== NEAR) continue;
      // Many have been first: the one that goes on from the version is found faster than link by link.
      const located = await history.covering(target, version + 1, sequence, this.#operation);
      sequence = located?.commit.position ?? sequence;
    }
  }

  /** Whether a subject that is not written has moved on. */
  async #isChecked({ checks }: Attempt<T>, onto: readonly Onto[]): Promise<boolean> {
    const { api } = this.#parts;
    for (const { subject, sequence } of checks) {
      const seen = onto.find((one) => one.subject === subject)?.head.sequence;
      const which = { last_by_subj: subject };
      const last = seen ?? (await api.reading(this.#operation, () => api.get(which, this.#operation)))?.sequence ?? 0;
      if (last !== sequence) return true;
    }
    return false;
  }

  #never(): undefined {
    this.#open = undefined;
    if (this.#refusal !== undefined) throw this.#refusal;
  }
}
