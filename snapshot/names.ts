/** The names of a namespace's snapshots on a NATS server. Frozen. */
import { actorTypeOf, checkActorId } from "../actor_id.ts";
import { shardOfToken } from "../store/shard.ts";

/** Bucket, stream and subjects. */
export class SnapshotNames {
  /** The KV bucket. */
  readonly bucket: string;
  /** The stream that it is. */
  readonly stream: string;
  /** All keys. */
  readonly subjects: string;
  readonly #prefix: string;
  readonly #shards: number;

  constructor(namespace: string, shards: number) {
    this.bucket = `AETHER_${namespace}_snapshots`;
    this.stream = `KV_${this.bucket}`;
    this.#prefix = `$KV.${this.bucket}.`;
    this.subjects = `${this.#prefix}>`;
    this.#shards = shards;
  }

  /**
   * The subject of an actor's key.
   * @throws {InvalidActorIdError}
   */
  ofActor(actorId: string): string {
    const token = checkActorId(actorId);
    return `${this.#prefix}${shardOfToken(token, this.#shards)}.${actorTypeOf(token)}.${token}`;
  }
}

/** The chunks of an attempt: it can only be stored onto the revision `base`, 0 for none. */
export function newChunksId(base: number): string {
  return `${base}-${crypto.randomUUID()}`;
}

/** The subject of a chunk, counted from 0. */
export function chunkSubject(subject: string, id: string, index: number): string {
  return `${subject}.${id}.${index}`;
}

/** Which attempt a chunk is of, and the revision that goes onto; 0 if the subject is none that is made here. */
export function parseChunk(subject: string, chunk: string): { readonly id: string; readonly base: number } {
  const [id = ""] = chunk.slice(subject.length + 1).split(".");
  return { id, base: Number(/^\d+(?=-)/.exec(id)?.[0] ?? 0) };
}
