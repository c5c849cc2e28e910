/** What users say of a node, checked. */
import { InvalidArgumentError } from "../errors.ts";
import { shown } from "../shown.ts";
import { whole } from "../store/range.ts";

/** Of a node id, and of the name of an election. */
const MAX_NAME = 128;
/** Bytes of what a node tells of itself. */
const MAX_METADATA = 8_192;

/** Milliseconds that the work of a shard may take to return. */
const DRAIN = 10_000;

/** How a node takes part in the distribution of shards. */
export interface ShareOptions {
  /** Every append of a shard's owner also checks its fence; holds where all nodes say so. @default false */
  readonly fenced?: boolean | undefined;
  /** Its share of the shards beside those of the others, once it has work for them. @default 1 */
  readonly weight?: number | undefined;
  /** Milliseconds that the work of a shard may take to return before it is given up all the same. @default 10000 */
  readonly drain?: number | undefined;
}

/** The names of these. */
export const SHARE_NAMES: Readonly<Record<keyof ShareOptions, true>> = { fenced: true, weight: true, drain: true };

/** @throws {InvalidArgumentError} */
export function checkShares(options: ShareOptions): {
  readonly checked: boolean;
  readonly weight: number;
  readonly drain: number;
} {
  const { weight = 1 } = options;
  if (!(typeof weight === "number" && Number.isFinite(weight) && weight > 0)) {
    const help = "a node without work for shards takes none";
    throw new InvalidArgumentError({ argument: "weight" }, `weight is a number above 0, not ${shown(weight)}: ${help}`);
  }
  const checked = checkSwitch("fenced", options.fenced, false);
  return { checked, weight, drain: whole("drain", options.drain, DRAIN) };
}

/** @throws {InvalidArgumentError} */
export function checkSwitch(argument: string, value: boolean | undefined, absent: boolean): boolean {
  if (value === undefined) return absent;
  if (typeof value === "boolean") return value;
  throw new InvalidArgumentError({ argument }, `${argument} is true or false, not ${shown(value)}`);
}

/** The name of a node, one that is made up if none is given. */
export function checkNodeId(nodeId: string | undefined): string {
  return nodeId === undefined ? `node-${crypto.randomUUID().slice(0, 8)}` : checkName("nodeId", nodeId);
}

/** @throws {InvalidArgumentError} */
export function checkName(argument: string, name: unknown): string {
  if (typeof name === "string" && name !== "" && name.length <= MAX_NAME && name.isWellFormed()) return name;
  throw new InvalidArgumentError({ argument }, `${argument} is a text of 1 to ${MAX_NAME} characters`);
}

/** @throws {InvalidArgumentError} */
export function checkFacts(metadata: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value === "string") continue;
    throw new InvalidArgumentError({ argument: `metadata.${key}` }, `metadata.${key} is a text, not ${typeof value}`);
  }
  const size = new TextEncoder().encode(JSON.stringify(metadata)).length;
  if (size <= MAX_METADATA) return { ...metadata };
  const problem = `metadata takes ${size} bytes, ${MAX_METADATA} are allowed: it is written every second`;
  throw new InvalidArgumentError({ argument: "metadata" }, problem);
}
