import type { NatsConnection } from "@nats-io/nats-core";
import { ClosedError } from "../errors.ts";
import type { Abortable } from "../store/event_store.ts";
import { JetStreamApi } from "../store/jetstream_api.ts";
import { type Attributes, harmless, observed, type Observer } from "../store/observer.ts";
import { Operation } from "../store/operation.ts";
import { openBucket } from "./bucket.ts";
import { checkSchemaVersion, checkSnapshot } from "./check.ts";
import { checkKvOptions, type KvSnapshotOptions } from "./kv_options.ts";
import { load, type Target } from "./loading.ts";
import { SnapshotNames } from "./names.ts";
import { remove } from "./removing.ts";
import { Revisions } from "./revisions.ts";
import { save, type SavingOptions } from "./saving.ts";
import type { Snapshot, SnapshotOptions, SnapshotStore } from "./snapshot_store.ts";

/** Bytes of a message's headers. */
const HEAD_ROOM = 512;
/** The least that a value gets, whatever the server says. */
const MIN_VALUE = 256;
/** The server's default, while it is not known. */
const MAX_PAYLOAD = 1_048_576;

/**
 * Keeps the snapshots of a namespace in a NATS KV bucket, `AETHER_<namespace>_snapshots`, which `nats kv` reads like any
 * other; nats-server 2.12 or later. The connection is the caller's: it is used, and never closed.
 *
 * A state may be larger than a message: it is then stored as several, and a reader gets all of one state or none. What
 * is replaced or deleted is erased from the stream's files, and what a crash of the process leaves of it by the next save
 * or delete of this actor. (What a server that is killed meanwhile leaves, mirrors, backups and, with replicas, the logs of
 * the cluster's consensus are their owner's to clean: `docs/deleting.md`.)
 *
 * @example
 * ```ts
 * import { KvSnapshotStore } from "@aether/aether";
 * import { connect } from "@nats-io/transport-node";
 *
 * const nc = await connect({ servers: "localhost:4222" });
 * await using snapshots = await KvSnapshotStore.open(nc, { namespace: "shop" });
 * const snapshot = await snapshots.getLatestSnapshot("order-123", { schemaVersion: 1 });
 * console.log(snapshot?.version, snapshot?.state);
 * ```
 */
export class KvSnapshotStore<State = unknown> implements SnapshotStore<State>, AsyncDisposable {
  /** The wall: nothing crosses it. */
  readonly namespace: string;
  /** Part of every key. */
  readonly shards: number;
  /** The bucket's name. */
  readonly bucket: string;
  readonly #api: JetStreamApi;
  readonly #names: SnapshotNames;
  readonly #revisions: Revisions;
  readonly #timeout: number;
  readonly #saving: SavingOptions;
  readonly #observer: Observer | undefined;
  #closed = false;

  private constructor(
    api: JetStreamApi,
    names: SnapshotNames,
    { namespace, shards, timeout, saving, observer }: {
      readonly namespace: string;
      readonly shards: number;
      readonly timeout: number;
      readonly saving: SavingOptions;
      readonly observer: Observer | undefined;
    },
  ) {
    this.namespace = namespace;
    this.shards = shards;
    this.bucket = names.bucket;
    this.#api = api;
    this.#names = names;
    this.#revisions = new Revisions(api);
    this.#timeout = timeout;
    this.#saving = saving;
    this.#observer = harmless(observer);
  }

  /**
   * Opens the bucket of a namespace, or makes it. Any number of processes may do so at once; a bucket that is there is
   * compared and never changed.
   *
   * @throws {InvalidNamespaceError} {@linkcode InvalidArgumentError}
   * @throws {StreamConfigError} naming each setting that would break a promise, and how to mend it
   * @throws {UnsupportedServerError} before 2.12
   * @throws {PermissionError} {@linkcode LimitReachedError}
   * @throws {UnavailableError} without JetStream or a server that answers in time
   */
  static async open<State = unknown>(
    nc: NatsConnection,
    options: KvSnapshotOptions,
  ): Promise<KvSnapshotStore<State>> {
    const { namespace, timeout, prefix, compressAbove } = checkKvOptions(nc, options);
    const { shards: asked, replicas, observer, signal } = options;
    const api = new JetStreamApi(nc, new SnapshotNames(namespace, 1).stream, prefix);
    try {
      const asks = { namespace, shards: asked, replicas, prefix };
      const { shards, maxMessage } = await openBucket(api, asks, new Operation(timeout, signal));
      const maxValue = (): number =>
        Math.max(MIN_VALUE, Math.min(nc.info?.max_payload ?? MAX_PAYLOAD, maxMessage) - HEAD_ROOM);
      const saving = { compressAbove, maxValue };
      return new KvSnapshotStore<State>(api, new SnapshotNames(namespace, shards), {
        namespace,
        shards,
        timeout,
        saving,
        observer,
      });
    } catch (error) {
      api.close();
      throw error;
    }
  }

  /**
   * Resolves once it is stored and what it replaces is erased, or a later one is there. If it rejects, it may be stored
   * or not: that is no matter, since a snapshot is never the truth, and saving it again is harmless. Ids of commands are
   * left out where they alone are larger than a message.
   *
   * @throws {InvalidArgumentError} naming the field, or the path (`state.items[2]`) of what JSON cannot carry
   * @throws {InvalidActorIdError}
   * @throws {LimitReachedError} if the bucket or the account is full
   * @throws {UnavailableError} if the server did not answer in time
   */
  async saveSnapshot(snapshot: Snapshot<State>, options: Abortable = {}): Promise<void> {
    const operation = this.#operation(options);
    const checked = checkSnapshot(snapshot);
    const target = this.#target(checked.actorId);
    const { version } = checked;
    await this.#observed(
      "saveSnapshot",
      { actorId: target.actorId, version },
      () => save(this.#revisions, target, checked, this.#saving, operation),
      (stored) => ({ stored }),
    );
  }

  /**
   * One round trip, for a state that fits into a message. It includes what this store has saved or seen; what others
   * have saved may take a moment to reach the replica that answers. What is not to be trusted (another format, another
   * actor's, a checksum that is wrong, a part that is missing) is reported to the observer and erased, so that it is not
   * in the way of later saves; the answer is then undefined.
   *
   * @throws {InvalidArgumentError} {@linkcode InvalidActorIdError}
   * @throws {UnavailableError} if the server did not answer in time
   */
  async getLatestSnapshot(actorId: string, options: SnapshotOptions = {}): Promise<Snapshot<State> | undefined> {
    const operation = this.#operation(options);
    const target = this.#target(actorId);
    const schemaVersion = checkSchemaVersion(options.schemaVersion);
    return await this.#observed(
      "getLatestSnapshot",
      { actorId },
      () => this.#load(target, schemaVersion, operation) as Promise<Snapshot<State> | undefined>,
      (snapshot): Attributes => snapshot === undefined ? { found: false } : { found: true, version: snapshot.version },
    );
  }

  /**
   * Resolves once no byte of a state is in the bucket's files; if there is none, at once. A save that is under way
   * meanwhile may come behind it. If it rejects, call it again: it goes on where it was.
   *
   * @throws {InvalidActorIdError}
   * @throws {UnavailableError} if the server did not answer in time
   */
  async deleteSnapshot(actorId: string, options: Abortable = {}): Promise<void> {
    const operation = this.#operation(options);
    const { subject } = this.#target(actorId);
    await this.#observed("deleteSnapshot", { actorId }, () => remove(this.#revisions, subject, operation));
  }

  /** Ends what this store has opened: later calls are CLOSED. The connection stays open. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#api.close();
    return Promise.resolve();
  }

  async #load(
    target: Target,
    schemaVersion: number | undefined,
    operation: Operation,
  ): Promise<Snapshot | undefined> {
    const loaded = await load(this.#revisions, target, schemaVersion, operation);
    if ("snapshot" in loaded) return loaded.snapshot;
    const { reason, sequence } = loaded;
    this.#observer?.event?.("snapshotIgnored", { actorId: target.actorId, reason });
    try {
      await remove(this.#revisions, target.subject, operation, sequence);
    } catch {
      operation.signal?.throwIfAborted();
      // Whoever may only read, or finds no leader, has read all the same: there is none to be trusted.
    }
    return undefined;
  }

  #operation({ signal }: Abortable): Operation {
    if (this.#closed) throw new ClosedError({ what: `The snapshot store of ${this.namespace}` });
    return new Operation(this.#timeout, signal);
  }

  #target(actorId: string): Target {
    return { actorId, subject: this.#names.ofActor(actorId) };
  }

  async #observed<T>(
    method: string,
    attributes: Attributes,
    work: () => Promise<T>,
    result: (value: T) => Attributes = () => ({}),
  ): Promise<T> {
    if (this.#observer === undefined) return await work();
    return await observed(this.#observer, method, { namespace: this.namespace, ...attributes }, work, result);
  }
}
