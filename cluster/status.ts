import type { ActorsLoad } from "./actor_host.ts";
import { livingOf } from "./discovery.ts";
import type { Member } from "./discovery.ts";
import type { ClusterNode } from "./node.ts";
import type { Owner } from "./router.ts";

/** Milliseconds of a command that are out of the ordinary. */
const LONG = 5_000;

/** A node, as this one sees it. */
export interface NodeStatus extends Member {
  /** How many it owns by the table. */
  readonly shards: number;
  /** Its share beside those of the others; 0: it only sends. */
  readonly weight: number;
  /** Whether its appends check their shard's fence: that protects all the more where all nodes do so. */
  readonly fenced: boolean;
  /** Actor types that it serves. All nodes of a namespace are meant to serve the same. */
  readonly serves: readonly string[];
  /** Milliseconds since it last gave a sign of life. */
  readonly silence: number;
}

/** A shard, as this node sees it. */
export interface ShardStatus {
  /** Its number. */
  readonly shard: number;
  /** Who should have it, by the table; undefined: nobody. */
  readonly owner: string | undefined;
  /** Of its owner, once that has fenced it. */
  readonly epoch?: number;
  /** To whom it is moving. */
  readonly next?: string;
}

/** The cluster as this node sees it. */
export interface ClusterStatus {
  /** Which one this is. */
  readonly nodeId: string;
  /** By their ids; empty while this node is no member: it has left, or its lease was lost. */
  readonly nodes: readonly NodeStatus[];
  /** Who gives the shards out. */
  readonly leader: { readonly nodeId: string; readonly token: number } | undefined;
  /** By their numbers. */
  readonly shards: readonly ShardStatus[];
  /** Version of the table that this node acts by. */
  readonly epoch: number | undefined;
  /** How this node is connected to the others. */
  readonly channels: {
    /** Whether the store takes this node's writes, and so lets it act. */
    readonly store: "ok" | "away";
    /** Milliseconds since the last poll that was answered, and the last nudge. */
    readonly poll: number | undefined;
    readonly nudge: number | undefined;
  };
  /** What the actors of this node do. */
  readonly actors: ActorsLoad;
  /** Actor types that are not served by all nodes that own shards, and where they are not. */
  readonly unserved: Readonly<Record<string, readonly string[]>>;
}

/** What a node knows at this moment. */
export function statusOf({ discovery, election, distribution }: ClusterNode, actors: ActorsLoad): ClusterStatus {
  const { presence } = discovery;
  const { table } = distribution;
  const now = presence?.timeline.now() ?? 0;
  const nameOf = (incarnation: string | undefined): string | undefined => table?.nodes.get(incarnation ?? "")?.nodeId;
  const records = new Map(presence ? livingOf(presence.view).map((one) => [one.member.nodeId, one] as const) : []);
  const epochs = new Map(
    [...records.values()].flatMap(({ member: { incarnation, held } }) =>
      held.map(([shard, epoch]) => [`${incarnation} ${shard}`, epoch] as const)
    ),
  );
  const shards = (table?.rows ?? []).map(({ owner, next }, shard): ShardStatus => {
    const epoch = epochs.get(`${owner} ${shard}`);
    const to = nameOf(next);
    return { shard, owner: nameOf(owner), ...(epoch ? { epoch } : {}), ...(to !== undefined ? { next: to } : {}) };
  });
  const nodes = discovery.members.map((member): NodeStatus => {
    const record = records.get(member.nodeId);
    const { weight = 0, fenced = false, serves = [] } = record?.member ?? {};
    const silence = record === undefined ? 0 : Math.max(0, Math.round(now - record.seen.since));
    const count = shards.filter(({ owner }) => owner === member.nodeId).length;
    return { ...member, shards: count, weight, fenced, serves, silence };
  }).sort((a, b) => a.nodeId < b.nodeId ? -1 : 1);
  const leader = election.leader;
  const ago = (at: number | undefined): number | undefined => at === undefined ? undefined : Math.round(now - at);
  return {
    nodeId: discovery.nodeId,
    nodes,
    leader: leader && { nodeId: leader.nodeId, token: leader.token },
    shards,
    epoch: table?.epoch,
    channels: {
      store: presence?.lease.isSteady() ? "ok" : "away",
      poll: ago(presence?.watcher.polled),
      nudge: ago(presence?.watcher.nudged),
    },
    actors,
    unserved: unservedOf(nodes),
  };
}

/** Who owns a shard, as far as a node knows. */
export function ownerIn({ discovery, distribution: { table } }: ClusterNode, shard: number): Owner | undefined {
  const nodeId = table?.nodes.get(table.rows[shard]?.owner ?? "")?.nodeId;
  const serves = discovery.members.find((member) => member.nodeId === nodeId)?.serves;
  return nodeId === undefined || serves === undefined ? undefined : { nodeId, serves };
}

function unservedOf(nodes: readonly NodeStatus[]): Record<string, string[]> {
  const owners = nodes.filter(({ weight }) => weight > 0);
  const types = new Set(owners.flatMap(({ serves }) => serves));
  const missing = [...types].map((type) =>
    [type, owners.filter(({ serves }) => !serves.includes(type)).map(({ nodeId }) => nodeId)] as const
  );
  return Object.fromEntries(missing.filter(([, where]) => where.length > 0));
}

/** The same as a table for a terminal: a line a node, and what is out of the ordinary. */
export function statusTable(status: ClusterStatus): string {
  const { nodeId: own, nodes, leader, shards, channels, unserved, actors: { waiting, longest } } = status;
  if (nodes.length === 0) return `${own} is no member at the moment`;
  const moves = shards.filter(({ next }) => next !== undefined);
  const orphans = shards.filter(({ owner }) => owner === undefined);
  const rows = nodes.map(({ nodeId, state, shards: owned, weight, silence, serves }) => [
    nodeId + (nodeId === own ? " (this)" : "") + (nodeId === leader?.nodeId ? " *" : ""),
    state,
    String(owned),
    String(weight),
    `${(silence / 1_000).toFixed(1)} s`,
    serves.join(", "),
  ]);
  const lines = aligned([["node", "state", "shards", "weight", "silent", "serves"], ...rows]);
  lines.push(leader === undefined ? "no leader" : `* leads, token ${leader.token}`);
  if (orphans.length > 0) lines.push(`${orphans.length} shards have no owner`);
  for (const { shard, owner, next } of moves) lines.push(`shard ${shard} moves from ${owner} to ${next}`);
  for (const [type, where] of Object.entries(unserved)) lines.push(`${type} is not served by ${where.join(", ")}`);
  const bare = nodes.filter(({ weight, fenced }) => weight > 0 && !fenced).map(({ nodeId }) => nodeId);
  if (nodes.some(({ fenced }) => fenced) && bare.length > 0) lines.push(`not fenced: ${bare.join(", ")}`);
  if (waiting > 0) lines.push(`${waiting} commands wait here`);
  if (longest !== undefined && longest.milliseconds >= LONG) {
    lines.push(`a command of ${longest.actorId} takes ${(longest.milliseconds / 1_000).toFixed(1)} s already`);
  }
  if (channels.store === "away") lines.push("the store takes no writes of this node");
  return lines.join("\n");
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd());
}
