/** The stream of a namespace: made if it is not there, compared if it is, never changed. */
import type { NatsConnection } from "@nats-io/nats-core";
import {
  type Difference,
  InvalidArgumentError,
  StreamConfigError,
  UnavailableError,
  UnsupportedServerError,
} from "../errors.ts";
import { Failed, streamGone } from "./answer.ts";
import type { JetStreamApi } from "./jetstream_api.ts";
import type { Operation } from "./operation.ts";
import { checkShards, DEFAULT_SHARDS } from "./shard.ts";
import { Subjects } from "./subjects.ts";

/** The first with atomic batches. */
const OLDEST_SERVER = [2, 12] as const;
/** Nanoseconds. There are no message ids; with the server's default a restart reads the last two minutes. */
export const DUPLICATE_WINDOW = 100_000_000;
/** `stream name already in use with a different configuration`: another process made it meanwhile. */
const NAME_IN_USE = 10058;
/** What a stream may be refused for, by setting. */
const REFUSED: ReadonlyMap<number, string> = new Map([
  [10074, "replicas"], // replicas > 1 not supported in non-clustered mode
  [10005, "replicas"], // no suitable peers for placement
  [10065, "subjects"], // subjects overlap with an existing stream
  [10113, "max_bytes"], // account requires a stream config to have max bytes set
]);
/** Milliseconds that JetStream may be missing, of a server that has just started. */
const ABSENT = 1_000;

/** As the server has it; only what is read here. */
export interface StreamInfo {
  readonly config: Readonly<Record<string, unknown>> & {
    readonly metadata?: Readonly<Record<string, string>>;
    readonly num_replicas?: number;
  };
  /** RFC 3339, by the server's clock. */
  readonly created?: string;
  readonly state: { readonly last_seq: number; readonly subjects?: Readonly<Record<string, number>> };
  /** Of the subjects, where they were asked for. */
  readonly total?: number;
}

/** What is asked for of the stream. */
export interface StreamOptions {
  readonly shards: number | undefined;
  readonly replicas: number | undefined;
  readonly create: boolean;
}

/** @throws {UnsupportedServerError} if the server of the connection is too old */
export function checkServer(nc: NatsConnection): void {
  if (nc.info === undefined) throw new UnavailableError({ reason: "the connection was lost" });
  const { version } = nc.info;
  const [major = 0, minor = 0] = version.split(".").map((number) => Number.parseInt(number, 10));
  const [oldestMajor, oldestMinor] = OLDEST_SERVER;
  if (major > oldestMajor || major === oldestMajor && minor >= oldestMinor) return;
  throw new UnsupportedServerError({ version, missing: ["atomic batches"] });
}

/**
 * The shards of the stream, which is made if it is not there. Any number of processes may do this at once.
 * @throws {StreamConfigError} {@linkcode UnsupportedServerError} {@linkcode UnavailableError} {@linkcode PermissionError}
 */
export async function openStream(
  api: JetStreamApi,
  namespace: string,
  options: StreamOptions,
  operation: Operation,
): Promise<number> {
  const { shards, replicas = 1, create } = options;
  const wanted = shards === undefined ? DEFAULT_SHARDS : checkShards(shards);
  if (!Number.isSafeInteger(replicas) || replicas < 1) {
    throw new InvalidArgumentError({ argument: "replicas" }, `replicas is an integer from 1, not ${replicas}`);
  }
  const found = await findStream(api, operation);
  checkServer(api.nc); // by now it is known
  if (found === undefined && !create) throw streamGone(api.stream, ", and `create` is false");
  const info = found ?? await createStream(api, { ...configOf(namespace, wanted), num_replicas: replicas }, operation);
  const actual = Number(info.config.metadata?.["aether.shards"]);
  const valid = Number.isSafeInteger(actual) && actual >= 1;
  const differences = compare(configOf(namespace, shards ?? (valid ? actual : DEFAULT_SHARDS)), info.config);
  if (differences.length > 0) throw differs(api.stream, differences);
  return checkShards(actual);
}

/** The stream as it is; undefined if there is none. */
export async function findStream(api: JetStreamApi, operation: Operation): Promise<StreamInfo | undefined> {
  const began = performance.now();
  return await api.reading(operation, async () => {
    try {
      return await api.call<StreamInfo>("STREAM.INFO", undefined, operation);
    } catch (error) {
      const failure = error instanceof Failed ? error.failure : undefined;
      if (failure?.kind === "answer" && failure.meaning === "gone") return undefined;
      if (failure?.kind === "absent" && performance.now() - began > ABSENT) throw api.errorOf(error as Failed);
      throw error;
    }
  });
}

/** What the guarantees rest on. Replicas, compression, placement and limits belong to the operator. */
export function configOf(namespace: string, shards: number): Record<string, unknown> {
  const { stream, events, fences, bus } = new Subjects(namespace, shards);
  return {
    name: stream,
    subjects: [events, fences],
    storage: "file",
    retention: "limits",
    discard: "new",
    duplicate_window: DUPLICATE_WINDOW,
    allow_direct: true,
    allow_atomic: true,
    allow_rollup_hdrs: false,
    deny_delete: false,
    republish: { src: events, dest: bus },
    metadata: { "aether.format": "1", "aether.shards": String(shards) },
  };
}

/** The settings in which a stream differs from what must be. The server leaves out what is false. */
export function compare(wanted: Record<string, unknown>, actual: StreamInfo["config"]): Difference[] {
  const differences: Difference[] = [];
  const check = (setting: string, expected: unknown, found: unknown): void => {
    const [left, right] = [JSON.stringify(expected), JSON.stringify(found ?? (expected === false ? false : "none"))];
    if (left !== right) differences.push({ setting, expected: left, actual: right });
  };
  for (const [setting, expected] of Object.entries(wanted)) {
    const found = actual[setting];
    switch (setting) {
      case "name":
      case "duplicate_window":
        break; // asked by name; the operator's
      case "subjects":
        check(setting, (expected as string[]).toSorted(), (found as string[] | undefined)?.toSorted());
        break;
      case "metadata":
        for (const [key, value] of Object.entries(expected as Record<string, string>)) {
          check(`metadata ${key}`, value, actual.metadata?.[key]); // others are the server's and the operator's
        }
        break;
      case "republish": {
        const { src, dest, headers_only } = (found ?? {}) as Readonly<Record<string, unknown>>;
        check(setting, expected, found && { src, dest, ...(headers_only ? { headers_only } : {}) });
        break;
      }
      default:
        check(setting, expected, found);
    }
  }
  return differences;
}

/**
 * Makes a stream, or finds what another process has made meanwhile.
 * @throws {StreamConfigError} if the server will not have it so
 */
export async function createStream(
  api: JetStreamApi,
  config: Record<string, unknown>,
  operation: Operation,
): Promise<StreamInfo> {
  return await api.reading(operation, async () => {
    try {
      return await api.call<StreamInfo>("STREAM.CREATE", config, operation);
    } catch (error) {
      const failure = error instanceof Failed ? error.failure : undefined;
      if (failure?.kind !== "answer") throw error;
      if (failure.code === NAME_IN_USE) return await api.call<StreamInfo>("STREAM.INFO", undefined, operation);
      if (failure.meaning !== "refused") throw error;
      throw notMade(api.stream, config, failure);
    }
  });
}

/** Where the server will not have the stream as it must be, the operator can make it. */
function notMade(
  stream: string,
  config: Record<string, unknown>,
  { code, description }: { readonly code: number; readonly description: string },
): StreamConfigError {
  const setting = REFUSED.get(code) ?? "stream";
  const expected = JSON.stringify(config[setting === "replicas" ? "num_replicas" : setting] ?? config);
  return new StreamConfigError(
    { stream, differences: [{ setting, expected, actual: description }] },
    setting === "replicas" && Number(expected) > 1
      ? `replicas: ${expected} needs a cluster of at least as many servers: ${stream} could not be made, ${description}`
      : `${stream} could not be made: ${description}. Make it with what else your server asks for; all that Aether needs is ${
        JSON.stringify(config)
      }`,
  );
}

/** `retention`, `storage` and `allow_atomic` cannot all be changed on a stream that is there; the rest can. */
function differs(stream: string, differences: Difference[]): StreamConfigError {
  const list = differences.map(({ setting, expected, actual }) => `${setting} is ${actual}, must be ${expected}`);
  const remedy = differences.some(({ setting }) => setting === "metadata aether.shards")
    ? "the number of shards is fixed when a stream is made: leave `shards` out to use the stream's own"
    : "change it with `nats stream edit`, or restore the events into a stream that the library made; it never changes one that it finds";
  return new StreamConfigError({ stream, differences }, `${stream}: ${list.join("; ")}. To mend it: ${remedy}`);
}
