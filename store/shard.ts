/** Shards: the unit of distribution, of parallel projection and of scaling out. */
import { checkActorId } from "../actor_id.ts";
import { InvalidArgumentError, InvalidNamespaceError } from "../errors.ts";
import { shown } from "../shown.ts";

/** Of a new namespace. */
export const DEFAULT_SHARDS = 64;
/** More than any cluster could hand out. */
const MAX_SHARDS = 65_536;

/**
 * The shard of an actor: FNV-1a 32 over the encoded id, which is what the server's own `partition` transform computes.
 * @throws {InvalidActorIdError} {@linkcode InvalidArgumentError}
 */
export function shardOf(actorId: string, shards: number): number {
  return shardOfToken(checkActorId(actorId), checkShards(shards));
}

/** The shard of an encoded actor id. Constants: draft-eastlake-fnv, section 5. */
export function shardOfToken(token: string, shards: number): number {
  let hash = FNV_OFFSET;
  for (let index = 0; index < token.length; index++) hash = fnv(hash, token.charCodeAt(index));
  return (hash >>> 0) % shards;
}

export const FNV_OFFSET = 0x811c9dc5 | 0; // as a signed number, so that it stays one of 32 bits

/** One step of the hash of {@linkcode shardOfToken}. */
export function fnv(hash: number, code: number): number {
  return Math.imul(hash ^ code, 0x01000193);
}

/** @throws {InvalidArgumentError} unless it is an integer from 1 to 65,536 */
export function checkShards(shards: number): number {
  if (Number.isSafeInteger(shards) && shards >= 1 && shards <= MAX_SHARDS) return shards;
  throw new InvalidArgumentError(
    { argument: "shards" },
    `shards is an integer from 1 to ${MAX_SHARDS}, not ${shown(shards)}`,
  );
}

/** @throws {InvalidNamespaceError} unless it is 1 to 64 characters of `A-Za-z0-9_-` */
export function checkNamespace(namespace: string): string {
  if (typeof namespace === "string" && /^[A-Za-z0-9_-]{1,64}$/.test(namespace)) return namespace;
  throw new InvalidNamespaceError({ namespace: String(namespace) });
}
