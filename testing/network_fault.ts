import { ClosedError } from "../errors.ts";
import type { Fate } from "./network_link.ts";
import type { NetworkMessage } from "./network_message.ts";

/** Which messages are meant. */
export type MessageMatch = (message: NetworkMessage) => boolean;

/** Options of a fault. */
export interface FaultOptions {
  /** How many messages it is for. By default all that come until it is ended. */
  readonly times?: number;
}

/** What a network does to some messages. */
export interface NetworkFault extends Disposable {
  /** How many it has met. */
  readonly count: number;
  /** Waits until it has met so many, by default one. Throws `ClosedError` if it has ended before. */
  met(count?: number): Promise<void>;
  /** Ends it: others of these messages simply go on. */
  end(): void;
}

/** Messages that are held back. */
export interface HeldMessages extends NetworkFault {
  /** Delivers those that were held back, in their order, and ends it, as `end` does. */
  release(): void;
}

/** A fault as its network sees it. */
export class Fault implements HeldMessages {
  readonly #match: MessageMatch;
  readonly #fate: () => Fate;
  readonly #onEnd: () => void;
  #count = 0;
  #left: number;
  #change = Promise.withResolvers<void>();

  /** With what becomes of a message that it meets, and what happens at its end. */
  constructor(match: MessageMatch, options: FaultOptions, fate: () => Fate, onEnd: () => void = () => {}) {
    this.#match = match;
    this.#left = options.times ?? Infinity;
    this.#fate = fate;
    this.#onEnd = onEnd;
  }

  /** How many messages it has met. */
  get count(): number {
    return this.#count;
  }

  /** Whether it meets no more. */
  get ended(): boolean {
    return this.#left <= 0;
  }

  /** What becomes of a message; undefined: it is not meant. */
  fateOf(message: NetworkMessage): Fate | undefined {
    if (this.ended || !this.#match(message)) return undefined;
    this.#count++;
    this.#left--;
    this.#changed();
    return this.#fate();
  }

  /** Waits until it has met so many. */
  async met(count = 1): Promise<void> {
    while (this.#count < count) {
      if (this.ended) throw new ClosedError({ what: "The fault" });
      await this.#change.promise;
    }
  }

  /** Ends it. */
  end(): void {
    this.#left = 0;
    this.#onEnd();
    this.#changed();
  }

  /** The same, said of messages that are held back. */
  release(): void {
    this.end();
  }

  /** The same. */
  [Symbol.dispose](): void {
    this.end();
  }

  #changed(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }
}
