import { ClusterConfigError } from "../errors.ts";
import type { Bucket } from "./bucket.ts";
import { CONFIG } from "./names.ts";
import type { ClusterPorts } from "./ports.ts";

/** Of the records and messages between nodes. */
const PROTOCOL = 1;

/**
 * All nodes of a namespace are set alike: the first one says how.
 * @throws {ClusterConfigError} naming what differs
 */
export async function agree(
  bucket: Bucket,
  shards: number,
  { clock, times }: ClusterPorts,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const entry = await bucket.read(CONFIG);
    if (entry === "none") await bucket.write(CONFIG, { v: PROTOCOL, shards }, 0);
    else if (entry !== undefined) return compare(entry.value, shards);
    else await clock.sleep(times.retry, signal);
    signal.throwIfAborted();
  }
}

function compare(value: unknown, shards: number): void {
  const found = typeof value === "object" && value !== null ? value as Readonly<Record<string, unknown>> : {};
  const differences = Object.entries({ v: PROTOCOL, shards })
    .filter(([setting, expected]) => found[setting] !== expected)
    .map(([setting, expected]) => ({
      setting: setting === "v" ? "protocol" : setting,
      expected: String(expected),
      actual: String(found[setting]),
    }));
  if (differences.length === 0) return;
  const list = differences.map(({ setting, expected, actual }) => `${setting} is ${actual}, this node has ${expected}`);
  throw new ClusterConfigError({ differences }, `The nodes of the cluster differ: ${list.join("; ")}`);
}
