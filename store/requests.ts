/**
 * Requests and their answers over one subscription.
 *
 * The client's own request makes three errors, two of them with a stack, a race and a timer, whether it fails or not: on
 * Deno a quarter of what an append costs. It also leaves a request waiting that was lost with its connection, and takes
 * requests while there is none, to send them later or to drop them.
 */
import {
  createInbox,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  type Status,
  type Subscription,
} from "@nats-io/nats-core";
import { absent, Failed, failureOf } from "./answer.ts";
import { inboxPrefixOf } from "./inbox.ts";

/** Milliseconds between two looks at what is overdue: how late a request may time out. */
const TICK = 20;

/** Takes a message of an answer; true once the answer is whole. What it throws fails the request. */
export type Take = (message: Msg) => boolean;

interface Pending {
  readonly subject: string;
  /** Milliseconds that the next message may take. */
  readonly timeout: number;
  expires: number;
  /** Undefined: the answer is one message. */
  readonly take: Take | undefined;
  /** A message came since it was last looked at. */
  isMoving: boolean;
  resolve(message: Msg): void;
  reject(error: unknown): void;
}

/** The requests of one store. */
export class Requests {
  readonly #nc: NatsConnection;
  readonly #pending = new Map<string, Pending>();
  /** Those who wait for the connection to come back. */
  readonly #waiting = new Set<() => void>();
  #subscription: Subscription | undefined;
  #statuses: (AsyncIterable<Status> & { stop?(): void }) | undefined;
  #inbox = "";
  #count = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The client knows it before it begins to dial. */
  #disconnected = false;
  #closed = false;

  constructor(nc: NatsConnection) {
    this.#nc = nc;
  }

  /**
   * The answer to a message, or the last message of it; milliseconds that it, or the next message of it, may take.
   * @throws {Failed} `silence` if it was sent and there is no answer, or the connection was lost meanwhile
   * @throws the signal's reason
   */
  async send(
    subject: string,
    payload: Uint8Array | string,
    timeout: number,
    { headers, take, signal }: {
      readonly headers?: MsgHdrs | undefined;
      readonly take?: Take;
      readonly signal?: AbortSignal | undefined;
    } = {},
  ): Promise<Msg> {
    // What the client takes while it dials it sends later, or drops.
    if (this.isAway) timeout -= await this.reconnected(subject, timeout);
    if (this.#subscription === undefined) this.#open();
    const token = (this.#count++).toString(36);
    const { promise, resolve, reject } = Promise.withResolvers<Msg>();
    const expires = performance.now() + timeout;
    this.#pending.set(token, { subject, timeout, expires, take, isMoving: false, resolve, reject });
    try {
      const reply = this.#inbox + token;
      this.#nc.publish(subject, payload, headers === undefined ? { reply } : { reply, headers });
    } catch (error) {
      this.#pending.delete(token);
      throw new Failed(failureOf(error, subject), error);
    }
    this.#timer ??= setTimeout(this.#expire, TICK);
    if (signal === undefined) return await promise;
    const end = (): void => this.#take(token)?.reject(signal.reason);
    if (signal.aborted) end();
    signal.addEventListener("abort", end);
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", end);
    }
  }

  /** Ends the subscription, once everything that was asked has an answer. */
  close(): void {
    this.#closed = true;
    this.#settled();
  }

  #open(): void {
    this.#inbox = `${createInbox(inboxPrefixOf(this.#nc))}.`;
    try {
      const subscription = this.#nc.subscribe(`${this.#inbox}*`, {
        callback: (error, message) => this.#receive(error, message),
      });
      this.#subscription = subscription;
      void subscription.closed.then(() => this.#lose("the connection was closed", subscription));
    } catch (error) {
      throw new Failed(failureOf(error, this.#inbox), error);
    }
    void this.#watch();
  }

  #receive(error: Error | null, message: Msg): void {
    if (error) { // the answers are forbidden, of all requests
      this.#subscription = undefined;
      for (const token of this.#pending.keys()) {
        this.#take(token)?.reject(new Failed(failureOf(error, this.#inbox), error));
      }
      return;
    }
    const token = message.subject.slice(this.#inbox.length);
    const pending = this.#pending.get(token);
    if (pending === undefined) return; // too late
    try {
      if (message.data.length === 0 && message.headers?.code === 503) throw new Failed(absent(pending.subject));
      if (pending.take?.(message) ?? true) this.#take(token)?.resolve(message);
      else pending.isMoving = true;
    } catch (error) {
      this.#take(token)?.reject(error);
    }
  }

  #take(token: string): Pending | undefined {
    const pending = this.#pending.get(token);
    this.#pending.delete(token);
    if (this.#pending.size === 0) this.#settled();
    return pending;
  }

  /** Nothing is left behind that would keep a process or a test from ending. */
  #settled(): void {
    if (this.#pending.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#closed) return;
    this.#subscription?.unsubscribe();
    this.#subscription = undefined;
    this.#statuses?.stop?.();
    this.#statuses = undefined;
    this.#disconnected = false; // nobody watches any more
    for (const wake of this.#waiting) wake();
  }

  readonly #expire = (): void => {
    const now = performance.now();
    this.#timer = setTimeout(this.#expire, TICK);
    for (const [token, pending] of this.#pending) {
      const { subject, timeout, isMoving } = pending;
      if (isMoving) pending.expires = now + timeout;
      pending.isMoving = false;
      if (pending.expires > now) continue;
      this.#take(token)?.reject(new Failed({ kind: "silence", description: `${subject}: no answer` }));
    }
  };

  /** What was sent over a connection that is lost gets no answer any more. */
  #lose(description: string, subscription = this.#subscription): void {
    if (subscription !== this.#subscription) return;
    for (const [token, { subject }] of this.#pending) {
      this.#take(token)?.reject(new Failed({ kind: "silence", description: `${subject}: ${description}` }));
    }
  }

  async #watch(): Promise<void> {
    if (this.#statuses !== undefined) return;
    this.#statuses = this.#nc.status();
    for await (const status of this.#statuses) {
      if (status.type === "error") this.#forbid(status.error);
      if (status.type === "disconnect") {
        this.#disconnected = true;
        this.#lose("the connection was lost");
      } else if (status.type === "reconnect" || status.type === "close") {
        this.#disconnected = false;
        for (const wake of this.#waiting) wake();
      }
    }
  }

  /** The server tells of a refused message apart from the request. */
  #forbid(error: Error): void {
    const failure = failureOf(error, "");
    if (failure.kind !== "forbidden") return;
    for (const [token, { subject }] of this.#pending) {
      if (subject === failure.subject) this.#take(token)?.reject(new Failed(failure, error));
    }
  }

  /** Whether there is no connection at the moment. */
  get isAway(): boolean {
    return (this.#disconnected || this.#nc.info === undefined) && !this.#nc.isClosed();
  }

  /** Waits for a connection; milliseconds that it took. */
  async reconnected(subject: string, timeout: number): Promise<number> {
    const began = performance.now();
    void this.#watch();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    const timer = setTimeout(resolve, Math.max(0, timeout));
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(resolve);
    }
    if (!this.isAway) return performance.now() - began;
    throw new Failed({ kind: "absent", description: `${subject}: not sent, there is no connection` });
  }
}
