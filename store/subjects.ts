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
  readonly #fencePrefix: string;
  readonly #shards: number;

  constructor(namespace: string, shards: number) {
    this.stream = `AETHER_${namespace}`;
    this.#prefix = `aether.${namespace}.events.`;
    this.#fencePrefix = `aether.${namespace}.fence.`;
    this.events = `${this.#prefix}>`;
    this.fences = `${this.#fencePrefix}>`;
    this.bus = `aether.${namespace}.bus.>`;
    this.#shards = shards;
  }

  /** The one subject of an actor, by its encoded id. */
  ofActor(token: string, shard: number): string {
    return `${this.#prefix}${shard}.${actorTypeOf(token)}.${token}`;
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
