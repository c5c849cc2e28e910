import type { NatsConnection } from "@nats-io/nats-core";
import { namesOf } from "../options.ts";
import type { Abortable } from "../store/event_store.ts";
import { checkOptions, type JetStreamOptions, type OptionNames } from "../store/jetstream_options.ts";
import type { Observer } from "../store/observer.ts";
import { whole } from "../store/range.ts";

/** Bytes of a state above which it is compressed. */
const COMPRESS_ABOVE = 8_192;

/** Options of `KvSnapshotStore.open`. */
export interface KvSnapshotOptions extends Abortable {
  /** 1 to 64 characters of `A-Za-z0-9_-`; the bucket is `AETHER_<namespace>_snapshots`. */
  readonly namespace: string;
  /** Left out: those of the namespace's event stream; without one those of the bucket, 64 for a new one. */
  readonly shards?: number | undefined;
  /** Of a new bucket. Left out: those of the namespace's event stream, 1 without one. */
  readonly replicas?: number | undefined;
  /** JetStream domain, for leaf nodes. Not together with `apiPrefix`. */
  readonly domain?: string | undefined;
  /** Prefix of the JetStream API, for imported accounts. @default "$JS.API" */
  readonly apiPrefix?: string | undefined;
  /** Told of every call, and of snapshots that are not to be trusted (`snapshotIgnored`, with `actorId` and `reason`). */
  readonly observer?: Observer | undefined;
  /** Milliseconds for one operation over all its retries; then UNAVAILABLE. @default 10000 */
  readonly timeout?: number | undefined;
  /** Bytes of a state as JSON above which it is compressed; `Infinity`: none is. @default 8192 */
  readonly compressAbove?: number | undefined;
}

const OPEN: OptionNames = {
  of: "KvSnapshotStore.open",
  names: namesOf<KvSnapshotOptions>({
    namespace: true,
    shards: true,
    replicas: true,
    domain: true,
    apiPrefix: true,
    observer: true,
    timeout: true,
    compressAbove: true,
    signal: true,
  }),
};

/**
 * The arguments of `KvSnapshotStore.open`, checked.
 * @throws {InvalidNamespaceError} {@linkcode InvalidArgumentError}
 */
export function checkKvOptions(
  nc: NatsConnection,
  options: KvSnapshotOptions,
): ReturnType<typeof checkOptions> & { readonly compressAbove: number } {
  const checked = checkOptions(nc, options as JetStreamOptions, OPEN);
  const { compressAbove } = options;
  return {
    ...checked,
    compressAbove: compressAbove === Infinity ? Infinity : whole("compressAbove", compressAbove, COMPRESS_ABOVE),
  };
}
