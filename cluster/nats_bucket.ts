/** The bucket of a namespace's cluster: a KV bucket (ADR-8) that `nats kv` reads like any other. */
import type { NatsConnection } from "@nats-io/nats-core";
import { StreamConfigError } from "../errors.ts";
import { DirectGet } from "../store/direct_get.ts";
import { JetStreamApi } from "../store/jetstream_api.ts";
import { Operation } from "../store/operation.ts";
import { publish } from "../store/publish.ts";
import {
  checkServer,
  compare,
  createStream,
  DUPLICATE_WINDOW,
  findStream,
  type StreamInfo,
} from "../store/stream_config.ts";
import { Subjects } from "../store/subjects.ts";
import { EXPECTED_SEQUENCE, type RawMessage } from "../store/wire.ts";
import type { Bucket, Entry, Written } from "./bucket.ts";
import { failureIn, oneTry } from "./nats_try.ts";

/** What is asked for. */
export interface NatsBucketOptions {
  readonly namespace: string;
  /** Of a new bucket; undefined: those of the stream of events. */
  readonly replicas: number | undefined;
  readonly prefix: string | undefined;
  /** Milliseconds for opening it. */
  readonly timeout: number;
}

/** The name of the bucket's stream. */
export function bucketStream(namespace: string): string {
  return `KV_AETHER_${namespace}_cluster`;
}

/** A file store, always: with memory a restart of the server would make all nodes join anew. No TTL: see `lease.ts`. */
export function bucketConfig(namespace: string): Record<string, unknown> {
  return {
    name: bucketStream(namespace),
    subjects: [`$KV.AETHER_${namespace}_cluster.>`],
    storage: "file",
    retention: "limits",
    discard: "new",
    max_msgs_per_subject: 1,
    max_age: 0,
    duplicate_window: DUPLICATE_WINDOW,
    allow_direct: true,
    allow_rollup_hdrs: true,
    deny_delete: false,
    metadata: { "aether.format": "1" },
  };
}

/** Opens buckets of one namespace over one connection. */
export class NatsBuckets {
  readonly #nc: NatsConnection;
  readonly #api: JetStreamApi;
  readonly #options: NatsBucketOptions;

  constructor(nc: NatsConnection, options: NatsBucketOptions) {
    this.#nc = nc;
    this.#api = new JetStreamApi(nc, bucketStream(options.namespace), options.prefix);
    this.#options = options;
  }

  /**
   * The bucket as it is, made if there is none. Any number of processes may do this at once.
   * @throws {StreamConfigError} {@linkcode UnsupportedServerError} {@linkcode UnavailableError} {@linkcode PermissionError}
   */
  async open(signal: AbortSignal): Promise<Bucket> {
    const { namespace, timeout } = this.#options;
    const operation = new Operation(timeout, signal);
    const found = await findStream(this.#api, operation);
    checkServer(this.#api.nc); // by now it is known
    const config = bucketConfig(namespace);
    const info = found ?? await this.#create(config, operation);
    checkConfig(config, info);
    return new NatsBucket(this.#api, namespace, createdOf(info));
  }

  /** Ends what was opened for requests. */
  close(): void {
    this.#api.close();
  }

  async #create(config: Record<string, unknown>, operation: Operation): Promise<StreamInfo> {
    const { namespace, prefix, replicas } = this.#options;
    const events = new JetStreamApi(this.#nc, new Subjects(namespace, 1).stream, prefix);
    try {
      const num_replicas = replicas ?? (await findStream(events, operation))?.config.num_replicas ?? 1;
      return await createStream(this.#api, { ...config, num_replicas }, operation);
    } finally {
      events.close();
    }
  }
}

class NatsBucket implements Bucket {
  readonly created: number;
  readonly #api: JetStreamApi;
  readonly #direct: DirectGet;
  /** Part of every key: what is written into another life of the bucket is not found in this one. */
  readonly #prefix: string;

  constructor(api: JetStreamApi, namespace: string, created: number) {
    this.created = created;
    this.#api = api;
    this.#direct = new DirectGet(api);
    this.#prefix = `$KV.AETHER_${namespace}_cluster.${created.toString(36)}.`;
  }

  async write(key: string, value: unknown, revision: number): Promise<Written> {
    const message = {
      subject: this.#prefix + key,
      headers: { [EXPECTED_SEQUENCE]: String(revision) },
      payload: utf8.encode(JSON.stringify(value)),
    };
    try {
      return { kind: "stored", revision: await publish(this.#api, [message], oneTry(), false) };
    } catch (error) {
      const failure = failureIn(error);
      if (failure.kind === "answer" && failure.meaning === "conflict") {
        return { kind: "conflict", revision: lastSequenceIn(failure) };
      }
      // Nobody takes it where the bucket is gone: then nothing of this life is left.
      if (failure.kind === "absent" && await this.#isGone()) return { kind: "conflict", revision: 0 };
      return { kind: "unknown" };
    }
  }

  async read(key: string): Promise<Entry | "none" | undefined> {
    try {
      const message = await this.#api.get({ last_by_subj: this.#prefix + key }, oneTry());
      return message === undefined ? "none" : this.#entry(message) ?? "none";
    } catch (error) {
      const failure = failureIn(error);
      return failure.kind === "answer" && failure.meaning === "gone" ? "none" : undefined;
    }
  }

  async readAll(): Promise<readonly Entry[] | undefined> {
    try {
      const { messages } = await this.#direct.batch({ multi_last: [`${this.#prefix}>`] }, oneTry());
      return messages.map((message) => this.#entry(message)).filter((entry) => entry !== undefined);
    } catch (error) {
      failureIn(error);
      return undefined;
    }
  }

  async remove({ revision }: Entry): Promise<boolean> {
    try {
      const { success } = await this.#api.call<{ success?: boolean }>(
        "STREAM.MSG.DELETE",
        { seq: revision, no_erase: true },
        oneTry(),
      );
      return success === true;
    } catch (error) {
      const failure = failureIn(error); // a replica that was killed has what was removed long ago
      return failure.kind === "answer" && (failure.meaning === "none" || failure.meaning === "gone");
    }
  }

  /** Undefined for what no node has written. */
  #entry({ subject, sequence, storedAt, payload }: RawMessage): Entry | undefined {
    try {
      const value: unknown = JSON.parse(new TextDecoder().decode(payload));
      return { key: subject.slice(this.#prefix.length), revision: sequence, value, storedAt };
    } catch {
      return undefined;
    }
  }

  async #isGone(): Promise<boolean> {
    try {
      await this.#api.call("STREAM.INFO", undefined, oneTry());
      return false;
    } catch (error) {
      const failure = failureIn(error);
      return failure.kind === "answer" && failure.meaning === "gone";
    }
  }
}

const utf8 = new TextEncoder();

/** Of `wrong last sequence: N`. */
function lastSequenceIn({ description }: { readonly description: string }): number | undefined {
  const text = /sequence: (\d+)/.exec(description)?.[1];
  return text === undefined ? undefined : Number(text);
}

function createdOf({ created = "" }: StreamInfo): number {
  return Date.parse(created);
}

/** @throws {StreamConfigError} */
function checkConfig(config: Record<string, unknown>, { config: actual }: StreamInfo): void {
  const { discard: _discard, allow_rollup_hdrs: _rollup, ...needed } = config;
  const differences = compare(needed, actual);
  if (differences.length === 0) return;
  const stream = String(config["name"]);
  const list = differences.map(({ setting, expected, actual }) => `${setting} is ${actual}, must be ${expected}`);
  throw new StreamConfigError(
    { stream, differences },
    `${stream}: ${list.join("; ")}. Delete the bucket while no node runs: the library makes it anew`,
  );
}
