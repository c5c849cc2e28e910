/** The bucket of a namespace: made if it is not there, compared if it is, never changed. */
import type { NatsConnection } from "@nats-io/nats-core";
import { type Difference, InvalidArgumentError, StreamConfigError } from "../errors.ts";
import { JetStreamApi } from "../store/jetstream_api.ts";
import type { Operation } from "../store/operation.ts";
import { checkShards, DEFAULT_SHARDS } from "../store/shard.ts";
import {
  checkServer,
  compare,
  createStream,
  DUPLICATE_WINDOW,
  findStream,
  type StreamInfo,
} from "../store/stream_config.ts";
import { Subjects } from "../store/subjects.ts";
import { SnapshotNames } from "./names.ts";

/** Revisions of a key: the new one, and the old one until it is erased. */
const HISTORY = 2;
/** What can never be taken back. */
const FINAL = ["deny_delete", "retention"];

/** What is asked for. */
export interface BucketOptions {
  readonly namespace: string;
  readonly shards: number | undefined;
  readonly replicas: number | undefined;
  readonly prefix: string | undefined;
}

/** What was found or made. */
export interface Bucket {
  readonly shards: number;
  /** Bytes that a message may have, as far as the bucket limits it. */
  readonly maxMessage: number;
}

/**
 * Opens the bucket, or makes it. Any number of processes may do this at once.
 * @throws {StreamConfigError} {@linkcode UnsupportedServerError} {@linkcode UnavailableError} {@linkcode PermissionError}
 */
export async function openBucket(api: JetStreamApi, options: BucketOptions, operation: Operation): Promise<Bucket> {
  const { namespace, shards, replicas } = options;
  if (shards !== undefined) checkShards(shards);
  if (replicas !== undefined && !(Number.isSafeInteger(replicas) && replicas >= 1)) {
    throw new InvalidArgumentError({ argument: "replicas" }, `replicas is an integer from 1, not ${replicas}`);
  }
  const found = await findStream(api, operation);
  checkServer(api.nc); // by now it is known
  const isSettled = shards !== undefined && (found !== undefined || replicas !== undefined);
  const events = isSettled ? undefined : await eventStream(api.nc, options, operation);
  const wanted = shards ?? shardsOf(events) ?? shardsOf(found) ?? DEFAULT_SHARDS;
  const num_replicas = replicas ?? events?.config.num_replicas ?? 1;
  const config = bucketConfig(namespace, wanted);
  const { config: actual } = found ?? await createStream(api, { ...config, num_replicas }, operation);
  const differences = differencesOf(config, actual);
  if (differences.length > 0) throw differs(api.stream, differences);
  const limit = Number(actual["max_msg_size"] ?? -1);
  return { shards: wanted, maxMessage: limit > 0 ? limit : Infinity };
}

/** What makes a stream a KV bucket (ADR-8), but for the two settings without which nothing can be erased. */
export function bucketConfig(namespace: string, shards: number): Record<string, unknown> {
  const { stream, subjects } = new SnapshotNames(namespace, shards);
  return {
    name: stream,
    subjects: [subjects],
    storage: "file",
    retention: "limits",
    discard: "new",
    max_msgs_per_subject: HISTORY,
    duplicate_window: DUPLICATE_WINDOW,
    allow_direct: true,
    allow_rollup_hdrs: true,
    deny_delete: false,
    metadata: { "aether.format": "1", "aether.shards": String(shards) },
  };
}

/** Storage, what a full bucket does and more history belong to the operator. */
function differencesOf(wanted: Record<string, unknown>, actual: StreamInfo["config"]): Difference[] {
  const { storage: _storage, discard: _discard, allow_rollup_hdrs: _rollup, ...needed } = wanted;
  const history = Number(actual["max_msgs_per_subject"]);
  const enough = history >= HISTORY || history === -1;
  return compare(needed, enough ? { ...actual, max_msgs_per_subject: HISTORY } : actual);
}

async function eventStream(
  nc: NatsConnection,
  { namespace, prefix }: BucketOptions,
  operation: Operation,
): Promise<StreamInfo | undefined> {
  const api = new JetStreamApi(nc, new Subjects(namespace, 1).stream, prefix);
  try {
    return await findStream(api, operation);
  } finally {
    api.close();
  }
}

function shardsOf(info: StreamInfo | undefined): number | undefined {
  const shards = Number(info?.config.metadata?.["aether.shards"]);
  return Number.isSafeInteger(shards) && shards >= 1 ? checkShards(shards) : undefined;
}

function differs(stream: string, differences: Difference[]): StreamConfigError {
  const list = differences.map(({ setting, expected, actual }) => {
    const remedy = FINAL.includes(setting)
      ? "which cannot be changed"
      : setting === "metadata aether.shards"
      ? "which is that of the event stream, or of the option `shards`"
      : "to be changed with `nats stream edit`";
    return `${setting} is ${actual}, must be ${expected}, ${remedy}`;
  });
  return new StreamConfigError(
    { stream, differences },
    `${stream}: ${list.join("; ")}. Or delete the bucket and let the library make it: snapshots are made again`,
  );
}
