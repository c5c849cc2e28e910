import { connect, type NatsConnection } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type EventStore, JetStreamEventStore, type JetStreamOptions, shardOf } from "../../mod.ts";
import { NatsServer } from "../../testing/mod.ts";
import { added, all, rejects, several, upTo } from "../../testing/event_store/scene.ts";
import { type Raw, raw } from "../support/jetstream.ts";

const password = "p";
const SUBJECT = `aether.x.events.${shardOf("order-1", 64)}.order.order-1`;
/** Accounts that lack something, and users of one that do. */
const ACCOUNTS = `accounts {
  none { jetstream: disabled, users: [{ user: none, password: p }] }
  taken { jetstream: { max_streams: 1 }, users: [{ user: taken, password: p }] }
  small { jetstream: { max_file: 20K }, users: [{ user: small, password: p }] }
  sized { jetstream: { max_file: 1M, max_bytes_required: true }, users: [{ user: sized, password: p }] }
  A { jetstream: enabled, users: [
    { user: info, password: p, permissions: { publish: { deny: ["$JS.API.STREAM.INFO.>"] } } }
    { user: create, password: p, permissions: { publish: { deny: ["$JS.API.STREAM.CREATE.>"] } } }
    { user: inbox, password: p, permissions: { subscribe: { deny: ["_INBOX.>"] } } }
    { user: write, password: p, permissions: { publish: { deny: ["${SUBJECT}"] } } }
  ] }
}`;

describe("what is missing when a store is opened has a name", () => {
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
    const nc = await connect({ servers: url, ...(user !== undefined && { user, pass: password }) });
    connections.push(nc);
    return nc;
  };
  const open = async (user: string, options: Partial<JetStreamOptions> = {}): Promise<JetStreamEventStore> =>
    await JetStreamEventStore.open(await connected(server.url, user), { namespace: "x", ...options });

  it("a server without JetStream", async () => {
    const plain = await NatsServer.start({ jetstream: false });
    try {
      const nc = await connected(plain.url);
      const began = performance.now();
      const { reason } = await rejects(JetStreamEventStore.open(nc, { namespace: "x" }), "UNAVAILABLE");
      assert.match(reason, /nats-server -js/);
      assert(performance.now() - began < 5_000, "as soon as it is certain, not when time is up");
    } finally {
      await plain.stop();
    }
  });

  it("an account without JetStream", async () => {
    const { reason } = await rejects(open("none"), "UNAVAILABLE");
    assert.match(reason, /not enabled for account.*nats-server -js/);
  });

  it("permissions, by the subject", async () => {
    await rejects(open("info"), "PERMISSION", { subject: "$JS.API.STREAM.INFO.AETHER_x" });
    await rejects(open("create"), "PERMISSION", { subject: "$JS.API.STREAM.CREATE.AETHER_x" });
    const { subject } = await rejects(open("inbox"), "PERMISSION");
    assert.match(subject, /^_INBOX\./);
  });

  it("room for another stream", async () => {
    await open("taken");
    await rejects(open("taken", { namespace: "y" }), "LIMIT_REACHED", { stream: "AETHER_y" });
  });

  it("what an account asks of every stream, with the settings that Aether needs", async () => {
    const { differences } = await rejects(open("sized"), "STREAM_CONFIG", { stream: "AETHER_x" });
    assert.equal(differences[0]?.setting, "max_bytes");
    const nc = await connected(server.url, "sized");
    const config = JSON.parse(differences[0]?.expected ?? "");
    await nc.request("$JS.API.STREAM.CREATE.AETHER_x", JSON.stringify({ ...config, max_bytes: 500_000 }));
    await (await open("sized")).append("order-1", several(1));
  });

  it("a write, by its subject, wherever it stands in a transaction", async () => {
    const store = await open("write");
    const forbidden = { actorId: "order-1", events: several(1) };
    const allowed = { actorId: "order-2", events: several(1) };
    await rejects(store.append("order-1", several(1)), "PERMISSION", { subject: SUBJECT });
    await rejects(store.transact([forbidden, allowed]), "PERMISSION", { subject: SUBJECT });
    await rejects(store.transact([allowed, forbidden]), "PERMISSION", { subject: SUBJECT });
    assert.equal(await store.position(), 0);
  });

  it("room in the account, for whatever shape of write", async () => {
    const store = await open("small", { messageSize: 2_000 });
    await store.append("order-1", [added("x".repeat(10_000))]);
    await isFull(store, "AETHER_x", "x".repeat(10_000));
  });
});

describe("a write that the server refuses", () => {
  let server: Raw;
  before(async () => {
    server = await raw({ jetstream: { limits: { batch: { max_msgs: 20 } } } });
  });
  after(() => server[Symbol.asyncDispose]());

  const update = async (store: JetStreamEventStore, settings: Record<string, unknown>): Promise<void> => {
    const { config } = await server.api(`STREAM.INFO.${store.stream}`);
    const { error } = await server.api(`STREAM.UPDATE.${store.stream}`, { ...config, ...settings });
    assert.equal(error, undefined);
  };
  const open = (namespace: string): Promise<JetStreamEventStore> =>
    JetStreamEventStore.open(server.nc, { namespace, messageSize: 2_000 });

  it("by a full stream is LIMIT_REACHED, and nothing was dropped", async () => {
    const store = await open("full");
    await store.append("order-1", several(3));
    await update(store, { max_bytes: 5_000 });
    await isFull(store, store.stream, "x".repeat(10_000));
  });

  it("by the size of a message is LIMIT_REACHED", async () => {
    const store = await open("large");
    await store.append("order-1", several(3));
    await update(store, { max_msg_size: 5_000 });
    await isFull(store, store.stream, "x".repeat(10_000));
  });

  it("by the size of a batch, as the server's operator has set it, is BATCH_TOO_LARGE", async () => {
    const store = await open("batch");
    const events = upTo(30).map(() => added("x".repeat(1_500)));
    await rejects(store.append("order-1", events), "BATCH_TOO_LARGE", { messages: 30, limit: 20 });
    assert.equal((await store.append("order-1", events.slice(0, 20))).version, 20);
  });

  it("since the stream was sealed is STREAM_CONFIG", async () => {
    const store = await open("sealed");
    await store.append("order-1", several(1));
    await update(store, { sealed: true });
    await rejects(store.append("order-1", several(1)), "STREAM_CONFIG", { stream: store.stream });
    assert.equal((await store.getEvents("order-1")).length, 1);
  });

  it("since the stream was deleted is STREAM_CONFIG, and so is every read", async () => {
    const store = await open("gone");
    await store.append("order-1", several(1));
    await server.api(`STREAM.DELETE.${store.stream}`);
    const gone = { stream: store.stream };
    await rejects(store.append("order-1", several(1)), "STREAM_CONFIG", gone);
    await rejects(store.transact([{ actorId: "order-1", events: several(1) }]), "STREAM_CONFIG", gone);
    await rejects(store.deleteActor("order-1"), "STREAM_CONFIG", gone);
    await rejects(store.getEvents("order-1"), "STREAM_CONFIG", gone);
    await rejects(store.getLatestVersion("order-1"), "STREAM_CONFIG", gone);
    await rejects(all(store.readActor("order-1")), "STREAM_CONFIG", gone);
    await rejects(all(store.readAll()), "STREAM_CONFIG", gone);
    await rejects(all(store.listActors()), "STREAM_CONFIG", gone);
    await rejects(store.position(), "STREAM_CONFIG", gone);
  });

  it("by the size of a batch is no matter to checked appends, which share as many as it takes", async () => {
    const store = await open("shared");
    const { seq: epoch } = await server.publish("aether.shared.fence.1", "");
    const fence = { shard: 1, epoch, checked: true };
    const actors = upTo(4_000).map((number) => `order-${number}`).filter((id) => shardOf(id, store.shards) === 1);
    assert.ok(actors.length > 40);
    await Promise.all(actors.map((id) => store.append(id, several(1), { fence })));
    assert.equal(await store.position(), (await server.api("STREAM.INFO.AETHER_shared")).state.last_seq);
  });

  it("since too many batches are open waits for its turn", async () => {
    const store = await open("busy");
    const events = upTo(3).map(() => added("x".repeat(1_500)));
    const results = await Promise.all(upTo(200).map((number) => store.append(`order-${number}`, events)));
    assert(results.every(({ version }) => version === 3));
    assert.equal(await store.position(), 600);
  });
});

/** Nothing of any shape goes in any more, and all that was there still is. */
async function isFull(store: EventStore, stream: string, text: string): Promise<void> {
  const before = await all(store.readAll());
  const big = { actorId: "order-1", events: [added(text)] };
  await rejects(store.append("order-1", big.events), "LIMIT_REACHED", { stream });
  await rejects(store.append("order-1", [...big.events, ...big.events]), "LIMIT_REACHED", { stream });
  await rejects(store.transact([big, { actorId: "order-2", events: [added(1)] }]), "LIMIT_REACHED", { stream });
  await rejects(store.transact([{ actorId: "order-2", events: [added(1)] }, big]), "LIMIT_REACHED", { stream });
  assert.deepEqual(await all(store.readAll()), before);
}
