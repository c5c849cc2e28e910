/** The table of owners: which node is to have which shard. It only decides who should; who fenced last does. */

/** A shard in the table; nodes are named by their incarnations. */
export interface Row {
  readonly owner?: string | undefined;
  /** To whom it moves, and since which epoch of the table: its owner has to release it first. */
  readonly next?: string | undefined;
  readonly since?: number | undefined;
}

/** A version of the table. */
export interface Table {
  /** Greater with each version. */
  readonly epoch: number;
  /** Of the leader that wrote it. */
  readonly token: number;
  readonly rows: readonly Row[];
  /** Those that it names, by incarnation. */
  readonly nodes: ReadonlyMap<string, NodeName>;
}

/** Which node an incarnation is of. */
export interface NodeName {
  readonly nodeId: string;
  /** At which its record was seen to be this incarnation's: another one at a later revision has taken its place. */
  readonly revision: number;
}

/** As it is stored: nodes by their index. */
interface StoredTable {
  readonly v: 1;
  readonly epoch: number;
  readonly token: number;
  readonly nodes: readonly (readonly [incarnation: string, nodeId: string, revision: number])[];
  /** By shard; −1: nobody. */
  readonly owners: readonly number[];
  readonly moves: readonly (readonly [shard: number, next: number, since: number])[];
}

/** A table of nobody's shards. */
export function emptyTable(shards: number, epoch: number): Table {
  return { epoch, token: 0, rows: Array.from({ length: shards }, () => ({})), nodes: new Map() };
}

/** As JSON. */
export function encodeTable({ epoch, token, rows, nodes }: Table): StoredTable {
  const named = new Set(rows.flatMap(({ owner, next }) => [owner, next]).filter((name) => name !== undefined));
  const incarnations = [...named].sort();
  const index = new Map(incarnations.map((incarnation, at) => [incarnation, at]));
  return {
    v: 1,
    epoch,
    token,
    nodes: incarnations.map((incarnation) => {
      const { nodeId = "", revision = 0 } = nodes.get(incarnation) ?? {};
      return [incarnation, nodeId, revision];
    }),
    owners: rows.map(({ owner }) => owner === undefined ? -1 : index.get(owner) ?? -1),
    moves: rows.flatMap(({ next, since = epoch }, shard) =>
      next === undefined ? [] : [[shard, index.get(next) ?? -1, since] as const]
    ),
  };
}

/** Undefined for what this version does not understand. */
export function decodeTable(value: unknown): Table | undefined {
  if (typeof value !== "object" || value === null || !("v" in value) || value.v !== 1) return undefined;
  const { epoch, token, nodes, owners, moves } = value as StoredTable;
  const rows: Row[] = owners.map((at) => ({ owner: nodes[at]?.[0] }));
  for (const [shard, at, since] of moves) rows[shard] = { ...rows[shard], next: nodes[at]?.[0], since };
  const names = nodes.map(([incarnation, nodeId, revision]) => [incarnation, { nodeId, revision }] as const);
  return { epoch, token, rows, nodes: new Map(names) };
}
