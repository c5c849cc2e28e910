/** Who owns which shard: whoever decides it comes to the same result. */
import { InvalidArgumentError } from "../errors.ts";
import { fnv, FNV_OFFSET } from "../store/shard.ts";

/** A table of owners: by shard; undefined: nobody's. */
export type Assignment = readonly (string | undefined)[];

/** A node while a table is made. */
interface Candidate {
  readonly id: string;
  /** Of its id. */
  readonly hash: number;
  /** As a share of the greatest: 0 to 1. */
  readonly weight: number;
  /** How many shards it had. */
  held: number;
  /** How many more it takes. */
  room: number;
}

/** The parts of a shard that shares are rounded to: sums of decimal weights miss whole numbers by a bit. */
const PARTS = 2 ** 20;

/**
 * The next table of owners: balanced, and as close to the previous one as a balanced table can be.
 *
 * Each node has the number of shards that its weight entitles it to, rounded down or up; without weights, any two nodes
 * differ by at most one. Shards change hands only where that, or an owner that is gone, demands it. The result depends on
 * nothing but the previous table, the set of nodes and their weights: neither on their order nor on the runtime.
 *
 * @param previous As many entries as there are shards; an owner that is not among the nodes counts as none.
 * @param nodeIds Who is there; without any, all shards are nobody's.
 * @param options `weights` by node id, 1 if absent; 0 takes nothing, unless all do.
 * @throws {InvalidArgumentError} if a weight, also of a node that is not there, is negative or not finite
 *
 * @example
 * ```ts
 * import { type Assignment, assignShards } from "@aether/aether";
 *
 * const none: Assignment = Array.from({ length: 6 }, () => undefined);
 * const two = assignShards(none, ["node-1", "node-2"]); // 3 each
 * const three = assignShards(two, ["node-1", "node-2", "node-3"]); // node-3 takes one of each
 * console.log(assignShards(three, ["node-1", "node-2", "node-3"], { weights: { "node-3": 4 } })); // 1, 1 and 4
 * ```
 */
export function assignShards(
  previous: Assignment,
  nodeIds: readonly string[],
  options: {
    /** By node id; finite and not negative. */
    readonly weights?: Readonly<Record<string, number>>;
  } = {},
): Assignment {
  const nodes = candidates(nodeIds, checkWeights(options.weights));
  const byId = new Map<string | undefined, Candidate>(nodes.map((node) => [node.id, node]));
  for (const owner of previous) {
    const node = byId.get(owner);
    if (node) node.held++;
  }
  setRoom(nodes, previous.length);

  const next = Array.from(previous, (owner) => {
    const node = byId.get(owner);
    if (!node || node.room === 0) return undefined;
    node.room--;
    return owner;
  });
  const open = nodes.filter(({ room }) => room > 0);
  for (let shard = 0; open.length > 0; shard++) {
    if (next[shard] === undefined) next[shard] = takeOne(open, shard);
  }
  return next;
}

/** @throws {InvalidArgumentError} */
function checkWeights(weights: Readonly<Record<string, number>> = {}): ReadonlyMap<string, number> {
  const entries = Object.entries(weights);
  for (const [id, weight] of entries) {
    if (Number.isFinite(weight) && weight >= 0) continue;
    throw new InvalidArgumentError(
      { argument: `weights.${id}` },
      `A weight is a finite number that is not negative, unlike that of ${id}: ${String(weight)}`,
    );
  }
  return new Map(entries);
}

function candidates(nodeIds: readonly string[], weights: ReadonlyMap<string, number>): Candidate[] {
  const ids = [...new Set(nodeIds)].sort(); // so that neither ties nor sums depend on the order given
  const greatest = ids.reduce((greatest, id) => Math.max(greatest, weights.get(id) ?? 1), 0);
  return ids.map((id) => {
    let hash = FNV_OFFSET;
    for (let index = 0; index < id.length; index++) hash = fnv(hash, id.charCodeAt(index));
    const weight = greatest === 0 ? 1 : (weights.get(id) ?? 1) / greatest; // of the greatest: the sum stays finite
    return { id, hash, weight, held: 0, room: 0 };
  });
}

/** Gives each node its share, rounded down, and one more to as many as it takes: first to who has that one already. */
function setRoom(nodes: readonly Candidate[], shards: number): void {
  const total = nodes.reduce((sum, { weight }) => sum + weight, 0);
  const partial: { readonly node: Candidate; readonly has: number; readonly rest: number }[] = [];
  let left = shards;
  for (const node of nodes) {
    const share = Math.round(shards * (node.weight / total) * PARTS);
    node.room = Math.floor(share / PARTS);
    left -= node.room;
    const rest = share % PARTS;
    if (rest > 0) partial.push({ node, has: node.held > node.room ? 1 : 0, rest }); // others have a whole share
  }
  partial.sort((a, b) => b.has - a.has || b.rest - a.rest);
  for (const { node } of partial.slice(0, left)) node.room++;
}

/** Rendezvous hashing among the nodes that still have room. */
function takeOne(open: Candidate[], shard: number): string {
  let [best, highest] = [0, -1];
  for (let index = 0; index < open.length; index++) {
    const score = mixed(fnv((open[index] as Candidate).hash, shard));
    if (score > highest) [best, highest] = [index, score];
  }
  const node = open[best] as Candidate;
  if (--node.room === 0) open.splice(best, 1);
  return node.id;
}

/** The last steps of MurmurHash3: by FNV alone, node-0 to node-9 are the first choice of 8 to 232 of 1,024 shards. */
function mixed(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
