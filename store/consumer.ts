import { createInbox, type Msg, type Subscription } from "@nats-io/nats-core";
import { Failed, failureOf, isPassing } from "./answer.ts";
import { type Delivery, deliveryOf } from "./delivery.ts";
import { inboxPrefixOf, type JetStreamApi } from "./jetstream_api.ts";
import { Operation } from "./operation.ts";
import type { RawMessage } from "./wire.ts";

/** Milliseconds between signs of life; a consumer that is silent for three of them is made anew. */
const HEARTBEAT = 500;
const SILENCE = 3 * HEARTBEAT;
/** Milliseconds after which the server removes a consumer that nobody listens to. */
const INACTIVE = 5_000;
const MAX_PAUSE = 1_000;
/** Messages that were taken and are still held. */
const CHUNK = 1_024;
/** Milliseconds that ending a consumer may hold up the one who reads. */
const GOOD_BYE = 250;
/** Milliseconds for one try to make a consumer. */
const TRY = 2_000;

/** A message as a consumer delivers it. */
export interface Delivered extends Delivery {
  readonly message: RawMessage;
}

/** Where a consumer starts and what it delivers. */
export interface ConsumerOptions {
  /** The first sequence. */
  readonly start: number;
  /** One subject, which may be a wildcard; undefined: all of the stream. */
  readonly filter: string | undefined;
  readonly signal: AbortSignal;
}

/**
 * The messages of the stream in order, each once: a push consumer without acknowledgements, made anew behind the last
 * message whenever a number is missing or the server falls silent. How far the server runs ahead is bounded by its flow
 * control, which is answered only when everything before it was taken.
 */
export class OrderedConsumer implements AsyncDisposable {
  readonly #api: JetStreamApi;
  readonly #options: ConsumerOptions;
  /** The sequence to start from. */
  #next: number;
  #subscription: Subscription | undefined;
  #name = "";
  /** Messages and flow control requests in the order of arrival, taken up to an index. */
  #queue: Msg[] = [];
  #taken = 0;
  /** The consumer's number of the next message. */
  #expected = 1;
  #pending = 0;
  #heard = 0;
  #lost = false;
  #wake: () => void = () => {};

  constructor(api: JetStreamApi, options: ConsumerOptions) {
    this.#api = api;
    this.#options = options;
    this.#next = options.start;
  }

  /** True once it has been made: the server was there. */
  get opened(): boolean {
    return this.#name !== "";
  }

  /** Everything that the server had was taken. */
  get isEmpty(): boolean {
    return this.#subscription !== undefined && !this.#lost && this.#taken === this.#queue.length && this.#pending === 0;
  }

  /** The next message that has arrived; undefined: wait. */
  take(): Delivered | undefined {
    while (this.#taken < this.#queue.length) {
      if (this.#taken === CHUNK) this.#forgetTaken();
      const message = this.#queue[this.#taken++] as Msg;
      const delivery = message.reply === undefined ? undefined : deliveryOf(message.reply);
      if (delivery === undefined) {
        this.#tell(message.reply ?? ""); // flow control: everything before it was taken
        continue;
      }
      if (delivery.delivered !== this.#expected) {
        this.#lose();
        return undefined;
      }
      this.#expected++;
      this.#next = delivery.sequence + 1;
      this.#pending = delivery.pending;
      return { ...delivery, message: new DeliveredMessage(message, delivery) };
    }
    this.#forgetTaken();
    return undefined;
  }

  /** A reader that is slower than the server never finds the queue empty. */
  #forgetTaken(): void {
    this.#queue = this.#queue.slice(this.#taken);
    this.#taken = 0;
  }

  /** Until a message or a sign of life has come; makes the consumer where there is none. Milliseconds to try that. */
  async wait(patience: number): Promise<void> {
    const { signal } = this.#options;
    signal.throwIfAborted();
    if (this.#subscription === undefined || this.#lost) return await this.#open(patience);
    if (this.#taken < this.#queue.length) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = (): void => resolve();
    this.#wake = wake;
    const timer = setTimeout(wake, Math.max(1, this.#heard + SILENCE - performance.now()));
    signal.addEventListener("abort", wake);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", wake);
    }
    signal.throwIfAborted();
    if (performance.now() - this.#heard >= SILENCE) this.#lose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  /** What has arrived behind a gap is of no use. */
  #lose(): void {
    this.#lost = true;
    this.#queue = [];
    this.#taken = 0;
  }

  async #open(patience: number): Promise<void> {
    const expires = performance.now() + patience;
    for (let pause = 10;; pause = Math.min(2 * pause, MAX_PAUSE)) {
      const operation = new Operation(Math.min(patience, TRY), this.#options.signal, TRY);
      await this.#close();
      try {
        return await this.#create(operation);
      } catch (error) {
        if (!(error instanceof Failed)) throw error;
        if (!isPassing(error.failure) || performance.now() + pause > expires) throw this.#api.errorOf(error);
        await new Operation(Infinity, this.#options.signal).pause(pause);
      }
    }
  }

  async #create(operation: Operation): Promise<void> {
    const { nc, stream } = this.#api;
    const { filter } = this.#options;
    const inbox = createInbox(inboxPrefixOf(nc));
    this.#name = `aether_${crypto.randomUUID().replaceAll("-", "")}`;
    this.#expected = 1;
    this.#lost = false;
    this.#heard = performance.now();
    this.#pending = 1; // not empty until the server has said so
    try {
      const subscription = nc.subscribe(inbox, {
        callback: (error, message) => this.#receive(subscription, error, message),
      });
      this.#subscription = subscription;
    } catch (error) {
      throw new Failed(failureOf(error, inbox), error);
    }
    const config = {
      name: this.#name,
      deliver_subject: inbox,
      deliver_policy: "by_start_sequence",
      opt_start_seq: this.#next,
      ack_policy: "none",
      max_deliver: 1,
      replay_policy: "instant",
      flow_control: true,
      idle_heartbeat: HEARTBEAT * 1_000_000,
      inactive_threshold: INACTIVE * 1_000_000,
      mem_storage: true,
      num_replicas: 1,
      ...(filter !== undefined && { filter_subject: filter }),
    };
    const rest = `.${this.#name}${filter === undefined ? "" : `.${filter}`}`;
    const body = { stream_name: stream, config, action: "create" };
    const { num_pending } = await this.#api.call<{ num_pending: number }>("CONSUMER.CREATE", body, operation, rest);
    if (this.#queue.length === 0) this.#pending = num_pending; // a message that has come meanwhile knows better
  }

  #receive(subscription: Subscription, error: Error | null, message: Msg): void {
    if (subscription !== this.#subscription) return;
    this.#heard = performance.now();
    if (error) this.#lose(); // told apart when the consumer is made anew
    else if (message.reply) this.#queue.push(message); // an event, or a flow control request
    else this.#beat(message);
    this.#wake();
  }

  /** An idle heartbeat says what was sent last, and whether the server waits for a flow control answer that was lost. */
  #beat({ headers }: Msg): void {
    if (this.#queue.length > 0) return;
    if (headers?.get("Nats-Last-Consumer") !== String(this.#expected - 1)) return this.#lose();
    const stalled = headers.get("Nats-Consumer-Stalled");
    if (stalled) this.#tell(stalled);
  }

  #tell(subject: string): void {
    try {
      this.#api.nc.publish(subject);
    } catch {
      this.#lose(); // the connection is closed, which shows when the consumer is made anew
    }
  }

  async #close(): Promise<void> {
    const subscription = this.#subscription;
    if (subscription === undefined) return;
    this.#subscription = undefined;
    this.#lose();
    subscription.unsubscribe();
    try {
      await this.#api.call(
        "CONSUMER.DELETE",
        undefined,
        new Operation(GOOD_BYE, undefined, GOOD_BYE),
        `.${this.#name}`,
      );
    } catch (error) {
      // The server removes a consumer that nobody listens to by itself.
      if (!(error instanceof Failed)) throw error;
    }
  }
}

class DeliveredMessage implements RawMessage {
  readonly subject: string;
  readonly sequence: number;
  readonly storedAt: string;
  readonly payload: Uint8Array;
  readonly #message: Msg;

  constructor(message: Msg, { sequence, storedAt }: Delivery) {
    this.#message = message;
    this.subject = message.subject;
    this.sequence = sequence;
    this.storedAt = storedAt;
    this.payload = message.data;
  }

  header(name: string): string {
    return this.#message.headers?.get(name) ?? "";
  }
}
