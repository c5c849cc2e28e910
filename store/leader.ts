import { encodeToken } from "../actor_id.ts";
import { Failed } from "./answer.ts";
import { Operation } from "./operation.ts";
import type { ReaderParts } from "./reader_parts.ts";
import type { StreamInfo } from "./stream_config.ts";
import { type Part, partOf } from "./wire.ts";

/** In milliseconds since 1970; the server counts in nanoseconds of 64 bits, up to the year 2262. */
const LAST_MOMENT = Math.floor(2 ** 63 / 1e6) - 1;

/** What one who reads all asks the leader of the stream: the replica that delivers to it may lag. */
export class Leader {
  readonly #parts: ReaderParts;
  readonly #signal: AbortSignal;
  readonly #timeout: number;

  /** Milliseconds for each question, over all its retries. */
  constructor(parts: ReaderParts, signal: AbortSignal, timeout: number) {
    this.#parts = parts;
    this.#signal = signal;
    this.#timeout = timeout;
  }

  /** The last sequence, which is not before what this store has written or seen. */
  async last(): Promise<number> {
    const { api, heads } = this.#parts;
    return await this.#ask(async (operation) => {
      const { state } = await api.call<StreamInfo>("STREAM.INFO", undefined, operation);
      if (state.last_seq >= heads.highest) return state.last_seq;
      // Who was the leader until a moment ago does not know it yet.
      throw new Failed({
        kind: "absent",
        description: `${api.stream} ends before message ${heads.highest}, which was there`,
      });
    });
  }

  /** The last sequence of a commit; 0 if there is none. By a wildcard the server would walk over all subjects. */
  async position(): Promise<number> {
    const last = await this.last();
    if (last === 0) return 0;
    const { api, subjects } = this.#parts;
    const message = await this.#ask((operation) => api.get({ seq: last }, operation));
    if (message !== undefined && !subjects.isFence(message.subject)) return last;
    const which = { last_by_subj: subjects.events };
    return (await this.#ask((operation) => api.get(which, operation)))?.sequence ?? 0;
  }

  /** The first sequence that was stored at a moment or later, in milliseconds since 1970; undefined if there is none. */
  async firstSince(moment: number): Promise<number | undefined> {
    const counted = Math.max(0, Math.min(moment, LAST_MOMENT));
    const which = { start_time: new Date(counted).toISOString(), next_by_subj: ">" };
    return await this.#ask(async (operation) => {
      try {
        const { message } = await this.#parts.api.call<{ message: { seq: number } }>(
          "STREAM.MSG.GET",
          which,
          operation,
        );
        return message.seq;
      } catch (error) {
        if (error instanceof Failed && error.failure.kind === "answer" && error.failure.meaning === "none") {
          return undefined;
        }
        throw error;
      }
    });
  }

  /** Where the commit begins that a sequence lies in. */
  async beginOf(sequence: number): Promise<number> {
    const message = await this.#ask((operation) => this.#parts.api.get({ seq: sequence }, operation));
    return message === undefined ? sequence : Math.max(1, sequence - (partOf(message).part || 1) + 1);
  }

  /** Whether there is a message of a subject behind one sequence and not behind another. */
  async hasBetween(after: number, end: number, subject = ">"): Promise<boolean> {
    const which = { seq: after + 1, next_by_subj: subject };
    const message = await this.#ask((operation) => this.#parts.api.get(which, operation));
    return message !== undefined && message.sequence <= end;
  }

  /** Whether the actor of a message was deleted. */
  async hasDeleted({ actorId, shard }: Part): Promise<boolean> {
    const { heads, subjects } = this.#parts;
    const subject = subjects.ofActor(encodeToken(actorId), shard);
    return (await this.#ask((operation) => heads.head({ actorId, subject }, "leader", operation))).deleted;
  }

  #ask<T>(question: (operation: Operation) => Promise<T>): Promise<T> {
    const operation = new Operation(this.#timeout, this.#signal);
    return this.#parts.api.reading(operation, () => question(operation));
  }
}

/** Milliseconds that a replica may lag, and between two questions to the leader. */
const PATIENCE = 5_000;

/** Notices when a replica delivers signs of life, but not what the leader has: it is cut off, or cannot keep up. */
export class Lag {
  readonly #leader: Leader;
  /** What the leader has had since when. */
  #last: number;
  #since = performance.now();

  constructor(leader: Leader, last: number) {
    this.#leader = leader;
    this.#last = last;
  }

  /** Milliseconds since when something has been missing behind a sequence; 0: nothing, or not for long. */
  behind(reached: number): number {
    const time = performance.now() - this.#since;
    if (!(time >= PATIENCE)) return 0;
    const missing = this.#last > reached;
    this.#since = Infinity; // until the leader has answered
    this.#leader.last().then((last) => {
      this.#last = last;
      this.#since = performance.now();
    }, () => {}); // aborted, or the leader is away too
    return missing ? time : 0;
  }
}
