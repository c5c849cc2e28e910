/** Direct Get: what any replica of the stream answers, which may lag behind its leader. */
import { createInbox, type Msg, type MsgCallback, type Subscription } from "@nats-io/nats-core";
import { answerOf, Failed, failureOf } from "./answer.ts";
import { inboxPrefixOf, type JetStreamApi, toMilliseconds } from "./jetstream_api.ts";
import type { Operation } from "./operation.ts";
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
  /** How many more there are. */
  readonly pending: number;
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
    const silence = (): void => reject(new Error(`no answer within ${operation.patience} ms`));
    let subscription: Subscription | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    promise.catch(() => {}); // it may fail before anybody waits for it, or after
    const callback: MsgCallback<Msg> = (error, message) => {
      clearTimeout(timer);
      if (error) return reject(error);
      const { code = 0, description = "" } = message.headers ?? {};
      if (code === 0) {
        timer = setTimeout(silence, operation.patience);
        messages.push(new DirectMessage(message));
      } else if (code === 204 || code === 404) {
        resolve({ messages, pending: Number(message.headers?.get("Nats-Num-Pending") ?? 0) });
      } else if (code === 503) reject(new Failed({ kind: "absent", description: `${subject}: no responders` }));
      else reject(new Failed(answerOf({ err_code: code, description })));
    };
    try {
      const reply = createInbox(inboxPrefixOf(this.#api.nc));
      subscription = this.#api.nc.subscribe(reply, { callback });
      this.#api.nc.publish(subject, JSON.stringify(request), { reply });
      timer = setTimeout(silence, operation.patience);
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
    return this.#direct(this.#api.subject("DIRECT.GET", `.${subject}`), "", operation);
  }

  /** A message by its sequence, from whichever replica answers; undefined if that has none. */
  at(sequence: number, operation: Operation): Promise<RawMessage | undefined> {
    return this.#direct(this.#api.subject("DIRECT.GET"), JSON.stringify({ seq: sequence }), operation);
  }

  async #direct(subject: string, request: string, operation: Operation): Promise<RawMessage | undefined> {
    const message = await this.#api.ask(subject, request, operation);
    const { code = 0, description = "" } = message.headers ?? {};
    if (code === 0) return new DirectMessage(message);
    if (code === 404) return undefined;
    throw new Failed(answerOf({ err_code: code, description }));
  }
}

/** A message that Direct Get gave. */
class DirectMessage implements RawMessage {
  readonly #message: Msg;
  /** The client's own look-up walks all names each time. */
  readonly #headers = new Map<string, string>();

  constructor(message: Msg) {
    this.#message = message;
    for (const [name, [value = ""]] of message.headers ?? []) this.#headers.set(name, value);
  }

  get subject(): string {
    return this.header("Nats-Subject");
  }

  get sequence(): number {
    return Number(this.header("Nats-Sequence"));
  }

  get storedAt(): string {
    return toMilliseconds(this.header("Nats-Time-Stamp"));
  }

  get payload(): Uint8Array {
    return this.#message.data;
  }

  header(name: string): string {
    return this.#headers.get(name) ?? "";
  }
}
