import { createInbox, type Msg, type Subscription } from "@nats-io/nats-core";
import { Failed, failureOf, isPassing } from "./answer.ts";
import { type Delivered, DeliveryReader } from "./delivery.ts";
import { inboxPrefixOf } from "./inbox.ts";
import type { JetStreamApi } from "./jetstream_api.ts";
import type { Observer } from "./observer.ts";
import { Operation } from "./operation.ts";
import { Silence } from "./silence.ts";

/** Milliseconds between signs of life of an idle consumer. */
const HEARTBEAT = 500;
/** Milliseconds after which the server removes a consumer that nobody listens to. */
const INACTIVE = 5_000;
/** Milliseconds of the first try to make a consumer; more each time, since on a large stream that is not in memory it takes long. */
const TRY = 1_000;
const MAX_TRY = 60_000;
/** By how much more. In a cluster silence rather means that it was given to a server that is gone. */
const GROWTH = 2;
const GROWTH_IN_CLUSTER = 1.25;
/** Milliseconds between two tries, doubled up to `MAX_PAUSE`. */
const PAUSE = 10;
const MAX_PAUSE = 500;
/** Milliseconds that ending a consumer may hold up the one who reads. */
const GOOD_BYE = 250;
/** `insufficient resources`: none of the servers that have the stream is there to take a consumer. */
const NO_SERVER = 10023;

/** Nobody waits. */
const NOBODY = (): void => {};

/** Where a consumer starts and what it delivers. */
export interface ConsumerOptions {
  /** The first sequence. */
  readonly start: number;
  /** One subject, which may be a wildcard; undefined: all of the stream. */
  readonly filter: string | undefined;
  readonly signal: AbortSignal;
  readonly observer: Observer | undefined;
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
  #start: number;
  #name = "";
  #subscription: Subscription | undefined;
  #reader = new DeliveryReader();
  readonly #silence = new Silence((milliseconds) => this.#reportStall(milliseconds));
  /** What has arrived, in order and without a gap; and what of it is being taken. */
  #arrived: Delivered[] = [];
  #taking: (Delivered | undefined)[] = [];
  #taken = 0;
  /** The number of the last message that this consumer has delivered. */
  #last = 0;
  #pending = 0;
  #passed = 0;
  /** A flow control request, and the number of the message before it. */
  #flow: { readonly subject: string; readonly behind: number } | undefined;
  #opened = false;
  #lost = true;
  #wake: () => void = NOBODY;

  constructor(api: JetStreamApi, options: ConsumerOptions) {
    this.#api = api;
    this.#options = options;
    this.#start = options.start;
  }

  /** True once it has been made: the server was there. */
  get opened(): boolean {
    return this.#opened;
  }

  /** Everything that the server had was taken. */
  get isEmpty(): boolean {
    return !this.#lost && this.#pending === 0 && this.#nothingIsLeft;
  }

  /** Up to here the server has looked for messages, and what it found was taken. */
  get passed(): number {
    return this.#nothingIsLeft ? this.#passed : 0;
  }

  get #nothingIsLeft(): boolean {
    return this.#taken === this.#taking.length && this.#arrived.length === 0;
  }

  /** The next message that has arrived, if it does not lie behind a sequence; undefined: wait. */
  take(end = Infinity): Delivered | undefined {
    const message = this.#next;
    if (message === undefined || message.sequence > end) return undefined;
    this.#taking[this.#taken++] = undefined; // a slow reader does not hold what it has read
    if (this.#flow !== undefined && message.delivered >= this.#flow.behind) this.#answerFlow();
    return message;
  }

  /** Whether there is nothing more to come up to a sequence, since the next message lies behind it. */
  isBehind(sequence: number): boolean {
    return this.#next !== undefined && this.#next.sequence > sequence;
  }

  get #next(): Delivered | undefined {
    if (this.#taken === this.#taking.length && this.#arrived.length > 0) {
      this.#taking = this.#arrived;
      this.#arrived = [];
      this.#taken = 0;
    }
    return this.#taking[this.#taken];
  }

  /** Until a message or a sign of life has come; makes the consumer where there is none. Milliseconds to try that. */
  async wait(patience: number): Promise<void> {
    const { signal } = this.#options;
    signal.throwIfAborted();
    if (!this.#nothingIsLeft) return;
    if (this.#lost || this.#silence.lasts) return await this.#open(patience);
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = (): void => {
      this.#wake = NOBODY; // many messages come at once
      resolve();
    };
    this.#wake = wake;
    signal.addEventListener("abort", wake);
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", wake);
    }
    signal.throwIfAborted();
  }

  /** Lets the next `wait` make it anew, by another server if there are several: this one does not keep up. */
  replace(silence: number): void {
    this.#lost = true;
    this.#reportStall(silence);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#lost = true;
    this.#silence.stop();
    if (this.#subscription === undefined) return;
    this.#subscription.unsubscribe();
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

  async #open(patience: number): Promise<void> {
    const { signal } = this.#options;
    const expires = performance.now() + patience;
    this.#silence.stop();
    let time = TRY;
    for (let pause = PAUSE;; pause = Math.min(2 * pause, MAX_PAUSE)) {
      try {
        await this.#create(Math.min(time, patience));
        this.#opened = true;
        return;
      } catch (error) {
        this.#lost = true;
        if (!(error instanceof Failed)) throw error;
        const { failure } = error;
        const passing = isPassing(failure) || failure.kind === "answer" && failure.code === NO_SERVER;
        if (!passing || performance.now() + pause > expires) throw this.#api.errorOf(error);
        const growth = this.#api.nc.info?.cluster === undefined ? GROWTH : GROWTH_IN_CLUSTER;
        if (failure.kind === "silence") time = Math.min(growth * time, MAX_TRY);
        await new Operation(Infinity, signal).pause(pause);
      }
    }
  }

  async #create(time: number): Promise<void> {
    const { nc, stream } = this.#api;
    const { filter, signal } = this.#options;
    const inbox = createInbox(inboxPrefixOf(nc));
    this.#abandon();
    this.#name = crypto.randomUUID().slice(-12); // in the reply subject of each message, which the client reads by byte
    this.#reader = new DeliveryReader();
    this.#flow = undefined;
    this.#last = 0;
    this.#passed = 0;
    this.#pending = 1; // not empty until the server has said so
    this.#lost = false;
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
      opt_start_seq: this.#start,
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
    const operation = new Operation(time, signal, time);
    const { num_pending } = await this.#api.call<{ num_pending: number }>("CONSUMER.CREATE", body, operation, rest);
    if (this.#last === 0) this.#pending = num_pending; // a message that has come meanwhile knows better
    this.#silence.start();
  }

  /** Without waiting for an answer: the server removes a consumer that nobody listens to by itself. */
  #abandon(): void {
    this.#subscription?.unsubscribe();
    if (this.#subscription !== undefined) this.#publish(this.#api.subject("CONSUMER.DELETE", `.${this.#name}`));
    this.#subscription = undefined;
  }

  #receive(subscription: Subscription, error: Error | null, message: Msg): void {
    if (subscription !== this.#subscription || this.#lost) return;
    this.#silence.end();
    const delivered = error ? undefined : this.#reader.read(message);
    if (delivered !== undefined) this.#arrive(delivered);
    else if (error) this.#lost = true; // told apart when the consumer is made anew
    else this.#obey(message);
    this.#wake();
  }

  #arrive(message: Delivered): void {
    if (message.delivered !== this.#last + 1) {
      this.#lost = true;
      return;
    }
    this.#last = message.delivered;
    this.#pending = message.pending;
    this.#start = message.sequence + 1;
    this.#arrived.push(message);
  }

  /** A flow control request, or an idle heartbeat: that one says what was sent last, and repeats a request without answer. */
  #obey({ headers, reply }: Msg): void {
    const last = headers?.get("Nats-Last-Consumer");
    const flow = reply || headers?.get("Nats-Consumer-Stalled");
    if (last && Number(last) !== this.#last) this.#lost = true;
    else if (flow) {
      this.#flow = { subject: flow, behind: this.#last };
      if (this.#nothingIsLeft) this.#answerFlow();
    } else if (last) {
      this.#pending = 0;
      this.#passed = Number(headers?.get("Nats-Last-Stream"));
    }
  }

  #answerFlow(): void {
    if (this.#flow) this.#publish(this.#flow.subject);
    this.#flow = undefined;
  }

  #publish(subject: string): void {
    try {
      this.#api.nc.publish(subject);
    } catch {
      this.#lost = true; // the connection is closed, which shows when the consumer is made anew
    }
  }

  #reportStall(silence: number): void {
    this.#options.observer?.event?.("stall", { stream: this.#api.stream, silence: Math.round(silence) });
    this.#wake();
  }
}
