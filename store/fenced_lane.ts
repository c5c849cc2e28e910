/**
 * The lane of appends behind checked fences. An atomic batch costs the server many times what a single message costs, and
 * little more with much in it: so there is one under way at a time, and all that is appended meanwhile goes into the next,
 * each commit with its own expectation, and for each shard one check of its fence.
 */
import { BatchTooLargeError } from "../errors.ts";
import { Failed, lastSequenceOf } from "./answer.ts";
import type { DirectGet } from "./direct_get.ts";
import { composed, type FencedCommit, losers, Member, nextBatch } from "./fenced_batch.ts";
import type { JetStreamApi } from "./jetstream_api.ts";
import type { Observer } from "./observer.ts";
import { Operation } from "./operation.ts";
import { MAX_BATCH, publish } from "./publish.ts";

/** Microtasks after which nobody who was just answered, or called together with others, will append any more. */
const TURNS = 100;
/** Milliseconds between two looks at what is overdue. */
const TICK = 20;
/** Milliseconds before a batch is sent again that met another write on its way; doubled up to `MAX_PAUSE`. */
const PAUSE = 1;
const MAX_PAUSE = 100;
/** Milliseconds that finding out who is to blame may take; whoever it is finds out by himself then. */
const LOOK = 2_000;
/** Bytes that the headers of a message take at most. */
const HEADERS = 1_024;
/** The server's code of an expectation on a subject that has another write on its way. */
const IN_FLIGHT = 10164;

/** What the lane needs. */
export interface FencedLaneParts {
  readonly api: JetStreamApi;
  readonly direct: DirectGet;
  readonly observer: Observer | undefined;
}

/** The checked appends of one store. */
export class FencedLane {
  readonly #parts: FencedLaneParts;
  /** In the order in which they came. */
  #waiting: Member[] = [];
  readonly #open = new Set<Member>();
  #isRunning = false;
  #maxMessages = MAX_BATCH;
  #pause = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(parts: FencedLaneParts) {
    this.#parts = parts;
  }

  /**
   * Sends a commit once, with others; the sequence of its last message. Who is refused with others though nothing is
   * wrong with him is sent again. `careful`: alone, each message answered.
   * @throws {Failed} as `publish`
   */
  async send(commit: FencedCommit, operation: Operation, careful: boolean): Promise<number> {
    const limit = (this.#parts.api.nc.info?.max_payload ?? Infinity) - HEADERS;
    const isAlone = careful || commit.messages.some(({ payload }) => payload.length > limit);
    const member = new Member(commit, operation, isAlone, careful);
    this.#open.add(member);
    this.#waiting.push(member);
    this.#timer ??= setTimeout(this.#expire, TICK);
    if (!this.#isRunning) void this.#run();
    try {
      return await operation.until(member.outcome);
    } catch (error) {
      if (member.isSettled || !member.isSent) throw error;
      throw new Failed({ kind: "silence", description: "aborted" }, error);
    } finally {
      if (!member.isSettled) member.fail(operation.signal?.reason); // it left: nothing more is sent of it
      this.#open.delete(member);
      if (this.#open.size === 0) {
        clearTimeout(this.#timer);
        this.#timer = undefined;
      }
    }
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#waiting.length > 0) {
      await this.#gather();
      const { batch, left } = nextBatch(this.#waiting, this.#maxMessages);
      this.#waiting = left;
      if (batch.length > 0) await this.#send(batch);
    }
    this.#isRunning = false;
  }

  /** Until all who append at this moment have done so. */
  async #gather(): Promise<void> {
    for (let known = 0; known < this.#waiting.length;) {
      known = this.#waiting.length;
      for (let turn = 0; turn < TURNS; turn++) await undefined;
    }
  }

  async #send(batch: readonly Member[]): Promise<void> {
    const { messages, behind } = composed(batch);
    const patience = Math.max(...batch.map(({ operation }) => operation.patience));
    const careful = batch.some((member) => member.isCareful);
    for (const member of batch) member.isSent = true;
    try {
      const last = await publish(this.#parts.api, messages, new Operation(patience, undefined, patience), careful);
      batch.forEach((member, index) => member.stored(last - (behind[index] ?? 0)));
      this.#pause = 0;
    } catch (error) {
      const failed = await this.#failed(batch, messages.length, error);
      for (const member of failed) member.fail(error);
      this.#again(batch.filter((member) => !failed.includes(member)), error);
    }
  }

  /** For whom the error is; the rest is to be sent again. */
  async #failed(batch: readonly Member[], messages: number, error: unknown): Promise<readonly Member[]> {
    if (batch.length === 1) return batch;
    if (error instanceof BatchTooLargeError) { // by what the server's operator has set
      this.#maxMessages = Math.min(error.limit || messages >> 1, messages - 1);
      return [];
    }
    const failure = error instanceof Failed ? error.failure : undefined;
    if (failure?.kind !== "answer" || failure.meaning !== "conflict") return batch;
    for (const member of batch) member.isSent = false; // it was refused, that is certain
    if (failure.code === IN_FLIGHT) {
      this.#pause = Math.min(2 * this.#pause + PAUSE, MAX_PAUSE);
      await new Operation(MAX_PAUSE, undefined).pause(this.#pause);
      return [];
    }
    const found = losers(batch, await this.#lastOf(batch, lastSequenceOf(failure)));
    return found.length > 0 ? found : batch; // each finds out by himself
  }

  #again(members: readonly Member[], error: unknown): void {
    if (members.length === 0) return;
    const { api, observer } = this.#parts;
    for (const member of members) member.isSent = false;
    this.#waiting = [...members, ...this.#waiting];
    observer?.event?.("retry", { stream: api.stream, reason: error instanceof Error ? error.message : String(error) });
  }

  /**
   * Last sequences of actors and fences: of the one at which the server stopped, by its number, from the leader, and of all
   * from any replica.
   */
  async #lastOf(batch: readonly Member[], number: number): Promise<ReadonlyMap<string, number>> {
    const { api, direct } = this.#parts;
    const operation = new Operation(LOOK, undefined);
    const subjects = new Set(batch.flatMap(({ subject, commit: { fence } }) => [subject, fence.subject]));
    const [named, all] = await Promise.allSettled([
      number > 0 ? api.get({ seq: number }, operation) : undefined,
      direct.batch({ multi_last: [...subjects], batch: subjects.size }, operation),
    ]);
    const lasts = new Map<string, number>();
    const messages = all.status === "fulfilled" ? all.value.messages : [];
    for (const { subject, sequence } of messages) lasts.set(subject, sequence);
    if (named.status === "fulfilled" && named.value !== undefined) lasts.set(named.value.subject, named.value.sequence);
    return lasts;
  }

  readonly #expire = (): void => {
    this.#timer = setTimeout(this.#expire, TICK);
    for (const member of this.#open) member.expire();
  };
}
