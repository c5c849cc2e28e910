import { connect, type NatsConnection } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { systemClock } from "../../cluster/clock.ts";
import { CommandServer } from "../../cluster/command_server.ts";
import type { CommandAnswer } from "../../cluster/commands.ts";
import { NatsCommands } from "../../cluster/nats_commands.ts";
import { Router } from "../../cluster/router.ts";
import { serveDecider } from "../../cluster/serve.ts";
import { type AppendResult, isAetherError, JetStreamEventStore, shardOf } from "../../mod.ts";
import { FaultyNetwork, NatsServer } from "../../testing/mod.ts";
import { counter } from "../support/counter.ts";
import { until } from "../support/jetstream.ts";
import { connectedTo } from "../support/servers.ts";
import { Estate, Land } from "./support/land.ts";

const SHARD = 7;
const sleep = (milliseconds: number): Promise<void> => systemClock.sleep(milliseconds);

describe("commands on NATS", () => {
  let server: NatsServer;
  const opened: NatsConnection[] = [];
  before(async () => {
    server = await NatsServer.start({ maxPayload: 2_000 });
  });
  after(async () => {
    for (const nc of opened) await nc.close();
    await server.stop();
  });
  const open = async (namespace = "shop", url = server.url, options = {}): Promise<NatsCommands> => {
    const nc = await connect({ servers: url, reconnectTimeWait: 20, maxReconnectAttempts: -1, ...options });
    opened.push(nc);
    return new NatsCommands(nc, namespace);
  };

  it("are absent at once where nobody serves their shard, and answered where somebody does", async () => {
    const [sender, owner] = [await open(), await open()];
    const began = performance.now();
    assert.deepEqual(await sender.request(SHARD, "hello", 1_500), { kind: "absent" });
    assert.ok(performance.now() - began < 1_000);
    const serving = await owner.serve(SHARD, (body) => Promise.resolve(`${body}, ü`));
    assert.deepEqual(await sender.request(SHARD, "hello", 1_500), { kind: "answer", body: "hello, ü" });
    assert.deepEqual(await owner.request(SHARD, "own", 1_500), { kind: "answer", body: "own, ü" });
    assert.deepEqual(await sender.request(SHARD + 1, "hello", 1_500), { kind: "absent" });
    await serving.drain();
    await serving.drain();
    assert.deepEqual(await sender.request(SHARD, "hello", 1_500), { kind: "absent" });
  });

  it("are met with silence by an owner that hangs, for as long as was said, or until the signal", async () => {
    const [sender, owner] = [await open(), await open()];
    const { promise, resolve } = Promise.withResolvers<string>();
    const serving = await owner.serve(SHARD, () => promise);
    assert.deepEqual(await sender.request(SHARD, "", 100), { kind: "silence" });
    const began = performance.now();
    assert.deepEqual(await sender.request(SHARD, "", 60_000, AbortSignal.timeout(50)), { kind: "silence" });
    assert.ok(performance.now() - began < 5_000);
    const drained = serving.drain();
    assert.equal(await Promise.race([drained.then(() => "drained"), sleep(50)]), undefined);
    resolve("late");
    await drained;
  });

  it("that are on the wire while their owner drains are answered, all of them", async () => {
    const [sender, owner] = [await open(), await open()];
    const kinds: CommandAnswer["kind"][] = [];
    for (let round = 0; round < 10; round++) {
      const serving = await owner.serve(SHARD, async (body) => {
        await sleep(Math.random() * 5);
        return body;
      });
      const requests = Array.from({ length: 100 }, async (_, number) => {
        await sleep(Math.random() * 5);
        return await sender.request(SHARD, `${number}`, 3_000);
      });
      await sleep(3);
      await serving.drain();
      kinds.push(...(await Promise.all(requests)).map(({ kind }) => kind));
    }
    assert.equal(kinds.filter((kind) => kind === "silence").length, 0);
    assert.ok(kinds.includes("answer") && kinds.includes("absent"), "some of each, or it proves nothing");
  });

  it("never leave their namespace", async () => {
    const [eu, us] = [await open("shop-eu"), await open("shop-us")];
    const serving = await eu.serve(SHARD, () => Promise.resolve("eu"));
    assert.deepEqual(await us.request(SHARD, "", 500), { kind: "absent" });
    const other = await us.serve(SHARD, () => Promise.resolve("us"));
    assert.deepEqual(await us.request(SHARD, "", 500), { kind: "answer", body: "us" });
    assert.deepEqual(await eu.request(SHARD, "", 500), { kind: "answer", body: "eu" });
    await Promise.all([serving.drain(), other.drain()]);
    for (const namespace of ["", "a.b", "*", ">", "a b"]) {
      await assert.rejects(open(namespace), (error) => isAetherError(error, "INVALID_NAMESPACE"));
    }
  });

  it("may be as large as the server says", async () => {
    const commands = await open();
    assert.equal(commands.maxSize, 2_000);
  });

  it("certainly do not run where there is no connection; and arrive again once there is", async () => {
    const network = await FaultyNetwork.between(server.url);
    try {
      const [sender, owner] = [await open("away", network.url), await open("away", network.url)];
      const served: string[] = [];
      await owner.serve(SHARD, (body) => {
        served.push(body);
        return Promise.resolve(body);
      });
      network.pause();
      network.cut();
      await until(() => sender.maxSize === 2_000 && opened.slice(-2).every(({ info }) => info === undefined));
      const absent = { kind: "absent", reason: "this node has no connection" };
      assert.deepEqual(await sender.request(SHARD, "away", 200), absent);
      assert.deepEqual(await sender.request(SHARD, "away", 5_000), absent);
      assert.deepEqual(await sender.request(SHARD, "away", 5_000, AbortSignal.timeout(20)), absent);
      const serving = owner.serve(SHARD + 1, (body) => Promise.resolve(body));
      network.resume();
      await serving;
      for (const shard of [SHARD, SHARD + 1]) {
        await until(async () => (await sender.request(shard, "x", 500)).kind === "answer");
      }
      assert.ok(!served.includes("away"), "it was sent when the connection came back");
    } finally {
      for (const nc of opened.splice(-2)) await nc.close();
      await network.close();
    }
  });

  it("end with their connection: CLOSED", async () => {
    const commands = await open();
    const serving = await commands.serve(SHARD, (body) => Promise.resolve(body));
    await opened.pop()?.close();
    const isClosed = (error: unknown): boolean => isAetherError(error, "CLOSED");
    await assert.rejects(commands.request(SHARD, "", 500), isClosed);
    await assert.rejects(commands.serve(SHARD, (body) => Promise.resolve(body)), isClosed);
    await serving.drain();
  });

  it("leave nothing behind", async () => {
    const commands = await open();
    await commands.request(SHARD, "", 500);
    commands.close();
    const nc = opened.at(-1) as NatsConnection & { readonly protocol: { readonly subscriptions: { size(): number } } };
    assert.equal(nc.protocol.subscriptions.size(), 0);
  });
});

describe("commands that the server forbids", () => {
  it("are PERMISSION", async () => {
    const config = `authorization: { users: [
      { user: "u", password: "p", permissions: { publish: { deny: "aether.shop.cmd.1" }, subscribe: { deny: "aether.shop.cmd.2" } } }
    ] }`;
    const server = await NatsServer.start({ config });
    const nc = await connect({ servers: server.url, user: "u", pass: "p" });
    try {
      const commands = new NatsCommands(nc, "shop");
      const isForbidden = (error: unknown): boolean => isAetherError(error, "PERMISSION");
      await assert.rejects(commands.request(1, "", 1_000), isForbidden);
      await assert.rejects(commands.serve(2, (body) => Promise.resolve(body)), isForbidden);
      assert.deepEqual(await commands.request(2, "", 1_000), { kind: "absent" });
    } finally {
      await nc.close();
      await server.stop();
    }
  });
});

describe("actors on two nodes with NATS between them", () => {
  const connection = connectedTo(() => NatsServer.start(), 3);

  it("do 300 commands once each while their shard moves to and fro", async () => {
    const land = new Land(systemClock);
    const namespace = "two";
    const nc = connection();
    const store = await JetStreamEventStore.open(nc, { namespace, shards: 4 });
    const actors = ["counter-1", "counter-2", "counter-3"];
    const shards = [...new Set(actors.map((actorId) => shardOf(actorId, 4)))];
    const home = { clock: systemClock, namespace, shards: 4 };
    const nodes = await Promise.all(["a", "b"].map(async (nodeId) => {
      const nc = connection();
      const estate = new Estate(land, nodeId);
      const own = await JetStreamEventStore.open(nc, { namespace });
      const commands = new NatsCommands(nc, namespace);
      const { distribution, discovery } = estate;
      const parts = { clock: systemClock, commands, distribution, discovery, shards: 4, observer: undefined };
      const server = new CommandServer(parts);
      const { actorTypes, host } = serveDecider(home, own, counter, { actorType: "counter" });
      server.add(actorTypes, host);
      const take = async (shard: number): Promise<void> => {
        const ack = await nc.request(`aether.${namespace}.fence.${shard}`, "{}");
        estate.take(shard, ack.json<{ seq: number }>().seq);
      };
      return { estate, server, take, router: new Router({ clock: systemClock, commands, shards: 4, local: server }) };
    }));
    const commands = new NatsCommands(nc, namespace);
    const routers = [...nodes.map(({ router }) => router), new Router({ clock: systemClock, commands, shards: 4 })];
    for (const shard of shards) await nodes[0]?.take(shard);
    const results: AppendResult[] = [];
    const sending = Promise.all(routers.map(async (router, sender) => {
      for (let number = 0; number < 100; number++) {
        const actorId = actors[(number + sender) % 3] as string;
        results.push(await router.send(actorId, { add: 1 }, { commandId: `${sender}-${number}` }) as AppendResult);
      }
    }));
    let [moves, isOver] = [0, false];
    const moving = (async () => {
      for (let from = 0; !isOver; from = 1 - from) {
        for (const shard of shards) {
          await nodes[from]?.estate.release(shard);
          await nodes[1 - from]?.take(shard);
          moves++;
        }
        await sleep(20);
      }
    })();
    await sending.finally(() => isOver = true);
    await moving;
    assert.equal(results.length, 300);
    assert.ok(moves >= 6, `${moves} moves`);
    for (const actorId of actors) {
      const events = await store.getEvents(actorId, 1, { consistency: "leader" });
      assert.equal(events.length, 100);
      assert.equal(new Set(events.map(({ metadata }) => metadata?.commandId)).size, 100);
    }
    for (const { server, estate } of nodes) {
      for (const shard of shards) await estate.release(shard);
      await server[Symbol.asyncDispose]();
      assert.deepEqual(estate.errors, []);
    }
  });
});
