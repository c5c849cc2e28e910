/** The world of a cluster's parts on NATS. */
import type { NatsConnection } from "@nats-io/nats-core";
import { ClosedError, InvalidArgumentError, UnavailableError } from "../errors.ts";
import { shown } from "../shown.ts";
import type { Abortable } from "../store/event_store.ts";
import { checkOptions } from "../store/jetstream_options.ts";
import { harmless, type Observer } from "../store/observer.ts";
import { textOf, toConsole } from "../store/report.ts";
import { systemClock } from "./clock.ts";
import { aborted } from "./crew.ts";
import { LEASE_TIMES } from "./lease.ts";
import { NatsBuckets } from "./nats_bucket.ts";
import { NatsNudges } from "./nats_nudges.ts";
import type { ClusterPorts } from "./ports.ts";

/** Milliseconds in which a node whose joining is over may say good-bye. */
const GRACE = 500;

/** What all parts of a cluster are opened with. */
export interface ClusterNatsOptions extends Abortable {
  /** 1 to 64 characters of `A-Za-z0-9_-`: the wall; the bucket is `AETHER_<namespace>_cluster`. */
  readonly namespace: string;
  /** Of a new bucket. @default those of the namespace's stream, 1 without one */
  readonly replicas?: number | undefined;
  /** JetStream domain, for leaf nodes. Not together with `apiPrefix`. */
  readonly domain?: string | undefined;
  /** Prefix of the JetStream API, for imported accounts. @default "$JS.API" */
  readonly apiPrefix?: string | undefined;
  /** Milliseconds for joining. @default 10000 */
  readonly timeout?: number | undefined;
  /** Told of what the cluster does. */
  readonly observer?: Observer | undefined;
}

/** The ports, and how they are closed. */
export interface NatsPorts extends AsyncDisposable {
  /**
   * Joins, in the time that there is.
   * @throws {UnavailableError} {@linkcode ClosedError} what `join` throws, and the signal's reason
   */
  inTime<T>(join: (signal: AbortSignal) => Promise<T>): Promise<T>;
  readonly ports: ClusterPorts;
  readonly namespace: string;
  readonly timeout: number;
  readonly prefix: string | undefined;
}

/** The names of what all parts are opened with. */
export const CLUSTER_NATS_NAMES: Readonly<Record<keyof ClusterNatsOptions, true>> = {
  namespace: true,
  replicas: true,
  domain: true,
  apiPrefix: true,
  timeout: true,
  observer: true,
  signal: true,
};

/**
 * Ports over a connection.
 * @throws {InvalidNamespaceError} {@linkcode InvalidArgumentError}
 */
export function natsPorts(nc: NatsConnection, options: ClusterNatsOptions): NatsPorts {
  const { replicas, domain, apiPrefix, timeout: asked, namespace: name } = options;
  const given = {
    namespace: name,
    ...(domain !== undefined && { domain }),
    ...(apiPrefix !== undefined && { apiPrefix }),
  };
  const { namespace, prefix, timeout } = checkOptions(nc, { ...given, ...(asked !== undefined && { timeout: asked }) });
  if (replicas !== undefined && !(Number.isSafeInteger(replicas) && replicas >= 1)) {
    throw new InvalidArgumentError({ argument: "replicas" }, `replicas is an integer from 1, not ${shown(replicas)}`);
  }
  const buckets = new NatsBuckets(nc, { namespace, replicas, prefix, timeout });
  const nudges = new NatsNudges(nc, namespace);
  const observer = harmless(options.observer);
  const closed = new AbortController();
  void nc.closed().then(() => closed.abort());
  const ports: ClusterPorts = {
    clock: systemClock,
    nudges,
    times: LEASE_TIMES,
    observer,
    closed: closed.signal,
    workFailed: (name, attributes, error) => {
      if (options.observer?.event !== undefined) observer?.event?.(name, { ...attributes, error: textOf(error) });
      else toConsole(`Cluster ${namespace}: ${name} ${JSON.stringify(attributes)}:`, error);
    },
    openBucket: (signal) => buckets.open(signal),
  };
  return {
    ports,
    namespace,
    timeout,
    prefix,
    inTime: (join) => joined(join, timeout, closed.signal, options.signal ?? NEVER),
    async [Symbol.asyncDispose](): Promise<void> {
      await nudges[Symbol.asyncDispose]();
      buckets.close();
    },
  };
}

/** A signal that never aborts, for those who gave none. */
export const NEVER: AbortSignal = new AbortController().signal;

async function joined<T>(
  join: (signal: AbortSignal) => Promise<T>,
  timeout: number,
  closed: AbortSignal,
  signal: AbortSignal,
): Promise<T> {
  const over = new AbortController();
  const reason = `joining took more than ${timeout} ms`;
  const timer = setTimeout(() => over.abort(new UnavailableError({ reason })), timeout);
  const end = (): void => over.abort(new ClosedError({ what: "The connection" }));
  const stop = (): void => over.abort(signal.reason);
  closed.addEventListener("abort", end);
  signal.addEventListener("abort", stop);
  const done = new AbortController();
  try {
    if (closed.aborted) end();
    signal.throwIfAborted();
    const late = aborted(over.signal).then(() => systemClock.sleep(GRACE, done.signal)).then(() => {
      throw over.signal.reason;
    });
    return await Promise.race([join(over.signal), late]);
  } finally {
    done.abort();
    clearTimeout(timer);
    closed.removeEventListener("abort", end);
    signal.removeEventListener("abort", stop);
  }
}
