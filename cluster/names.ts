/** What the records of a namespace's cluster are called. */
import { encodeToken } from "../actor_id.ts";

/** The table of owners. */
export const TABLE = "table";
/** What all nodes must agree on. */
export const CONFIG = "config";
/** Written once in each life of a bucket: by it a node sees that it looks at the one that it joined. */
export const BORN = "born";
/** Before the names of nodes. */
export const NODES = "node.";

/** A node's record. */
export function nodeKey(nodeId: string): string {
  return NODES + encodeToken(nodeId);
}

/** The record of an election's leader. */
export function leaderKey(election: string): string {
  return `leader.${encodeToken(election)}`;
}

/** The record of a candidate that is no member. */
export function candidateKey(election: string, nodeId: string): string {
  return `candidate.${encodeToken(election)}.${encodeToken(nodeId)}`;
}
