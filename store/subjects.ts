/** The names of a namespace on a NATS server. Frozen: events outlive the code. */
import { actorTypeOf, decodeToken, encodeToken, MAX_TOKEN_LENGTH } from "../actor_id.ts";
import { shardOfToken } from "./shard.ts";

/** Whose message a subject is. */
export interface Address {
  readonly actorId: string;
  readonly shard: number;
}

/** Subjects and names of one namespace. */
export class Subjects {
  readonly stream: string;
  /** All events. */
  readonly events: string;
  /** All fences. */
  readonly fences: string;
  /** Where the server announces what was committed. */
  readonly bus: string;
  readonly #prefix: string;
  readonly #busPrefix: string;
  readonly #fencePrefix: string;
  readonly #shards: number;

  constructor(namespace: string, shards: number) {
    this.stream = `AETHER_${namespace}`;
    this.#prefix = `aether.${namespace}.events.`;
    this.#fencePrefix = `aether.${namespace}.fence.`;
    this.events = `${this.#prefix}>`;
    this.fences = `${this.#fencePrefix}>`;
    this.#busPrefix = `aether.${namespace}.bus.`;
    this.bus = `${this.#busPrefix}>`;
    this.#shards = shards;
  }

  /** The one subject of an actor, by its encoded id. */
  ofActor(token: string, shard: number): string {
    return `${this.#prefix}${shard}.${actorTypeOf(token)}.${token}`;
  }

  /** Where what has this subject is announced; either may have wildcards. */
  announced(subject: string): string {
    return this.#busPrefix + subject.slice(this.#prefix.length);
  }

  /** The subject of what is announced there. */
  ofAnnounced(subject: string): string {
    return subject.startsWith(this.#busPrefix) ? this.#prefix + subject.slice(this.#busPrefix.length) : subject;
  }

  /** The fence of a shard. */
  ofFence(shard: number): string {
    return `${this.#fencePrefix}${shard}`;
  }

  /**
   * One subject that covers the actors of a shard, of a type or of both; undefined: none is narrower than all events. It
   * may cover more than is meant, for a type that no id can have.
   */
  covering(shard: number | undefined, actorType: string | undefined): string | undefined {
    const type = actorType === undefined ? "" : encodeToken(actorType);
    const fits = type !== "" && type.length <= MAX_TOKEN_LENGTH;
    if (shard === undefined && !fits) return undefined;
    return `${this.#prefix}${shard ?? "*"}.${fits ? type : "*"}.*`;
  }

  isFence(subject: string): boolean {
    return subject.startsWith(this.#fencePrefix);
  }

  /** Whose the message of a subject is; undefined if no actor has this subject. */
  parse(subject: string): Address | undefined {
    if (!subject.startsWith(this.#prefix)) return undefined;
    const [shardText = "", typeToken, token, ...rest] = subject.slice(this.#prefix.length).split(".");
    if (token === undefined || rest.length > 0) return undefined;
    const actorId = decodeToken(token);
    const shard = shardOfToken(token, this.#shards);
    if (actorId === undefined || shardText !== String(shard) || typeToken !== actorTypeOf(token)) return undefined;
    return { actorId, shard };
  }
}
