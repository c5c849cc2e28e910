/** Gives events to one `for await`. */
import type { Event } from "../event.ts";
import type { Consumer } from "./handler_loop.ts";
import type { Mailbox } from "./mailbox.ts";

type Result = IteratorResult<Event, undefined>;
type Asked = PromiseWithResolvers<Result>;

/** Of `subscribe`. */
export class Iteration implements Consumer, AsyncIterator<Event, undefined> {
  readonly #mailbox: Mailbox;
  /** The reader has what it will get. */
  readonly #finished: () => void;
  /** The reader wants no more. */
  readonly #left: () => void;
  readonly #asked: Asked[] = [];
  /** What it rejects with, once, after what waits. */
  #failure: { readonly error: unknown } | undefined;
  #ending = false;
  /** Somebody reads, and has not been told of the end. */
  #open = false;
  #told = false;

  constructor(mailbox: Mailbox, finished: () => void, left: () => void) {
    this.#mailbox = mailbox;
    this.#finished = finished;
    this.#left = left;
  }

  /** True also if nobody reads: then nothing runs. */
  get idle(): boolean {
    return !this.#open;
  }

  /** Whoever reads has been told of the end, or wanted no more. */
  get told(): boolean {
    return this.#told;
  }

  open(): void {
    this.#open = true;
  }

  /** It ends, or fails, behind what waits. */
  end(failure?: { readonly error: unknown }): void {
    this.#ending = true;
    this.#failure ??= failure;
  }

  run(): void {
    while (this.#asked.length > 0) {
      const result = this.#take();
      if (result === undefined) return;
      const { resolve } = this.#asked.shift() as Asked;
      resolve(result);
    }
  }

  next(): Promise<Result> {
    const result = this.#asked.length === 0 ? this.#take() : undefined;
    if (result !== undefined) return Promise.resolve(result);
    const asked = Promise.withResolvers<Result>();
    this.#asked.push(asked);
    return asked.promise;
  }

  return(): Promise<Result> {
    this.#left();
    this.#close();
    this.run();
    return Promise.resolve({ done: true, value: undefined });
  }

  #take(): Result | Promise<Result> | undefined {
    const event = this.#mailbox.take();
    if (event !== undefined) return { done: false, value: event };
    if (!this.#ending || !this.#mailbox.empty) return undefined;
    const failure = this.#failure;
    this.#close();
    return failure === undefined ? { done: true, value: undefined } : Promise.reject(failure.error);
  }

  #close(): void {
    this.#failure = undefined;
    this.#ending = true;
    this.#open = false;
    this.#told = true;
    this.#finished();
  }
}
