/** Direct Get: what any replica of the stream answers, which may lag behind its leader. */
import { createInbox, type Msg, type MsgCallback, type Subscription } from "@nats-io/nats-core";
import { answerOf, Failed, failureOf } from "./answer.ts";
import { inboxPrefixOf, type JetStreamApi, toMilliseconds } from "./jetstream_api.ts";
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
}

/** Reads of one stream. */
export class DirectGet {
  readonly #api: JetStreamApi;

  constructor(api: JetStreamApi) {
    this.#api = api;
  }

  /** A number of messages from a sequence on, from whichever replica answers. */
  async batch(request: BatchRequest, operation: Operation): Promise<Batch> {
    const { promise, resolve, reject } = Promise.withResolvers<Batch>();
    const messages: DirectMessage[] = [];
    const subject = this.#api.subject("DIRECT.GET");
    let subscription: Subscription | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    promise.catch(() => {}); // it may fail before anybody waits for it, or after
    const of = request.next_by_subj === undefined ? undefined : utf8.encode(request.next_by_subj);
    /** Each message of an answer says which was before it: core NATS delivers at most once. */
    const isWhole = (text: string): boolean => {
      const before = of === undefined ? "" : headerIn(text, "Nats-Last-Sequence");
      return before === "" || Number(before) === (messages.at(-1)?.sequence ?? 0);
    };
    const callback: MsgCallback<Msg> = (error, message) => {
      if (error) return reject(error);
      const text = headerText(message);
      const { code, description } = message.data.length > 0 ? WITHOUT_STATUS : statusIn(text);
      if (code < 300 && !isWhole(text)) reject(new Error("a message of the answer is missing"));
      else if (code === 0) messages.push(new DirectMessage(message, of));
      else if (code === 204 || code === 404) resolve({ messages, upTo: Number(headerIn(text, "Nats-UpTo-Sequence")) });
      else if (code === 503) reject(new Failed({ kind: "absent", description: `${subject}: no responders` }));
      else reject(new Failed(answerOf({ err_code: code, description })));
    };
    const wait = (count: number): void => {
      timer = setTimeout(() => {
        if (messages.length > count) wait(messages.length);
        else reject(new Error(`no answer within ${operation.patience} ms`));
      }, operation.patience);
    };
    try {
      const reply = createInbox(inboxPrefixOf(this.#api.nc));
      subscription = this.#api.nc.subscribe(reply, { callback });
      this.#api.nc.publish(subject, JSON.stringify(request), { reply });
      wait(0);
      return await operation.until(promise);
    } catch (error) {
      operation.signal?.throwIfAborted();
      throw error instanceof Failed ? error : new Failed(failureOf(error, subject), error);
    } finally {
      clearTimeout(timer);
      subscription?.unsubscribe();
    }
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

  constructor(message: Msg, subject: Uint8Array | undefined) {
    this.#message = message;
    this.#subject = subject;
    this.#headers = headerText(message);
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
    return { sequence, storedAt, subjectBytes: this.#subject, ...inside };
  }
}
