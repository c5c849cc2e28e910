import { Failed } from "./answer.ts";
import type { DirectGet } from "./direct_get.ts";
import type { Consistency } from "./event_store.ts";
import type { JetStreamApi } from "./jetstream_api.ts";
import type { Operation } from "./operation.ts";
import type { VersionCache } from "./version_cache.ts";
import { type Decoder, type Head, NO_HEAD, type RawMessage } from "./wire.ts";

/** Whose last message is asked for. */
export interface Target {
  readonly actorId: string;
  readonly subject: string;
}

/** Last messages of actors: one round trip each, whatever the history. */
export class Heads {
  readonly #api: JetStreamApi;
  readonly #direct: DirectGet;
  readonly #decoder: Decoder;
  readonly #cache: VersionCache;
  /** Up to here all was seen, and it was not remembered of whom. */
  #seen = 0;

  constructor(api: JetStreamApi, direct: DirectGet, decoder: Decoder, cache: VersionCache) {
    this.#api = api;
    this.#direct = direct;
    this.#decoder = decoder;
    this.#cache = cache;
  }

  /** What was last learnt, without a round trip. */
  known(actorId: string): Head | undefined {
    return this.#cache.get(actorId);
  }

  learn(actorId: string, head: Head): void {
    this.#cache.learn(actorId, head);
  }

  /** This store has seen all that is stored up to a sequence, without learning of whom it is. */
  saw(sequence: number): void {
    this.#seen = Math.max(this.#seen, sequence);
  }

  /** The highest sequence that this store has written or seen. */
  get highest(): number {
    return Math.max(this.#seen, this.#cache.highest);
  }

  /** The last message of an actor, of which all up to a sequence is known; undefined if it has none. */
  last(
    { actorId, subject }: Target,
    consistency: Consistency,
    operation: Operation,
    atLeast = 0,
  ): Promise<Last | undefined> {
    return this.#api.reading(operation, async () => {
      const known = this.#cache.get(actorId)?.sequence ?? 0;
      if (consistency === "session") {
        const floor = Math.max(this.#floor(actorId), atLeast);
        const { message, isRecent } = await this.#fromReplica(subject, known, floor, operation);
        if (isRecent) return this.#atLeast(atLeast, this.#learnt(actorId, message));
      }
      if (atLeast > this.highest) await this.#confirm(atLeast, operation);
      const message = await this.#api.get({ last_by_subj: subject }, operation);
      if ((message?.sequence ?? 0) < known) { // who was the leader until a moment ago does not know it yet
        throw new Failed({
          kind: "absent",
          description: `${subject}: nobody has message ${known} of it, which was there`,
        });
      }
      return this.#atLeast(atLeast, this.#learnt(actorId, message));
    });
  }

  /**
   * What a replica has for the last message of an actor, taken for it if the replica has all that this store has written
   * or seen, and all up to a sequence.
   */
  accept({ actorId }: Target, message: RawMessage, atLeast: number): Last | undefined {
    if (message.sequence < Math.max(this.#floor(actorId), atLeast)) return undefined;
    return this.#atLeast(atLeast, this.#learnt(actorId, message));
  }

  /** What was asked for and is there the whole session includes from now on. */
  #atLeast<T>(sequence: number, found: T): T {
    this.saw(sequence);
    return found;
  }

  /** The leader has no last message of an actor that never was: that it has all up to a sequence shows only this. */
  async #confirm(sequence: number, operation: Operation): Promise<void> {
    const { state: { last_seq } } = await this.#api.call<{ state: { last_seq: number } }>(
      "STREAM.INFO",
      undefined,
      operation,
    );
    if (last_seq >= sequence) return;
    throw new Failed({ kind: "absent", description: `nobody has position ${sequence}, the last one is ${last_seq}` });
  }

  #floor(actorId: string): number {
    const known = this.#cache.get(actorId)?.sequence ?? 0;
    return Math.max(known, this.#seen, known > 0 ? 0 : this.#cache.forgotten);
  }

  /** The last message that a replica has, and whether it has all that this store has written or seen up to a floor. */
  async #fromReplica(
    subject: string,
    known: number,
    floor: number,
    operation: Operation,
  ): Promise<{ message: RawMessage | undefined; isRecent: boolean }> {
    if (known === floor) {
      const message = await this.#direct.last(subject, operation);
      return { message, isRecent: (message?.sequence ?? 0) >= floor };
    }
    // What it has of this actor does not show it; this request alone tells how far a replica is.
    const { messages: [message], upTo } = await this.#direct.batch({ multi_last: [subject], batch: 1 }, operation);
    return { message, isRecent: upTo >= floor };
  }

  /** What the last message of an actor says. */
  async head(target: Target, consistency: Consistency, operation: Operation): Promise<Head> {
    return (await this.last(target, consistency, operation))?.head ?? NO_HEAD;
  }

  /** As the leader has it, in place of what was known and proved wrong. */
  async corrected({ actorId, subject }: Target, operation: Operation): Promise<Head> {
    const which = { last_by_subj: subject };
    const message = await this.#api.reading(operation, () => this.#api.get(which, operation));
    this.#cache.forget(actorId);
    return this.#learnt(actorId, message)?.head ?? NO_HEAD;
  }

  #learnt(actorId: string, message: RawMessage): Last;
  #learnt(actorId: string, message: RawMessage | undefined): Last | undefined;
  #learnt(actorId: string, message: RawMessage | undefined): Last | undefined {
    if (message === undefined) return undefined;
    const head = this.#decoder.head(message);
    this.#cache.learn(actorId, head);
    return { message, head };
  }
}

/** A last message, and what its headers say. */
export interface Last {
  readonly message: RawMessage;
  readonly head: Head;
}
