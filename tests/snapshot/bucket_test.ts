import { connect, type NatsConnection } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { JetStreamEventStore, KvSnapshotStore } from "../../mod.ts";
import { rejects, upTo } from "../../testing/event_store/scene.ts";
import { NatsCluster, NatsServer } from "../../testing/mod.ts";
import { snapshotOf } from "../../testing/snapshot_store/scene.ts";
import { bucketConfig } from "../../snapshot/bucket.ts";
import { type Raw, raw } from "../support/jetstream.ts";
import { streamOf, subjectOf } from "./support.ts";

const ACCOUNTS = `accounts {
  none { jetstream: disabled, users: [{ user: none, password: p }] }
  taken { jetstream: { max_streams: 1 }, users: [{ user: taken, password: p }] }
  A { jetstream: enabled, users: [
    { user: all, password: p }
    { user: info, password: p, permissions: { publish: { deny: ["$JS.API.STREAM.INFO.KV_AETHER_x_snapshots"] } } }
    { user: create, password: p, permissions: { publish: { deny: ["$JS.API.STREAM.CREATE.>"] } } }
    { user: reader, password: p, permissions: { publish: { deny: ["$KV.>", "$JS.API.STREAM.MSG.DELETE.>"] } } }
  ] }
}`;

describe("the bucket of a namespace", () => {
  let server: Raw;
  before(async () => {
    server = await raw();
  });
  after(() => server[Symbol.asyncDispose]());

  const open = (namespace: string, options: object = {}): Promise<KvSnapshotStore> =>
    KvSnapshotStore.open(server.nc, { namespace, ...options });

  it("is made once when ten open it at once, as a KV bucket that can be erased from", async () => {
    const stores = await Promise.all(upTo(10).map(() => open("ten")));
    assert.deepEqual(
      new Set(stores.map(({ shards, bucket }) => `${bucket} ${shards}`)),
      new Set(["AETHER_ten_snapshots 64"]),
    );
    const { config } = await server.api("STREAM.INFO.KV_AETHER_ten_snapshots");
    const { subjects, max_msgs_per_subject, discard, allow_direct, allow_rollup_hdrs, storage, retention } = config;
    assert.deepEqual(
      { subjects, max_msgs_per_subject, discard, allow_direct, allow_rollup_hdrs, storage, retention },
      {
        subjects: ["$KV.AETHER_ten_snapshots.>"],
        max_msgs_per_subject: 2,
        discard: "new",
        allow_direct: true,
        allow_rollup_hdrs: true,
        storage: "file",
        retention: "limits",
      },
    );
    assert(!config.deny_delete && !config.deny_purge);
  });

  it("has the shards of the event stream; of its own if there is none, 64 if it is new", async () => {
    await JetStreamEventStore.open(server.nc, { namespace: "events", shards: 16 });
    assert.equal((await open("events")).shards, 16);
    await open("own", { shards: 8 });
    assert.equal((await open("own")).shards, 8);
    assert.equal((await open("new")).shards, 64);
    const store = await open("events");
    await store.saveSnapshot(snapshotOf("order-1", 1));
    const { state } = await server.api(`STREAM.INFO.${streamOf("events")}`, { subjects_filter: ">" });
    const [subject = ""] = Object.keys(state.subjects);
    assert.match(subject, /^\$KV\.AETHER_events_snapshots\.\d+\.order\.order-1$/);
    assert(Number(subject.split(".")[2]) < 16);
  });

  it("that would break a promise is refused, each setting named with how to mend it, and not changed", async () => {
    const wrong: Readonly<Record<string, object>> = {
      deny_delete: { deny_delete: true },
      max_msgs_per_subject: { max_msgs_per_subject: 1 },
      allow_direct: { allow_direct: false },
      subjects: { subjects: ["$KV.AETHER_wrong_snapshots.*"] },
      "metadata aether.shards": { metadata: { "aether.format": "1", "aether.shards": "32" } },
      "metadata aether.format": { metadata: { "aether.format": "2", "aether.shards": "64" } },
      retention: { retention: "workqueue" },
    };
    for (const [setting, change] of Object.entries(wrong)) {
      const config = { ...bucketConfig("wrong", 64), ...change };
      const made = await server.api(`STREAM.CREATE.${streamOf("wrong")}`, config);
      assert.equal(made.error, undefined);
      const opening = open("wrong", { shards: 64 });
      const error = await rejects(opening, "STREAM_CONFIG", { stream: streamOf("wrong") });
      assert.deepEqual(error.differences.map((difference) => difference.setting), [setting]);
      await assert.rejects(opening, /nats stream edit|cannot be changed|option `shards`/);
      const { config: left } = await server.api(`STREAM.INFO.${streamOf("wrong")}`);
      assert.deepEqual(left, made.config);
      await server.api(`STREAM.DELETE.${streamOf("wrong")}`);
    }
  });

  it("of another tool, with its defaults, is refused for all that is missing", async () => {
    // As `nats kv add` and the client's `kvm.create` make one.
    const config = {
      name: streamOf("tool"),
      subjects: ["$KV.AETHER_tool_snapshots.>"],
      max_msgs_per_subject: 1,
      discard: "new",
      deny_delete: true,
      allow_direct: true,
      allow_rollup_hdrs: true,
      storage: "file",
    };
    assert.equal((await server.api(`STREAM.CREATE.${streamOf("tool")}`, config)).error, undefined);
    const { differences } = await rejects(open("tool"), "STREAM_CONFIG");
    assert.deepEqual(differences.map(({ setting }) => setting), [
      "max_msgs_per_subject",
      "deny_delete",
      "metadata aether.format",
      "metadata aether.shards",
    ]);
  });

  it("may be the operator's in all else: in memory, with more history, limits and a lifetime", async () => {
    const config = {
      ...bucketConfig("own-way", 64),
      storage: "memory",
      max_msgs_per_subject: 5,
      discard: "old",
      max_bytes: 1_000_000,
      max_age: 3_600_000_000_000,
      max_msg_size: 2_000,
    };
    assert.equal((await server.api(`STREAM.CREATE.${streamOf("own-way")}`, config)).error, undefined);
    const store = await open("own-way");
    const state = Array.from(crypto.getRandomValues(new Uint32Array(5_000)));
    for (const version of upTo(3)) await store.saveSnapshot(snapshotOf("order-1", version, { state }));
    assert.deepEqual((await store.getLatestSnapshot("order-1"))?.state, state, "in chunks of what a message may have");
  });

  it("is STREAM_CONFIG in every call once it was deleted", async () => {
    const store = await open("gone");
    await store.saveSnapshot(snapshotOf("order-1", 1));
    await server.api(`STREAM.DELETE.${streamOf("gone")}`);
    await rejects(store.getLatestSnapshot("order-1"), "STREAM_CONFIG");
    await rejects(store.saveSnapshot(snapshotOf("order-1", 2)), "STREAM_CONFIG");
    await rejects(store.deleteSnapshot("order-1"), "STREAM_CONFIG");
  });

  it("that was made anew is used, whatever the store has seen in the one before", async () => {
    const store = await open("anew");
    for (const version of upTo(5)) await store.saveSnapshot(snapshotOf("order-1", version));
    await server.api(`STREAM.DELETE.${streamOf("anew")}`);
    await open("anew");
    assert.equal(await store.getLatestSnapshot("order-1"), undefined);
    await store.saveSnapshot(snapshotOf("order-1", 1));
    assert.equal((await store.getLatestSnapshot("order-1"))?.version, 1);
  });

  it("cannot be opened with options that make no sense", async () => {
    await rejects(open("a b"), "INVALID_NAMESPACE");
    for (const option of ["shards", "replicas", "timeout", "compressAbove"]) {
      await rejects(open("x", { [option]: 0.5 }), "INVALID_ARGUMENT", { argument: option });
    }
    await rejects(open("x", { domain: "d", apiPrefix: "p" }), "INVALID_ARGUMENT", { argument: "apiPrefix" });
    await rejects(KvSnapshotStore.open(undefined as unknown as NatsConnection, { namespace: "x" }), "INVALID_ARGUMENT");
    const reason = new Error("enough");
    await assert.rejects(open("x", { signal: AbortSignal.abort(reason) }), (error) => error === reason);
  });
});

describe("what is missing when a bucket is opened or used has a name", () => {
  let server: NatsServer;
  const connections: NatsConnection[] = [];
  before(async () => {
    server = await NatsServer.start({ config: ACCOUNTS });
  });
  after(async () => {
    for (const nc of connections) await nc.close();
    await server.stop();
  });
  const connected = async (url: string, user?: string): Promise<NatsConnection> => {
    const nc = await connect({ servers: url, ...(user !== undefined && { user, pass: "p" }) });
    connections.push(nc);
    return nc;
  };
  const open = async (user: string, namespace = "x", options: object = {}): Promise<KvSnapshotStore> =>
    await KvSnapshotStore.open(await connected(server.url, user), { namespace, ...options });

  it("a server or an account without JetStream", async () => {
    await using plain = await NatsServer.start({ jetstream: false });
    const nc = await connected(plain.url);
    const { reason } = await rejects(KvSnapshotStore.open(nc, { namespace: "x" }), "UNAVAILABLE");
    assert.match(reason, /nats-server -js/);
    assert.match((await rejects(open("none"), "UNAVAILABLE")).reason, /not enabled for account/);
  });

  it("permissions and room for another stream", async () => {
    await rejects(open("info"), "PERMISSION", { subject: "$JS.API.STREAM.INFO.KV_AETHER_x_snapshots" });
    await rejects(open("create"), "PERMISSION", { subject: "$JS.API.STREAM.CREATE.KV_AETHER_x_snapshots" });
    await open("taken");
    await rejects(open("taken", "y"), "LIMIT_REACHED", { stream: streamOf("y") });
  });

  it("who may only read is given what is there, and told so if it is not to be trusted", async () => {
    const writer = await open("all");
    await writer.saveSnapshot(snapshotOf("order-1", 1));
    const ignored: string[] = [];
    const observer = { event: (name: string): void => void ignored.push(name) };
    const reader = await open("reader", "x", { observer });
    assert.equal((await reader.getLatestSnapshot("order-1"))?.version, 1);
    await rejects(reader.saveSnapshot(snapshotOf("order-1", 2)), "PERMISSION");
    await rejects(reader.deleteSnapshot("order-1"), "PERMISSION");
    const admin = await connected(server.url, "all");
    admin.publish(subjectOf("x", "order-1"), "garbage");
    await admin.flush();
    assert.equal(await reader.getLatestSnapshot("order-1"), undefined);
    assert.deepEqual(ignored, ["snapshotIgnored"]);
  });
});

describe("the bucket of a cluster", () => {
  it("has the replicas of the event stream, unless it is told others", async () => {
    await using cluster = await NatsCluster.start();
    const nc = await connect({ servers: cluster.urls[0] ?? "" });
    try {
      await JetStreamEventStore.open(nc, { namespace: "r3", replicas: 3 });
      const replicasOf = async (namespace: string): Promise<number> =>
        (await nc.request(`$JS.API.STREAM.INFO.${streamOf(namespace)}`)).json<
          { config: { num_replicas: number } }
        >().config.num_replicas;
      await KvSnapshotStore.open(nc, { namespace: "r3" });
      assert.equal(await replicasOf("r3"), 3);
      await KvSnapshotStore.open(nc, { namespace: "r1" });
      assert.equal(await replicasOf("r1"), 1);
      await KvSnapshotStore.open(nc, { namespace: "told", replicas: 3, shards: 64 });
      assert.equal(await replicasOf("told"), 3);
    } finally {
      await nc.close();
    }
  });
});
