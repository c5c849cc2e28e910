import { assignShards } from "./assignment.ts";
import type { Row, Table } from "./table.ts";

/** A node that may be given shards. */
export interface Taker {
  readonly nodeId: string;
  readonly incarnation: string;
  readonly weight: number;
}

/** What the leader knows of the nodes. */
export interface Known {
  readonly takers: readonly Taker[];
  /** Certainly: its record says so, or another incarnation has its place. */
  isGone(incarnation: string): boolean;
  /** Whether it says that it has given up a shard that the table of this epoch revoked. */
  hasReleased(incarnation: string, shard: number, since: number): boolean;
  /** Whether it hurries to give up all that it has. */
  isLeaving(incarnation: string): boolean;
}

/** Moves that may be under way at once: those on the way pause. */
function mostMoves(shards: number): number {
  return Math.max(8, Math.ceil(shards / 10));
}

/**
 * The rows as they should be next; the same ones if nothing is to be done. A shard gets a new owner only once the old one
 * has released it or is certainly gone.
 */
export function plan({ rows }: Pick<Table, "rows">, epoch: number, known: Known): readonly Row[] {
  const { takers } = known;
  const byId = new Map(takers.map((taker) => [taker.nodeId, taker]));
  const idOf = new Map(takers.map(({ incarnation, nodeId }) => [incarnation, nodeId]));
  const settled = rows.map((row, shard) => settle(row, shard, known, idOf));
  const previous = settled.map(({ owner, next }) => idOf.get(next ?? owner ?? ""));
  const weights = Object.fromEntries(takers.map(({ nodeId, weight }) => [nodeId, weight]));
  const targets = assignShards(previous, takers.map(({ nodeId }) => nodeId), { weights });
  let moves = settled.filter(({ next }) => next !== undefined).length;
  const most = mostMoves(rows.length);
  const planned = settled.map((row, shard): Row => {
    const target = byId.get(targets[shard] ?? "")?.incarnation;
    if (target === undefined || target === row.next) return row;
    if (row.owner === undefined) return { owner: target };
    if (row.owner === target) return { owner: target };
    if (row.next !== undefined) return { ...row, next: target };
    if (moves >= most && !known.isLeaving(row.owner)) return row;
    moves++;
    return { owner: row.owner, next: target, since: epoch };
  });
  const isSame = planned.every((row, shard) => row.owner === rows[shard]?.owner && row.next === rows[shard]?.next);
  return isSame ? rows : planned;
}

function settle(row: Row, shard: number, known: Known, takers: ReadonlyMap<string, string>): Row {
  const { owner, since = 0 } = row;
  const next = row.next !== undefined && takers.has(row.next) ? row.next : undefined;
  if (owner === undefined || known.isGone(owner)) return { owner: next };
  if (row.next === undefined) return row;
  if (known.hasReleased(owner, shard, since)) return { owner: next };
  return next === undefined ? { owner } : row;
}
