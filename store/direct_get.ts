/** Direct Get: what any replica of the stream answers, which may lag behind its leader. */
import type { Msg } from "@nats-io/nats-core";
import { answerOf, Failed } from "./answer.ts";
import { type JetStreamApi, toMilliseconds } from "./jetstream_api.ts";
import type { Operation } from "./operation.ts";
import type { MessageBytes } from "./plain_message.ts";
import { headerIn, headerText, insideOf, statusIn } from "./raw_headers.ts";
import type { RawMessage } from "./wire.ts";

/** A batched Direct Get. */
export interface BatchRequest {
  readonly seq?: number;
  readonly next_by_subj?: string;
  readonly multi_last?: readonly string[];
  readonly batch?: number;
  readonly max_bytes?: number;
}

/** What a batched Direct Get gave. */
export interface Batch {
  readonly messages: readonly RawMessage[];
  /** Of `multi_last`: the last sequence that the replica has. 0 if it does not say, as where it found nothing. */
  readonly upTo: number;
  /** The replica has no more of them behind the last one. */
  readonly isAll: boolean;
}

/** Reads of one stream. */
export class DirectGet {
  readonly #api: JetStreamApi;

  constructor(api: JetStreamApi) {
    this.#api = api;
  }

  /** A number of messages from a sequence on, from whichever replica answers. */
  async batch(request: BatchRequest, operation: Operation): Promise<Batch> {
    const messages: DirectMessage[] = [];
    const of = request.next_by_subj === undefined ? undefined : utf8.encode(request.next_by_subj);
    const subject = this.#api.subject("DIRECT.GET");
    const last = await this.#api.collect(subject, JSON.stringify(request), operation, (message) => {
      const text = headerText(message);
      const { code, description } = message.data.length > 0 ? WITHOUT_STATUS : statusIn(text);
      if (code >= 300 && code !== 404) throw new Failed(answerOf({ err_code: code, description }));
      // Each message says which was before it: core NATS delivers at most once.
      const before = of === undefined || code === 404 ? "" : headerIn(text, "Nats-Last-Sequence");
      if (before !== "" && Number(before) !== (messages.at(-1)?.sequence ?? 0)) {
        throw new Failed({ kind: "silence", description: `${subject}: a message of the answer is missing` });
      }
      if (code === 0) messages.push(new DirectMessage(message, of, text));
      return code !== 0;
    });
    const text = headerText(last);
    const isAll = headerIn(text, "Nats-Num-Pending") === "0";
    return { messages, upTo: Number(headerIn(text, "Nats-UpTo-Sequence")), isAll };
  }

  /** The last message of a subject, from whichever replica answers; undefined if that has none. */
  last(subject: string, operation: Operation): Promise<RawMessage | undefined> {
    return this.#direct(this.#api.subject("DIRECT.GET", `.${subject}`), "", subject, operation);
  }

  /** A message by its sequence, from whichever replica answers; undefined if that has none. */
  at(sequence: number, operation: Operation): Promise<RawMessage | undefined> {
    return this.#direct(this.#api.subject("DIRECT.GET"), JSON.stringify({ seq: sequence }), undefined, operation);
  }

  /** The first message of a subject from a sequence on, from whichever replica answers; undefined if that has none. */
  next(subject: string, sequence: number, operation: Operation): Promise<RawMessage | undefined> {
    const request = JSON.stringify({ seq: sequence, next_by_subj: subject });
    return this.#direct(this.#api.subject("DIRECT.GET"), request, subject, operation);
  }

  async #direct(
    api: string,
    request: string,
    of: string | undefined,
    operation: Operation,
  ): Promise<RawMessage | undefined> {
    const message = await this.#api.ask(api, request, operation);
    if (message.data.length > 0) return new DirectMessage(message, of === undefined ? undefined : utf8.encode(of));
    const { code, description } = statusIn(headerText(message));
    if (code === 0) return new DirectMessage(message, undefined);
    if (code === 404) return undefined;
    throw new Failed(answerOf({ err_code: code, description }));
  }
}

const WITHOUT_STATUS = { code: 0, description: "" } as const;
const utf8 = new TextEncoder();
const SEQUENCE = "\r\nNats-Sequence: ";
const TIME = "\r\nNats-Time-Stamp: ";
/** Characters of a time to the millisecond, without the `Z`. */
const MILLISECONDS = 23;

/** A message that Direct Get gave. */
class DirectMessage implements RawMessage {
  readonly sequence: number;
  readonly #message: Msg;
  /** Undefined if it may be any. */
  readonly #subject: Uint8Array | undefined;
  readonly #headers: string;
  readonly #timeAt: number;

  constructor(message: Msg, subject: Uint8Array | undefined, headers: string = headerText(message)) {
    this.#message = message;
    this.#subject = subject;
    this.#headers = headers;
    // The server's own come last, whatever the writer's are.
    const begins = this.#headers.lastIndexOf(SEQUENCE) + SEQUENCE.length;
    const ends = this.#headers.indexOf("\r\n", begins);
    this.sequence = Number(this.#headers.slice(begins, ends));
    this.#timeAt = ends + TIME.length;
  }

  get subject(): string {
    return this.header("Nats-Subject");
  }

  get storedAt(): string {
    const time = this.#headers.slice(this.#timeAt, this.#headers.indexOf("\r\n", this.#timeAt));
    return time.length > MILLISECONDS + 1 ? `${time.slice(0, MILLISECONDS)}Z` : toMilliseconds(time);
  }

  get payload(): Uint8Array {
    return this.#message.data;
  }

  header(name: string): string {
    return headerIn(this.#headers, name);
  }

  get bytes(): MessageBytes | undefined {
    const inside = insideOf(this.#message);
    if (inside === undefined || this.#subject === undefined) return undefined;
    const { sequence, storedAt } = this;
    const { data, headersLength } = inside;
    return { sequence, storedAt, subjectBytes: this.#subject, data, headersLength };
  }
}
