import type { NatsConnection } from "@nats-io/nats-core";
import { InvalidArgumentError } from "../errors.ts";
import { checkOptionNames, namesOf } from "../options.ts";
import type { Abortable } from "./event_store.ts";
import type { Observer } from "./observer.ts";
import { whole } from "./range.ts";
import { checkNamespace } from "./shard.ts";

/** Milliseconds that a timer can count: beyond, it fires at once. */
const MAX_TIMEOUT = 2 ** 31 - 1;

/** Options of `JetStreamEventStore.open`. */
export interface JetStreamOptions extends Abortable {
  /** 1 to 64 characters of `A-Za-z0-9_-`; the stream is `AETHER_<namespace>`. */
  readonly namespace: string;
  /** Left out: those of the stream, 64 for a new one. */
  readonly shards?: number | undefined;
  /** Of a new stream. @default 1 */
  readonly replicas?: number | undefined;
  /** False: reject with STREAM_CONFIG if there is no stream. @default true */
  readonly create?: boolean | undefined;
  /** JetStream domain, for leaf nodes. Not together with `apiPrefix`. */
  readonly domain?: string | undefined;
  /** Prefix of the JetStream API, for imported accounts. @default "$JS.API" */
  readonly apiPrefix?: string | undefined;
  /** Told of what the store does. */
  readonly observer?: Observer | undefined;
  /** Milliseconds for one operation over all its retries; then UNKNOWN_OUTCOME or UNAVAILABLE. @default 10000 */
  readonly timeout?: number | undefined;
  /** Bytes of a message's payload: a larger append becomes an atomic batch of several messages. @default 16384 */
  readonly messageSize?: number | undefined;
  /** Actors whose version is kept in memory. @default 65536 */
  readonly cachedActors?: number | undefined;
}

/** Names of options, and whose they are. */
export interface OptionNames {
  readonly of: string;
  readonly names: readonly string[];
}

/** Of `JetStreamEventStore.open`. */
export const OPEN: OptionNames = {
  of: "JetStreamEventStore.open",
  names: namesOf<JetStreamOptions>({
    namespace: true,
    shards: true,
    replicas: true,
    create: true,
    domain: true,
    apiPrefix: true,
    observer: true,
    timeout: true,
    messageSize: true,
    cachedActors: true,
    signal: true,
  }),
};

/**
 * The arguments of `JetStreamEventStore.open`, or of what else is opened on a namespace, checked.
 * @throws {InvalidNamespaceError} {@linkcode InvalidArgumentError}
 */
export function checkOptions(
  nc: NatsConnection,
  options: JetStreamOptions,
  known?: OptionNames,
): { readonly namespace: string; readonly timeout: number; readonly prefix: string | undefined } {
  if (typeof nc?.request !== "function") {
    throw new InvalidArgumentError({ argument: "nc" }, "nc must be a NATS connection: await connect(…)");
  }
  if (typeof options !== "object" || options === null) {
    throw new InvalidArgumentError({ argument: "options" }, "options must be an object with a namespace");
  }
  if (known !== undefined) checkOptionNames(known.of, options, known.names);
  const { domain, apiPrefix } = options;
  const namespace = checkNamespace(options.namespace);
  const timeout = whole("timeout", options.timeout, 10_000);
  if (timeout === 0 || timeout > MAX_TIMEOUT) {
    throw new InvalidArgumentError({ argument: "timeout" }, `timeout is from 1 to ${MAX_TIMEOUT} ms, not ${timeout}`);
  }
  for (const argument of ["messageSize", "cachedActors"] as const) whole(argument, options[argument], 0);
  if (domain !== undefined && apiPrefix !== undefined) {
    throw new InvalidArgumentError(
      { argument: "apiPrefix" },
      "A domain is an API prefix of its own: give one of the two",
    );
  }
  return { namespace, timeout, prefix: domain === undefined ? apiPrefix : `$JS.${domain}.API` };
}
