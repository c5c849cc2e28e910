import { Failed } from "./answer.ts";
import type { Heads } from "./heads.ts";
import type { JetStreamApi } from "./jetstream_api.ts";
import { Operation } from "./operation.ts";

/** Messages that the server walks over in the time that a request takes. */
const NEAR = 2_000;
/** Bytes of a block, which the server loads as a whole: nats-server `server/filestore.go`, `defaultLargeBlockSize`. */
const BLOCK = 8 * 1_048_576;
/** Milliseconds. The server keeps what was written or read in the last two minutes: only what is older costs anything. */
const MAX_AGE = 60_000;

interface State {
  readonly state: { readonly messages: number; readonly bytes: number; readonly last_seq: number };
}

/** How long the stream is, and how much of it a read may have the server walk over. */
export class Extent {
  readonly #api: JetStreamApi;
  readonly #heads: Heads;
  #asked = -Infinity;
  #answer = Promise.resolve();
  /** Unknown is endless. */
  #last = Infinity;
  #block = NEAR;

  constructor(api: JetStreamApi, heads: Heads) {
    this.#api = api;
    this.#heads = heads;
  }

  /** Messages in a block. */
  get block(): number {
    return this.#block;
  }

  /** Messages that are walked over; what lies further is asked for by its sequence. */
  get near(): number {
    return Math.min(NEAR, this.#block);
  }

  /** Whether behind a sequence there is no more than a block. */
  endsBehind(sequence: number): boolean {
    return Math.max(this.#last, this.#heads.highest) - sequence <= this.#block;
  }

  /** Whether it is known well enough to be relied on; if not, it is asked for. */
  isKnown(operation: Operation): boolean {
    const isKnown = performance.now() - this.#asked < MAX_AGE && this.#last < Infinity;
    if (!isKnown) this.refresh(operation).catch(() => {}); // aborted: whoever needs it asks
    return isKnown;
  }

  /** Asks the leader, unless it was asked a moment ago. What it does not answer stays as it was. */
  async refresh(operation: Operation): Promise<void> {
    if (performance.now() - this.#asked >= MAX_AGE) {
      this.#asked = performance.now();
      this.#answer = this.#ask(new Operation(operation.remaining, undefined)); // others wait for it, too
    }
    await operation.until(this.#answer);
  }

  async #ask(operation: Operation): Promise<void> {
    try {
      const { state: { messages, bytes, last_seq } } = await this.#api.call<State>("STREAM.INFO", undefined, operation);
      this.#last = last_seq;
      this.#block = messages === 0 ? NEAR : Math.ceil(BLOCK * messages / bytes);
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
    }
  }
}
