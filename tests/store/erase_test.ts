import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { JetStreamEventStore, shardOf } from "../../mod.ts";
import { FaultyNetwork } from "../../testing/mod.ts";
import { added, all, outline, rejects, several, upTo } from "../../testing/event_store/scene.ts";
import { type Raw, raw } from "../support/jetstream.ts";

describe("erasing", () => {
  let server: Raw;
  before(async () => {
    server = await raw();
  });
  after(() => server[Symbol.asyncDispose]());

  const left = async (store: JetStreamEventStore): Promise<number> =>
    (await server.api(`STREAM.INFO.${store.stream}`, { subjects_filter: ">" })).state.messages;

  it("that breaks off at any message is finished by the next call, of whoever", async () => {
    const network = await FaultyNetwork.between(server.server.url);
    const nc = await connect({ servers: network.url, reconnectTimeWait: 20 });
    try {
      const beside = await JetStreamEventStore.open(server.nc, { namespace: "crash", messageSize: 500 });
      for (const crash of upTo(9)) {
        const actorId = `order-${crash}`;
        for (const _ of upTo(3)) await beside.append(actorId, upTo(10).map(() => added("x".repeat(100))));
        await beside.append("other", several(1));
        const store = await JetStreamEventStore.open(nc, { namespace: "crash", timeout: 300 });
        let deleted = 0;
        // From the n-th message on none is erased any more.
        const dead = network.swallow(({ to, subject }) =>
          to === "server" && subject.startsWith("$JS.API.STREAM.MSG.DELETE.") && ++deleted >= crash
        );
        await rejects(store.deleteActor(actorId), "UNKNOWN_OUTCOME");
        dead.end();
        assert.deepEqual(await beside.getEvents(actorId), []);
        assert.equal((await beside.deleteActor(actorId)).version, 30);
        assert.equal(await left(beside), 2 * crash, "one of the other, and a tombstone, each time");
      }
    } finally {
      await nc.close();
      await network.close();
    }
  });

  it("finds far messages by their links, and no walk over what lies between", async () => {
    const store = await JetStreamEventStore.open(server.nc, { namespace: "far" });
    for (const _ of upTo(3)) {
      await store.append("order-1", several(1));
      await Promise.all(upTo(2_500).map((number) => store.append(`other-${number}`, several(1))));
    }
    const asked: string[] = [];
    const spy = server.nc.subscribe("$JS.API.>", {
      callback: (_, message) => {
        if (message.string().includes("next_by_subj")) asked.push(message.string());
      },
    });
    await store.deleteActor("order-1");
    await server.nc.flush();
    spy.unsubscribe();
    assert(asked.every((request) => JSON.parse(request).seq === 1), asked.join("\n"));
    assert.equal(await left(store), 7_501);
  });

  it("erases what is no commit too", async () => {
    const store = await JetStreamEventStore.open(server.nc, { namespace: "odd" });
    await store.append("order-1", several(2));
    const subject = `aether.odd.events.${shardOf("order-1", 64)}.order.order-1`;
    await server.publish(subject, "hello", { "Aether-Version": 3, "Aether-Previous": 1 });
    await store.append("order-1", several(1));
    await store.deleteActor("order-1");
    assert.equal(await left(store), 1);
    assert.deepEqual(outline(await all(store.readAll())), ["order-1@4 deleted"]);
  });
});
