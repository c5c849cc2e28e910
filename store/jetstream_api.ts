/** Requests to JetStream, below the client's own JetStream layer: raw answers, every failure told apart. */
import type { Msg, MsgHdrs, NatsConnection } from "@nats-io/nats-core";
import { answerOf, errorOf, Failed, isPassing } from "./answer.ts";
import type { Operation } from "./operation.ts";
import { Requests, type Take } from "./requests.ts";
import type { RawMessage } from "./wire.ts";

/** Milliseconds before a read that failed is tried again; doubled up to `MAX_PAUSE`. */
const PAUSE = 25;
const MAX_PAUSE = 500;

/** A stored message as `STREAM.MSG.GET` gives it, bytes in base64. */
interface StoredMessage {
  readonly subject: string;
  readonly seq: number;
  readonly hdrs?: string;
  readonly data?: string;
  readonly time: string;
}

/** What the server answers in place of what was asked for. */
export interface ErrorAnswer {
  readonly error?: { readonly err_code: number; readonly description: string };
}

/** JetStream as one stream needs it. */
export class JetStreamApi {
  readonly nc: NatsConnection;
  readonly stream: string;
  readonly #prefix: string;
  readonly #requests: Requests;

  constructor(nc: NatsConnection, stream: string, prefix = "$JS.API") {
    this.nc = nc;
    this.stream = stream;
    this.#prefix = prefix;
    this.#requests = new Requests(nc);
  }

  /** The subject of an API of the stream: `STREAM.INFO` to `$JS.API.STREAM.INFO.<stream>`. */
  subject(api: string, rest = ""): string {
    return `${this.#prefix}.${api}.${this.stream}${rest}`;
  }

  /** Ends what was opened for requests. */
  close(): void {
    this.#requests.close();
  }

  /** Asks once. */
  async ask(subject: string, payload: Uint8Array | string, operation: Operation): Promise<Msg> {
    operation.signal?.throwIfAborted();
    return await this.request(subject, payload, operation);
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
        if (error.failure.kind === "absent") await this.#checkStream(operation);
        await operation.pause(pause);
      }
    }
  }

  /** Nobody answers Direct Get and publishes where the stream is gone; this the servers answer without it. */
  async #checkStream(operation: Operation): Promise<void> {
    try {
      await this.call("STREAM.INFO", undefined, operation);
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
      if (error.failure.kind === "answer" && error.failure.meaning === "gone") throw this.errorOf(error);
    }
  }

  /** The error for the caller of the store. */
  errorOf({ failure, cause }: Failed): Error {
    return errorOf(failure, this.stream, cause);
  }

  /** Until there is a connection: what the client takes meanwhile it sends later, or drops. */
  async connected(subject: string, operation: Operation): Promise<void> {
    if (this.#requests.isAway) await operation.until(this.#requests.reconnected(subject, operation.patience));
  }

  /** Sends a message that is answered, once. */
  request(subject: string, payload: Uint8Array | string, operation: Operation, headers?: MsgHdrs): Promise<Msg> {
    return operation.until(this.#requests.send(subject, payload, operation.patience, { headers }));
  }

  /** Sends a message that is answered by several, once; gives the last one. */
  async collect(subject: string, payload: string, operation: Operation, take: Take): Promise<Msg> {
    operation.signal?.throwIfAborted();
    return await operation.until(this.#requests.send(subject, payload, operation.patience, { take }));
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
