import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  Cluster,
  isAetherError,
  JetStreamEventStore,
  LeaderElection,
  NodeDiscovery,
  type OwnedShard,
  shardOf,
  statusTable,
} from "../../mod.ts";
import { FaultyNetwork, NatsCluster, type NetworkMessage } from "../../testing/mod.ts";
import { counter } from "../support/counter.ts";
import { until } from "../support/jetstream.ts";
import { ON_DENO_ONLY } from "../support/once.ts";
import { gather, serverOf } from "./support/place.ts";

const TYPE = { actorType: "counter" } as const;
const SLOW = { skip: ON_DENO_ONLY };
const ON_R3 = { skip: ON_DENO_ONLY, timeout: 120_000 };

describe("Cluster", () => {
  const at = serverOf();

  it("shows who is there, who leads and who owns what, to all alike", async () => {
    const namespace = at.namespace();
    await using store = await JetStreamEventStore.open(at.nc, { namespace, shards: 4 });
    await using a = await Cluster.join(at.nc, { namespace, nodeId: "a", metadata: { zone: "eu" } });
    const told = gather(a.changes());
    await using b = await Cluster.join(at.nc, { namespace, nodeId: "b" });
    a.serve(store, counter, TYPE);
    b.serve(store, counter, TYPE);
    a.handle("other", () => Promise.resolve(null));
    await until(() => a.ownedShards.size === 2 && b.ownedShards.size === 2);
    await until(() =>
      [a, b].every((one) => one.status().shards.every(({ epoch, next }) => epoch && next === undefined))
    );
    const [one, other] = [a.status(), b.status()];
    assert.deepEqual([one.leader, one.shards], [other.leader, other.shards]);
    assert.deepEqual(
      one.nodes.map(({ nodeId, state, shards, weight, metadata }) => {
        return [nodeId, state, shards, weight, metadata];
      }),
      [["a", "up", 2, 1, { zone: "eu" }], ["b", "up", 2, 1, {}]],
    );
    assert.deepEqual(one.unserved, { other: ["b"] });
    assert.equal(one.channels.store, "ok");
    for (const cluster of [a, b]) {
      const owned = one.shards.filter(({ owner }) => owner === cluster.nodeId).map(({ shard }) => shard);
      assert.deepEqual([...cluster.ownedShards].sort(), owned);
    }
    assert.match(statusTable(one), /^node +state +shards.*\na \(this\)/);
    assert.deepEqual([one.nodeId, other.nodeId], ["a", "b"]);
    assert.deepEqual(one.nodes.map(({ fenced }) => fenced), [false, false]);
    assert.match(statusTable(one), /other is not served by b/);
    const { nodeId } = one.leader ?? {};
    const types = new Set(told.map(({ type }) => type));
    for (const type of ["nodeJoined", "leaderElected", "shardAcquired"] as const) assert.ok(types.has(type), type);
    await (nodeId === "a" ? a : b).leave();
    const left = nodeId === "a" ? b : a;
    await until(() => left.ownedShards.size === 4 && left.status().nodes.length === 1);
    await until(() => left.status().leader?.nodeId === left.nodeId);
    assert.equal(statusTable((nodeId === "a" ? a : b).status()), `${nodeId} is no member at the moment`);
  });

  it("shows what its actors do, whom it waits for, and who is not fenced", async () => {
    const namespace = at.namespace();
    await using _store = await JetStreamEventStore.open(at.nc, { namespace, shards: 1 });
    await using a = await Cluster.join(at.nc, { namespace, nodeId: "a", fenced: true });
    await using b = await Cluster.join(at.nc, { namespace, nodeId: "b" });
    const [begun, end] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    for (const cluster of [a, b]) {
      cluster.handle("job", async () => {
        begun.resolve();
        await end.promise;
      });
    }
    await until(() => a.ownedShards.size + b.ownedShards.size === 1);
    const owner = a.ownedShards.size === 1 ? a : b;
    const jobs = ["job-1", "job-1", "job-2"].map((id) => b.send(id, {}, { timeout: 20_000 }));
    await begun.promise;
    await until(() => owner.status().actors.running === 2);
    const { actors } = owner.status();
    assert.deepEqual([actors.actors, actors.waiting, actors.running], [2, 1, 2]);
    assert.equal(actors.longest?.actorId, "job-1");
    assert.ok(actors.longest.milliseconds >= 0);
    await until(() => a.status().nodes.every(({ weight }) => weight === 1));
    const table = statusTable({
      ...owner.status(),
      actors: { ...actors, longest: { actorId: "job-1", milliseconds: 6_000 } },
    });
    assert.match(table, /^1 commands wait here$/m);
    assert.match(table, /^a command of job-1 takes 6\.0 s already$/m);
    assert.match(table, /^not fenced: b$/m);
    end.resolve();
    await Promise.all(jobs);
    assert.deepEqual(owner.status().actors, { actors: 2, waiting: 0, running: 0, longest: undefined });
  });

  it("is not led by a node that is no candidate", async () => {
    const namespace = at.namespace();
    await using _store = await JetStreamEventStore.open(at.nc, { namespace, shards: 2 });
    await using sender = await Cluster.join(at.nc, { namespace, nodeId: "sender", candidate: false });
    assert.throws(() => sender.onLeader(() => {}), { code: "INVALID_ARGUMENT" });
    sender.onShard(() => {});
    await until(() => sender.status().nodes[0]?.state === "up" && sender.status().channels.poll !== undefined);
    assert.equal(sender.status().leader, undefined);
    await using other = await Cluster.join(at.nc, { namespace, nodeId: "other" });
    await until(() => sender.ownedShards.size === 2);
    assert.equal(sender.status().leader?.nodeId, other.nodeId);
  });

  it("leaves once, is then closed, and leaves nobody behind", async () => {
    const namespace = at.namespace();
    const cluster = await Cluster.join(at.nc, { namespace });
    const told = gather(cluster.changes());
    await using store = await JetStreamEventStore.open(at.nc, { namespace });
    cluster.serve(store, counter, TYPE);
    await until(() => cluster.ownedShards.size === 64);
    await Promise.all([cluster.leave(), cluster.leave()]);
    assert.equal(cluster.ownedShards.size, 0);
    assert.equal(told.filter(({ type }) => type === "shardAcquired").length, 64);
    await assert.rejects(cluster.send("counter-1", { add: 1 }), { code: "CLOSED" });
    assert.throws(() => cluster.serve(store, counter, TYPE), { code: "CLOSED" });
    await using again = await Cluster.join(at.nc, { namespace, nodeId: cluster.nodeId });
    assert.equal(again.status().nodes.length, 1);
  });

  it("keeps its commands behind the wall", async () => {
    const [namespace, other] = [at.namespace(), at.namespace()];
    await using store = await JetStreamEventStore.open(at.nc, { namespace, shards: 4 });
    await using _other = await JetStreamEventStore.open(at.nc, { namespace: other, shards: 4 });
    await using a = await Cluster.join(at.nc, { namespace, nodeId: "a" });
    await using b = await Cluster.join(at.nc, { namespace: other, nodeId: "a" });
    a.serve(store, counter, TYPE);
    assert.equal((await a.send(counter, "counter-1", { add: 2 })).version, 1);
    await assert.rejects(b.send("counter-1", { add: 1 }, { timeout: 300 }), { code: "NO_OWNER" });
    assert.throws(() => b.serve(store, counter, TYPE), { code: "INVALID_ARGUMENT" });
    assert.deepEqual([b.status().nodes.length, b.status().shards.some(({ owner }) => owner)], [1, false]);
  });

  it("moves nothing where connections are cut and messages lost, and loses no command", async () => {
    const namespace = at.namespace();
    await using network = await FaultyNetwork.between(at.url);
    const options = { servers: network.url, reconnectTimeWait: 20, maxReconnectAttempts: -1 };
    await using one = await connect(options);
    await using two = await connect(options);
    await using store = await JetStreamEventStore.open(one, { namespace, shards: 4 });
    await using a = await Cluster.join(one, { namespace, nodeId: "a", fenced: true });
    await using b = await Cluster.join(two, { namespace, nodeId: "b", fenced: true });
    for (const cluster of [a, b]) cluster.serve(store, counter, TYPE);
    await until(() => a.ownedShards.size === 2 && b.ownedShards.size === 2);
    const told = gather(a.changes());
    const token = a.status().leader?.token;
    const isRecord = ({ to, subject }: NetworkMessage): boolean => to === "server" && subject.startsWith("$KV.");
    const cuts = [
      (): unknown => network.cut(),
      (): unknown => network.swallow(({ isPubAck }) => isPubAck, { times: 3 }),
      (): unknown => network.cutAt(isRecord, { times: 1, delivered: true }),
      (): unknown => network.swallow(isRecord, { times: 2 }),
      (): unknown => network.cutAt(isRecord, { times: 1 }),
    ];
    let [count, versions] = [0, 0];
    for (const strike of cuts) {
      strike();
      for (let round = 0; round < 4; round++) {
        const { version } = await b.send(counter, `counter-${round}`, { add: 1 }, { timeout: 20_000 });
        versions += version === Math.floor(count++ / 4) + 1 ? 1 : 0;
      }
    }
    assert.equal(versions, count);
    assert.deepEqual(told.filter(({ type }) => type.startsWith("shard") || type.startsWith("leader")), []);
    assert.equal(a.status().leader?.token, token);
  });

  it("stops what a node does that is cut off before another takes over, and the node comes back", async () => {
    const namespace = at.namespace();
    await using network = await FaultyNetwork.between(at.url);
    await using nc = await connect({ servers: network.url, reconnectTimeWait: 20, maxReconnectAttempts: -1 });
    await using _store = await JetStreamEventStore.open(at.nc, { namespace, shards: 4 });
    const steps: string[] = [];
    const work = ({ nodeId }: Cluster) => async ({ shard, signal }: OwnedShard): Promise<void> => {
      steps.push(`${nodeId} begins ${shard}`);
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      steps.push(`${nodeId} ends ${shard}`);
    };
    await using cut = await Cluster.join(nc, { namespace, nodeId: "cut" });
    await using other = await Cluster.join(at.nc, { namespace, nodeId: "other" });
    cut.onShard(work(cut));
    other.onShard(work(other));
    await until(() => cut.ownedShards.size === 2 && other.ownedShards.size === 2);
    const lost = [...cut.ownedShards];
    steps.length = 0;
    const told = [gather(cut.changes()), gather(other.changes())] as const;
    network.pause();
    await until(() => cut.ownedShards.size === 0);
    assert.equal(other.ownedShards.size, 2);
    await until(() => other.ownedShards.size === 4);
    assert.deepEqual(steps.slice(0, 2).sort(), lost.map((shard) => `cut ends ${shard}`).sort());
    assert.deepEqual(steps.slice(2).sort(), lost.map((shard) => `other begins ${shard}`).sort());
    network.resume();
    await until(() => cut.ownedShards.size === 2 && other.ownedShards.size === 2);
    assert.equal(cut.status().nodes.length, 2);
    // Who is cut off knows nothing of the others.
    const suspected = told.map((changes) => changes.flatMap((one) => one.type === "nodeSuspected" ? one.nodeId : []));
    assert.deepEqual(suspected, [[], ["cut"]]);
  });

  it("leaves in the end, also while NATS is away", SLOW, async () => {
    const namespace = at.namespace();
    await using network = await FaultyNetwork.between(at.url);
    await using nc = await connect({ servers: network.url, reconnectTimeWait: 20, maxReconnectAttempts: -1 });
    await using store = await JetStreamEventStore.open(nc, { namespace, shards: 4 });
    await using cluster = await Cluster.join(nc, { namespace });
    cluster.serve(store, counter, TYPE);
    await cluster.send(counter, "counter-1", { add: 1 });
    network.pause();
    const began = performance.now();
    await cluster.leave({ timeout: 500 });
    assert.ok(performance.now() - began < 15_000);
    network.resume();
  });

  it("has left where its connection is closed, at once", async () => {
    const namespace = at.namespace();
    const nc = await connect({ servers: at.url });
    const cluster = await Cluster.join(nc, { namespace });
    await using store = await JetStreamEventStore.open(at.nc, { namespace });
    cluster.serve(store, counter, TYPE);
    await until(() => cluster.ownedShards.size === 64);
    const began = performance.now();
    await nc.close();
    await until(() => cluster.status().nodes.length === 0);
    await assert.rejects(cluster.send("counter-1", { add: 1 }), { code: "CLOSED" });
    await cluster.leave();
    const took = performance.now() - began;
    assert.ok(took < 3_000, `${took} ms: nobody is to be told`);
  });

  it("joins in time, or says why not: UNAVAILABLE, CLOSED", async () => {
    const namespace = at.namespace();
    await using network = await FaultyNetwork.between(at.url);
    await using _store = await JetStreamEventStore.open(at.nc, { namespace, shards: 1 });
    await using _other = await Cluster.join(at.nc, { namespace });
    const isRecord = ({ to, subject }: NetworkMessage): boolean => to === "server" && subject.startsWith("$KV.");
    const lost = network.swallow(isRecord, { times: Infinity });
    await using one = await connect({ servers: network.url });
    await assert.rejects(Cluster.join(one, { namespace, timeout: 1_000 }), { code: "UNAVAILABLE" });
    await assert.rejects(NodeDiscovery.join(one, { namespace, timeout: 500 }), { code: "UNAVAILABLE" });
    await assert.rejects(LeaderElection.campaign(one, { namespace, timeout: 500 }), { code: "UNAVAILABLE" });
    const two = await connect({ servers: network.url });
    const before = lost.count;
    const rejected = assert.rejects(Cluster.join(two, { namespace, timeout: 60_000 }), { code: "CLOSED" });
    await until(() => lost.count > before);
    await two.close();
    await rejected;
  });

  it("waits for nobody who could hand its shards over where none may lead; leaving twice is once", SLOW, async () => {
    const namespace = at.namespace();
    await using store = await JetStreamEventStore.open(at.nc, { namespace, shards: 2 });
    const leader = await Cluster.join(at.nc, { namespace, nodeId: "a" });
    await using other = await Cluster.join(at.nc, { namespace, nodeId: "b", candidate: false });
    for (const cluster of [leader, other]) cluster.serve(store, counter, TYPE);
    // @ts-expect-error a counter's events are of counters; whoever has no types may say so
    await leader.serve(store, counter, { actorType: "clock" })[Symbol.asyncDispose]();
    await until(() => leader.ownedShards.size === 1 && other.ownedShards.size === 1);
    await leader.leave();
    const nc = await connect({ servers: at.url });
    const again = await Cluster.join(nc, { namespace, nodeId: "c" });
    again.serve(store, counter, TYPE);
    await until(() => again.ownedShards.size === 1);
    await using taker = await Cluster.join(at.nc, { namespace, nodeId: "d", candidate: false });
    taker.serve(store, counter, TYPE);
    await until(() =>
      other.status().nodes.some(({ nodeId, weight, state }) => nodeId === "d" && weight > 0 && state === "up")
    );
    await nc.close(); // the last one who may lead is dead
    const began = performance.now();
    const first = other.leave();
    let isOver = false;
    void first.then(() => isOver = true);
    await other.leave();
    assert.ok(isOver, "the second one did not wait for the first");
    const took = performance.now() - began;
    assert.ok(took < 20_000, `${took} ms`);
  });

  it("keeps its shard where a handler meets the node's own, later fence", async () => {
    const namespace = at.namespace();
    await using store = await JetStreamEventStore.open(at.nc, { namespace, shards: 1 });
    const epochs: number[] = [];
    const owned = async ({ fence, signal }: OwnedShard): Promise<void> => {
      epochs.push(fence.epoch);
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    };
    const before = await Cluster.join(at.nc, { namespace });
    before.onShard(owned);
    await until(() => epochs.length === 1);
    await before.leave();
    await using cluster = await Cluster.join(at.nc, { namespace });
    cluster.onShard(owned);
    const [old = 0] = epochs;
    let count = 0;
    cluster.handle("job", async (_, { actorId }) => {
      if (count++ > 0) return "again";
      return await store.append(actorId, [{ eventType: "Done", data: {} }], {
        fence: { shard: 0, epoch: old, checked: true },
      });
    });
    await until(() => epochs.length === 2);
    assert.equal(await cluster.send("job-1", {}), "again");
    await cluster.send("job-2", {});
    assert.equal(epochs.length, 2, "it was given up, and taken again");
  });

  it("tells the console of work that fails where nobody observes it", async () => {
    const namespace = at.namespace();
    await using _store = await JetStreamEventStore.open(at.nc, { namespace, shards: 1 });
    await using cluster = await Cluster.join(at.nc, { namespace, nodeId: "a" });
    const { error } = console;
    const told: unknown[][] = [];
    console.error = (...parts: unknown[]): void => void told.push(parts);
    try {
      await using _work = cluster.onShard(() => {
        throw new RangeError("broken");
      });
      await until(() => told.length > 0);
    } finally {
      console.error = error;
    }
    assert.match(String(told[0]?.[0]), /shardWorkFailed {"nodeId":"a","shard":0}:$/);
    assert.equal((told[0]?.[1] as Error).message, "broken");
  });

  it("tells of work that fails, and begins it again", async () => {
    const namespace = at.namespace();
    const observed: string[] = [];
    const observer = { event: (name: string): void => void observed.push(name) };
    await using _store = await JetStreamEventStore.open(at.nc, { namespace, shards: 1 });
    await using cluster = await Cluster.join(at.nc, { namespace, observer });
    const tries = { shard: 0, leader: 0 };
    await using _shards = cluster.onShard(async ({ signal }) => {
      if (++tries.shard === 1) throw new Error("broken");
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    });
    await using _leading = cluster.onLeader(async ({ signal, token }) => {
      assert.equal(token, cluster.status().leader?.token);
      if (++tries.leader === 1) throw new Error("broken");
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    });
    await until(() => tries.shard === 2 && tries.leader === 2);
    assert.deepEqual(observed.filter((name) => name.endsWith("Failed")).sort(), [
      "leaderWorkFailed",
      "shardWorkFailed",
    ]);
  });
});

describe("Cluster on three servers", () => {
  it("moves nothing when the leader of its streams dies, and who led goes on", ON_R3, async () => {
    const namespace = "three";
    await using servers = await NatsCluster.start();
    const options = { servers: [...servers.urls], reconnectTimeWait: 50, maxReconnectAttempts: -1 };
    await using nc = await connect(options);
    await using store = await JetStreamEventStore.open(nc, { namespace, shards: 8, replicas: 3, timeout: 30_000 });
    await using a = await Cluster.join(nc, { namespace, nodeId: "a", replicas: 3 });
    await using other = await connect(options);
    await using b = await Cluster.join(other, { namespace, nodeId: "b", replicas: 3 });
    for (const cluster of [a, b]) cluster.serve(store, counter, TYPE);
    await until(() => a.ownedShards.size === 4 && b.ownedShards.size === 4);
    const told = [gather(a.changes()), gather(b.changes())];
    const token = a.status().leader?.token;
    const info = (await nc.request(`$JS.API.STREAM.INFO.KV_AETHER_${namespace}_cluster`)).json<{
      readonly cluster: { readonly leader: string };
    }>();
    await servers.servers.find(({ name }) => name === info.cluster.leader)?.kill();
    const ids = Array.from({ length: 8 }, (_, index) => `counter-${index}` as const);
    const sent = await Promise.all(ids.map((id) => b.send(counter, id, { add: 1 }, { timeout: 60_000 })));
    assert.ok(sent.every(({ version }) => version === 1));
    await until(() => [a, b].every((cluster) => cluster.status().channels.store === "ok"), 30);
    await until(() => a.ownedShards.size === 4 && b.ownedShards.size === 4);
    assert.deepEqual(told.flat().filter(({ type }) => /^shard|^leader|^nodeDead/.test(type)), []);
    assert.equal(b.status().leader?.token, token);
    assert.ok(ids.some((id) => a.ownedShards.has(shardOf(id, 8))));
    assert.ok(isAetherError(await a.send("nobody-1", {}, { timeout: 3_000 }).catch((error) => error), "NO_HANDLER"));
  });
});
