import { isCommandId } from "../decider/recent_commands.ts";
import {
  CommandRejectedError,
  InvalidArgumentError,
  NoHandlerError,
  NoOwnerError,
  OverloadedError,
  UnavailableError,
  UnknownOutcomeError,
} from "../errors.ts";
import type { Metadata } from "../event.ts";
import { copyJson } from "../json.ts";
import { checkOptionNames, namesOf } from "../options.ts";
import { shown } from "../shown.ts";
import type { Abortable } from "../store/event_store.ts";
import { shardOf } from "../store/shard.ts";
import { copyMetadata } from "../validate.ts";
import { actorTypeOf } from "../actor_id.ts";
import type { Clock } from "./clock.ts";
import { type Answer, decodeAnswer, encodeCommand, excessOf } from "./command_messages.ts";
import type { Commands } from "./commands.ts";
import { within } from "./within.ts";

/** Milliseconds that a command may take over all its tries, unless `send` is told otherwise. */
const TIMEOUT = 10_000;
/** More than a timer can wait. */
const MAX_TIMEOUT = 2 ** 31 - 1;
/**
 * Milliseconds before the next try, at first and at most: an owner that was stopped keeps its subscription, and silence is
 * the only sign. Who is only slow finds the next try to be the same, and may still answer the first.
 */
const TRY = { least: 300, most: 1_500 } as const;
/** Milliseconds between two tries: at first, and at most. */
const PAUSE = { least: 5, most: 100 } as const;
/** Milliseconds that another try needs: one that is too late to be answered would make unknown what is known. */
const LAST = 50;
/** Milliseconds in which a node that has just joined may begin to serve. */
const HANDLER = 1_000;

/** A reason without a stack. */
const OVER = "over";

/** Options of `send`. */
export interface SendOptions extends Abortable {
  /** Makes the command idempotent: text of up to 128 characters. Without one it is idempotent over the tries of one `send`. */
  readonly commandId?: string | undefined;
  /** Milliseconds, over all tries. @default 10000 */
  readonly timeout?: number | undefined;
  /** Merged under the metadata of each event. */
  readonly metadata?: Metadata | undefined;
}

const NAMES = namesOf<SendOptions>({ commandId: true, timeout: true, metadata: true, signal: true });

/** What takes the commands of the shards of this very node. */
export interface LocalCommands {
  serves(shard: number): boolean;
  handle(shard: number, body: string): Promise<string>;
}

/** Who owns a shard. */
export interface Owner {
  readonly nodeId: string;
  readonly serves: readonly string[];
}

/** What a router needs. */
export interface RouterParts {
  readonly clock: Clock;
  readonly commands: Commands;
  /** Of the namespace. */
  readonly shards: number;
  /** Absent: nothing is done here. */
  readonly local?: LocalCommands | undefined;
  /** Who owns a shard, and which actor types that node serves, as far as this one knows: for errors. */
  ownerOf?(shard: number): Owner | undefined;
}

/** Brings commands to the owner of their actor's shard, wherever it is. Pure but for its parts. */
export class Router {
  readonly #parts: RouterParts;

  constructor(parts: RouterParts) {
    this.#parts = parts;
  }

  /**
   * Tries until there is an answer, under one command id; gives what the command gave, as JSON has it.
   *
   * @throws {CommandRejectedError} if it was refused
   * @throws {OverloadedError} {@linkcode NoHandlerError} {@linkcode NoOwnerError} if it certainly did not run
   * @throws {UnknownOutcomeError} if it may have run: repeat it with the same `commandId`
   * @throws {InvalidArgumentError} if the command is not JSON, or too large for a message
   * @throws {InvalidActorIdError} {@linkcode PermissionError} {@linkcode ClosedError} and, where it certainly did not run,
   * the signal's reason
   */
  async send(actorId: string, command: unknown, options: SendOptions = {}): Promise<unknown> {
    checkOptionNames("send", options, NAMES);
    const shard = shardOf(actorId, this.#parts.shards);
    const sending = new Sending(this.#parts, shard, actorId, command, options);
    options.signal?.throwIfAborted();
    return await sending.run();
  }
}

/** One command on its way. */
class Sending {
  readonly #parts: RouterParts;
  readonly #shard: number;
  readonly #actorId: string;
  readonly #command: unknown;
  readonly #commandId: string;
  readonly #metadata: Metadata | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #until: number;
  /** Milliseconds of the next try. */
  #patience: number = TRY.least;
  /** Tries of which nobody knows whether they ran. */
  #inDoubt = 0;
  /** Aborts with the sender's signal, and when it is over: no try waits for an answer any more. */
  readonly #over = new AbortController();
  /** What ends it, if the answer comes to an earlier try than the last. */
  readonly #late = Promise.withResolvers<Answer>();
  /** What kept the last try from running. */
  #obstacle: Answer | undefined;
  /** When a node without a handler was first met. */
  #unhandled: number | undefined;

  constructor(parts: RouterParts, shard: number, actorId: string, command: unknown, options: SendOptions) {
    const { commandId = crypto.randomUUID(), timeout = TIMEOUT, metadata, signal } = options;
    if (signal !== undefined && typeof signal?.addEventListener !== "function") {
      throw new InvalidArgumentError({ argument: "signal" }, `signal is an AbortSignal, not ${shown(signal)}`);
    }
    if (!isCommandId(commandId)) {
      throw new InvalidArgumentError({ argument: "commandId" }, "commandId is a text of 1 to 128 characters");
    }
    if (!(typeof timeout === "number" && timeout > 0 && timeout <= MAX_TIMEOUT)) {
      throw new InvalidArgumentError({ argument: "timeout" }, `timeout is milliseconds, more than 0, not ${timeout}`);
    }
    this.#parts = parts;
    this.#shard = shard;
    this.#actorId = actorId;
    this.#command = copyJson(command, "command", (argument, problem) => {
      throw new InvalidArgumentError({ argument }, `${argument}: ${problem}`);
    });
    this.#commandId = commandId;
    this.#metadata = copyMetadata(metadata);
    this.#signal = signal;
    this.#until = parts.clock.now() + timeout;
  }

  async run(): Promise<unknown> {
    const end = (): void => this.#over.abort(OVER);
    this.#signal?.addEventListener("abort", end);
    try {
      return await this.#tries();
    } finally {
      this.#signal?.removeEventListener("abort", end);
      if (this.#patience > TRY.least) end(); // there are tries that were given up
    }
  }

  async #tries(): Promise<unknown> {
    const { clock } = this.#parts;
    let pause: number = PAUSE.least;
    for (let attempt = 1;; attempt++) {
      const left = this.#until - clock.now();
      if (left <= 0 || left < LAST && attempt > 1 && !this.#mayHaveRun) throw this.#tooLate();
      const answer = await this.#try(attempt, left);
      if (answer?.kind === "result") return answer.result;
      this.#consider(answer);
      const time = Math.min(pause * (0.5 + Math.random() / 2), this.#until - clock.now());
      pause = Math.min(2 * pause, PAUSE.most);
      const late = await within(clock, this.#late.promise, Math.max(0, time), this.#over.signal);
      if (late?.kind === "result") return late.result;
      if (late !== undefined) this.#consider(late);
      if (this.#signal?.aborted) throw this.#mayHaveRun ? this.#unknown(this.#signal.reason) : this.#signal.reason;
    }
  }

  /** The answer to one try, or to an earlier one that ends it; undefined: silence. */
  async #try(attempt: number, left: number): Promise<Answer | undefined> {
    const { clock, commands, local } = this.#parts;
    const shard = this.#shard;
    const body = encodeCommand({
      actorId: this.#actorId,
      command: this.#command,
      commandId: this.#commandId,
      attempt,
      left,
      metadata: this.#metadata,
    });
    const size = excessOf(body, commands.maxSize);
    if (size !== undefined) {
      const problem = `The command takes ${size} bytes, ${commands.maxSize} are allowed`;
      const tooLarge = new InvalidArgumentError({ argument: "command" }, problem);
      throw this.#mayHaveRun ? this.#unknown(tooLarge) : tooLarge;
    }
    if (local?.serves(shard)) {
      const answer = await within(clock, local.handle(shard, body), left, this.#signal);
      return answer === undefined ? undefined : decodeAnswer(answer);
    }
    const sent = this.#request(body, left);
    const first = attempt === 1 ? sent : Promise.race([sent, this.#late.promise]);
    const answer = await within(clock, first, Math.min(this.#patience, left), this.#over.signal);
    if (answer !== undefined) return answer;
    if (this.#signal?.aborted) return await sent; // whether it was sent at all is known at once
    this.#patience = Math.min(2 * this.#patience, TRY.most);
    void sent.then((answer) => {
      if (isFinal(answer)) this.#late.resolve(answer);
      else if (didNotRun(answer)) this.#inDoubt--;
    }, () => {});
    return undefined;
  }

  /** What keeps a try from being sent is of no interest where an earlier one may have run. */
  async #request(body: string, milliseconds: number): Promise<Answer | undefined> {
    try {
      const answer = await this.#parts.commands.request(this.#shard, body, milliseconds, this.#over.signal);
      if (answer.kind === "absent") {
        return answer.reason === undefined ? { kind: "notOwner" } : { kind: "unavailable", reason: answer.reason };
      }
      return answer.kind === "answer" ? onlyOfOwner(decodeAnswer(answer.body)) : undefined;
    } catch (error) {
      throw this.#mayHaveRun ? this.#unknown(error) : error;
    }
  }

  /** @throws what is the end of it; else there is another try */
  #consider(answer: Exclude<Answer, { readonly kind: "result" }> | undefined): void {
    this.#obstacle = answer;
    switch (answer?.kind) {
      case undefined:
      case "unknown":
        this.#inDoubt++;
        return;
      case "rejected": {
        const { reason } = answer;
        throw new CommandRejectedError({ actorId: this.#actorId, commandId: this.#commandId, reason });
      }
      case "untold": {
        const cause = new InvalidArgumentError({ argument: "result" }, `The result: ${answer.problem}`);
        const problem = `The command to ${this.#actorId} ran, and what it gave cannot be told: ${answer.problem}`;
        throw this.#unknown(cause, problem);
      }
      case "overloaded":
        if (!this.#mayHaveRun) throw new OverloadedError({ shard: this.#shard, limit: answer.limit, of: answer.of });
        return;
      case "noHandler": {
        const now = this.#parts.clock.now();
        this.#unhandled ??= now;
        if (now - this.#unhandled >= HANDLER) throw this.#noHandler(answer.nodeId);
      }
    }
  }

  /** The time is up. */
  #tooLate(): Error {
    const [shard, obstacle, owned] = [this.#shard, this.#obstacle, this.#parts.ownerOf?.(this.#shard)];
    const nodeId = owned?.nodeId;
    if (obstacle?.kind === "noHandler") return this.#noHandler(obstacle.nodeId);
    if (this.#mayHaveRun) {
      const owner = nodeId === undefined ? "" : `, node ${nodeId}`;
      return this.#unknown(new UnavailableError({ reason: `no answer from the owner of shard ${shard}${owner}` }));
    }
    const cause = obstacle?.kind === "unavailable" ? new UnavailableError({ reason: obstacle.reason }) : undefined;
    // Who serves nothing does not listen either.
    if (cause === undefined && owned !== undefined && !owned.serves.includes(actorTypeOf(this.#actorId))) {
      return this.#noHandler(owned.nodeId);
    }
    return new NoOwnerError({ shard, ...(nodeId === undefined ? {} : { nodeId }) }, cause && { cause });
  }

  /** Also of a command that an earlier owner may have run. */
  #noHandler(nodeId: string): NoHandlerError | UnknownOutcomeError {
    const error = new NoHandlerError({ actorType: actorTypeOf(this.#actorId), nodeId });
    return this.#mayHaveRun ? this.#unknown(error) : error;
  }

  get #mayHaveRun(): boolean {
    return this.#inDoubt > 0;
  }

  #unknown(cause: unknown, problem?: string): UnknownOutcomeError {
    const fields = { actorIds: [this.#actorId], eventIds: [], commandId: this.#commandId };
    return new UnknownOutcomeError(fields, { cause }, problem);
  }
}

/** A node that was stopped listens still: where it denies that the shard is its own, the owner may have run the same try. */
function onlyOfOwner(answer: Answer | undefined): Answer | undefined {
  return answer?.kind === "notOwner" || answer?.kind === "malformed" ? { kind: "unknown" } : answer;
}

/**
 * Whether the answer to an earlier try ends the command though a later one is under way: what was done is done. That it was
 * refused, or led to nothing, says nothing of the later one, which another owner may have in its hands by now.
 */
function isFinal(answer: Answer | undefined): answer is Answer {
  if (answer?.kind === "untold") return true;
  if (answer?.kind !== "result") return false;
  const { result } = answer;
  const events = typeof result === "object" && result !== null && "events" in result ? result.events : undefined;
  return !(Array.isArray(events) && events.length === 0);
}

/** Whether it comes from the owner, or nobody got the command. */
function didNotRun(answer: Answer | undefined): boolean {
  return ["noHandler", "overloaded", "unavailable", "notOwner"].includes(answer?.kind ?? "");
}
