/** The record of a node: its lease, what it is and what it holds, in one write. */

/** What a node's record says. */
export interface MemberRecord {
  readonly v: 1;
  readonly nodeId: string;
  /** Unique to this life of the node: a restart is another member. */
  readonly incarnation: string;
  readonly state: "joining" | "up" | "leaving" | "left" | "dead";
  readonly metadata: Readonly<Record<string, string>>;
  /** ISO 8601, by the node's own clock. */
  readonly joinedAt: string;
  /** Share of the shards, beside those of the others; 0: it takes none. */
  readonly weight: number;
  /** Whether its appends check their shard's fence. */
  readonly fenced: boolean;
  /** Actor types that it serves. */
  readonly serves: readonly string[];
  /** Revision of the table that it acts by, and the shards that it holds: an epoch, or 0 before it has one. */
  readonly applied: number;
  readonly held: readonly (readonly [shard: number, epoch: number])[];
}

/** What is left of a node that is gone: without its nonce, or it would take the record for its own. */
export interface DeadRecord {
  readonly v: 1;
  readonly nodeId: string;
  readonly incarnation: string;
  readonly state: "dead" | "left";
}

/** A record that this version understands; undefined for any other. */
export function memberOf(value: unknown): MemberRecord | DeadRecord | undefined {
  if (typeof value !== "object" || value === null || !("v" in value) || value.v !== 1) return undefined;
  if (!("incarnation" in value) || typeof value.incarnation !== "string" || !("state" in value)) return undefined;
  return value as MemberRecord | DeadRecord;
}

/** Whether the node is there no more. */
export function isGone({ state }: MemberRecord | DeadRecord): boolean {
  return state === "dead" || state === "left";
}
