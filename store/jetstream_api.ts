/** Requests to JetStream, below the client's own JetStream layer: raw answers, every failure told apart. */
import { headers, type Msg, type MsgHdrs, type NatsConnection, type RequestOptions } from "@nats-io/nats-core";
import { BatchTooLargeError, EventTooLargeError } from "../errors.ts";
import { answerOf, errorOf, Failed, failureOf, isPassing } from "./answer.ts";
import type { Operation } from "./operation.ts";
import { untraced } from "./untraced.ts";
import type { RawMessage, WireMessage } from "./wire.ts";

/** Milliseconds after which a read without an answer is asked again: a leader that dies takes its requests along. */
export const TRY = 2_000;
/** Milliseconds before a read that failed is tried again; doubled up to `MAX_PAUSE`. */
const PAUSE = 25;
const MAX_PAUSE = 500;

/** Messages in one atomic batch: nats-server `server/jetstream_batching.go`. */
const MAX_BATCH = 1_000;
/** Bytes of `NATS/1.0` and the empty line behind the headers. */
const FRAME = 12;

/** The server's answer to a publish. */
export interface PubAck {
  /** The sequence of the last message. */
  readonly seq: number;
}

/** A stored message as `STREAM.MSG.GET` gives it, bytes in base64. */
interface StoredMessage {
  readonly subject: string;
  readonly seq: number;
  readonly hdrs?: string;
  readonly data?: string;
  readonly time: string;
}

interface ErrorAnswer {
  readonly error?: { readonly err_code: number; readonly description: string };
}

/** JetStream as one stream needs it. */
export class JetStreamApi {
  readonly nc: NatsConnection;
  readonly stream: string;
  readonly #prefix: string;

  constructor(nc: NatsConnection, stream: string, prefix = "$JS.API") {
    this.nc = nc;
    this.stream = stream;
    this.#prefix = prefix;
  }

  /** The subject of an API of the stream: `STREAM.INFO` to `$JS.API.STREAM.INFO.<stream>`. */
  subject(api: string, rest = ""): string {
    return `${this.#prefix}.${api}.${this.stream}${rest}`;
  }

  /** Asks once. */
  async ask(subject: string, payload: Uint8Array | string, operation: Operation): Promise<Msg> {
    await null; // a request on a stack of its own: see `untraced`
    operation.signal?.throwIfAborted();
    try {
      return await this.#request(subject, payload, operation, { timeout: Math.min(TRY, operation.remaining) });
    } catch (error) {
      operation.signal?.throwIfAborted();
      throw new Failed(failureOf(error, subject), error);
    }
  }

  /** Calls a JSON API of the stream once. */
  async call<T>(api: string, body: unknown, operation: Operation, rest = ""): Promise<T> {
    const payload = body === undefined ? "" : JSON.stringify(body);
    const answer = (await this.ask(this.subject(api, rest), payload, operation)).json<T & ErrorAnswer>();
    if (answer.error) throw new Failed(answerOf(answer.error));
    return answer;
  }

  /** Repeats what only reads until it succeeds, fails for good, or time is up. */
  async reading<T>(operation: Operation, read: () => Promise<T>): Promise<T> {
    for (let pause = PAUSE;; pause = Math.min(2 * pause, MAX_PAUSE)) {
      try {
        return await read();
      } catch (error) {
        if (!(error instanceof Failed)) throw error;
        if (!isPassing(error.failure) || operation.remaining <= pause) throw this.errorOf(error);
        await operation.pause(pause);
      }
    }
  }

  /** The error for the caller of the store. */
  errorOf({ failure, cause }: Failed): Error {
    return errorOf(failure, this.stream, cause);
  }

  /**
   * Stores messages, all or none: one by a publish, several by an atomic batch, whose last message alone is answered
   * (the client's own `Batch` hides the server's errors).
   * @throws {EventTooLargeError} {@linkcode BatchTooLargeError} before anything is sent
   */
  async publish(messages: readonly WireMessage[], operation: Operation): Promise<PubAck> {
    if (messages.length > MAX_BATCH) throw new BatchTooLargeError({ messages: messages.length, limit: MAX_BATCH });
    const batch = messages.length > 1 ? crypto.randomUUID() : undefined;
    const prepared = messages.map((message, index) => {
      const last = index === messages.length - 1;
      const fields = batch === undefined ? {} : {
        "Nats-Batch-Id": batch,
        "Nats-Batch-Sequence": String(index + 1),
        ...(last && { "Nats-Batch-Commit": "1" }),
      };
      return { ...message, headers: this.#headers({ ...message, headers: { ...message.headers, ...fields } }) };
    });
    const commit = prepared.pop();
    if (commit === undefined) throw new RangeError("nothing to publish");
    await null;
    operation.signal?.throwIfAborted();
    let answer: PubAck & ErrorAnswer;
    try {
      for (const { subject, payload, headers } of prepared) this.nc.publish(subject, payload, { headers });
      const { subject, payload, headers } = commit;
      answer = (await this.#request(subject, payload, operation, { timeout: operation.remaining, headers })).json();
    } catch (error) {
      // Whoever gives up waiting does not know what became of it.
      if (operation.signal?.aborted) {
        throw new Failed({ kind: "silence", description: "aborted" }, operation.signal.reason);
      }
      throw new Failed(failureOf(error, commit.subject), error);
    }
    if (answer.error) throw new Failed(answerOf(answer.error));
    return answer;
  }

  #request(subject: string, payload: Uint8Array | string, operation: Operation, options: RequestOptions): Promise<Msg> {
    const timed = { ...options, timeout: Math.max(1, options.timeout) };
    return operation.until(untraced(() => this.nc.request(subject, payload, timed)));
  }

  #headers({ headers: fields, payload }: WireMessage): MsgHdrs {
    const head = headers();
    let size = payload.length + FRAME;
    for (const [name, value] of Object.entries(fields)) {
      head.append(name, value);
      size += name.length + value.length + 4;
    }
    const limit = this.nc.info?.max_payload ?? Infinity;
    if (size > limit) throw new EventTooLargeError({ size, limit });
    return head;
  }

  /** A message of the stream, from its leader; undefined if there is none. */
  async get(
    which: { readonly last_by_subj: string } | { readonly seq: number; readonly next_by_subj?: string },
    operation: Operation,
  ): Promise<RawMessage | undefined> {
    try {
      const { message } = await this.call<{ message: StoredMessage }>("STREAM.MSG.GET", which, operation);
      return new LeaderMessage(message);
    } catch (error) {
      if (error instanceof Failed && error.failure.kind === "answer" && error.failure.meaning === "none") {
        return undefined;
      }
      throw error;
    }
  }
}

class LeaderMessage implements RawMessage {
  readonly #message: StoredMessage;
  readonly #headers = new Map<string, string>();

  constructor(message: StoredMessage) {
    this.#message = message;
    for (const line of atob(message.hdrs ?? "").split("\r\n")) {
      const colon = line.indexOf(":");
      if (colon > 0) this.#headers.set(line.slice(0, colon), line.slice(colon + 1).trim());
    }
  }

  get subject(): string {
    return this.#message.subject;
  }

  get sequence(): number {
    return this.#message.seq;
  }

  get storedAt(): string {
    return toMilliseconds(this.#message.time);
  }

  get payload(): Uint8Array {
    return Uint8Array.from(atob(this.#message.data ?? ""), (character) => character.charCodeAt(0));
  }

  header(name: string): string {
    return this.#headers.get(name) ?? "";
  }
}

/** Go's RFC 3339 with nanoseconds, trailing zeros cut, to milliseconds. */
export function toMilliseconds(time: string): string {
  const [, seconds = time, fraction = ""] = /^([^.]+?)(?:\.(\d+))?Z$/.exec(time) ?? [];
  return `${seconds}.${fraction.slice(0, 3).padEnd(3, "0")}Z`;
}

/** The prefix that a user with narrow permissions has given to the connection; no public field tells it. */
export function inboxPrefixOf(nc: NatsConnection): string | undefined {
  return (nc as { readonly options?: { readonly inboxPrefix?: string } }).options?.inboxPrefix;
}
