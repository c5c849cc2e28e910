import { connect, type NatsConnection } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { importEvents, isAetherError, JetStreamEventStore } from "../../mod.ts";
import { FaultyNetwork, NatsServer } from "../../testing/mod.ts";
import { eachOf, event, history, holds, seed } from "../support/imports.ts";
import { numbers } from "../support/random.ts";

describe(`an import on JetStream, seed ${seed}`, () => {
  let server: NatsServer;
  let nc: NatsConnection;
  before(async () => {
    server = await NatsServer.start();
    nc = await connect({ servers: server.url });
  });
  after(async () => {
    await nc.close();
    await server.stop();
  });

  it("packs the single events of one actor into few commits", async () => {
    const store = await JetStreamEventStore.open(nc, { namespace: crypto.randomUUID() });
    const events = Array.from({ length: 2_000 }, (_, index) => event("a", index + 1));
    await importEvents(store, [event("b", 1), ...events, event("c", 1)]);
    await holds(store, [event("b", 1), ...events, event("c", 1)]);
    const commits = await Array.fromAsync(store.readAll());
    assert.ok(commits.length < 50, `${commits.length} commits`);
    for (const { events } of commits) assert.ok(JSON.stringify(events).length <= 16_384);
  });

  it("stores all once where answers are lost and the connection is cut", { timeout: 60_000 }, async () => {
    const network = await FaultyNetwork.between(server.url);
    const nc = await connect({ servers: network.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    try {
      const store = await JetStreamEventStore.open(nc, { namespace: crypto.randomUUID(), timeout: 3_000 });
      const random = numbers(seed);
      const events = history(seed, 6_000);
      network.swallow(({ isPubAck }) => isPubAck && random() < 0.02, { times: 30 });
      let attempts = 0;
      for (let complete = false; !complete && attempts < 10; attempts++) {
        const input = eachOf(events, (index) => attempts === 0 && index === 4_000 && network.cut());
        complete = await importEvents(store, input).then(() => true, (error) => {
          assert.ok(isAetherError(error, "UNKNOWN_OUTCOME") || isAetherError(error, "UNAVAILABLE"), error);
          return false;
        });
      }
      const { stored, duplicates } = await importEvents(store, events);
      assert.deepEqual({ stored, duplicates }, { stored: 0, duplicates: 6_000 });
      await holds(store, events);
    } finally {
      await nc.close();
      await network.close();
    }
  });

  it("goes on after the server was killed in the middle of it", { timeout: 60_000 }, async () => {
    const server = await NatsServer.start();
    const nc = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    try {
      const store = await JetStreamEventStore.open(nc, { namespace: "killed", timeout: 2_000 });
      const events = history(seed, 6_000);
      let restarted: Promise<void> | undefined;
      const restart = async (): Promise<void> => {
        await server.kill();
        await server.restart();
      };
      const input = eachOf(events, (index) => index === 3_000 && (restarted ??= restart()));
      await importEvents(store, input).catch((error) => assert.ok(isAetherError(error), error));
      await restarted;
      const { stored, duplicates } = await importEvents(store, events);
      assert.equal(stored + duplicates, 6_000);
      assert.ok(duplicates >= 1_000);
      await holds(store, events);
    } finally {
      await nc.close();
      await server.stop();
    }
  });
});
