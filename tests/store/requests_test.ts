import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { JetStreamEventStore } from "../../mod.ts";
import { FaultyNetwork } from "../../testing/mod.ts";
import { added, rejects, several, upTo } from "../../testing/event_store/scene.ts";
import { type Raw, raw, until } from "../support/jetstream.ts";

describe("requests", () => {
  let server: Raw;
  before(async () => {
    server = await raw();
  });
  after(() => server[Symbol.asyncDispose]());

  it("know at once that their answers went with the connection, and go on over the next one", async () => {
    const network = await FaultyNetwork.between(server.server.url);
    const nc = await connect({ servers: network.url, reconnectTimeWait: 20 });
    try {
      const reasons: string[] = [];
      const observer = {
        event: (name: string, { reason = "" }): void => void (name === "retry" && reasons.push(`${reason}`)),
      };
      const store = await JetStreamEventStore.open(nc, { namespace: "cut", observer });
      network.cutAt(({ isPubAck }) => isPubAck, { times: 1 });
      const { duplicate, version } = await store.append("order-1", several(2));
      assert.deepEqual([duplicate, version], [true, 2]);
      assert.match(reasons.join(), /the connection was lost/);
    } finally {
      await nc.close();
      await network.close();
    }
  });

  it("are not sent while there is no connection: UNAVAILABLE, and nothing is stored later", async () => {
    const network = await FaultyNetwork.between(server.server.url);
    const nc = await connect({ servers: network.url, reconnectTimeWait: 20, maxReconnectAttempts: -1 });
    try {
      const store = await JetStreamEventStore.open(nc, { namespace: "away", timeout: 300 });
      await store.append("order-1", several(1));
      network.pause();
      network.cut();
      await until(() => nc.info === undefined);
      await rejects(store.append("order-1", several(1)), "UNAVAILABLE");
      await rejects(store.getEvents("order-1"), "UNAVAILABLE");
      const opening = JetStreamEventStore.open(nc, { namespace: "away" });
      network.resume();
      await opening;
      assert.equal((await store.append("order-1", several(1), { expectedVersion: 1 })).version, 2);
    } finally {
      await nc.close();
      await network.close();
    }
  });

  it("that the server refuses are told apart by their subject, many at once", async () => {
    const store = await JetStreamEventStore.open(server.nc, { namespace: "many" });
    const writes = upTo(300).map((number) =>
      store.append(`order-${number}`, [added(number)], { expectedVersion: number % 2 })
    );
    const results = await Promise.allSettled(writes);
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 150);
    assert.equal(await store.position(), 150);
  });

  it("leave no subscription behind when the store is closed, not even one that could not be opened", async () => {
    const nc = await connect({ servers: server.server.url, name: "counted" });
    const subscriptions = async (): Promise<number> => {
      await nc.flush();
      const { connections } = await (await fetch(`${server.server.monitorUrl}/connz`)).json();
      return connections.find(({ name }: { name: string }) => name === "counted").subscriptions;
    };
    try {
      const before = await subscriptions();
      const store = await JetStreamEventStore.open(nc, { namespace: "counted" });
      await store.append("order-1", several(1));
      assert.equal(await subscriptions(), before + 1);
      await store[Symbol.asyncDispose]();
      assert.equal(await subscriptions(), before);
      await rejects(JetStreamEventStore.open(nc, { namespace: "nowhere", create: false }), "STREAM_CONFIG");
      assert.equal(await subscriptions(), before);
    } finally {
      await nc.close();
    }
  });
});
