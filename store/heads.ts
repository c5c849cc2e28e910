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

  /** The last message of an actor; undefined if it has none. */
  last({ actorId, subject }: Target, consistency: Consistency, operation: Operation): Promise<Last | undefined> {
    return this.#api.reading(operation, async () => {
      if (consistency === "session") {
        const known = this.#cache.get(actorId);
        const message = await this.#direct.last(subject, operation);
        // A replica may lag behind what this store knows.
        if ((message?.sequence ?? 0) >= (known?.sequence ?? 0)) return this.#learnt(actorId, message);
      }
      return this.#learnt(actorId, await this.#api.get({ last_by_subj: subject }, operation));
    });
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
