import { connect, type NatsConnection } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { JetStreamEventStore } from "../../mod.ts";
import { FaultyNetwork } from "../../testing/mod.ts";
import { added, rejects, several, versions } from "../../testing/event_store/scene.ts";
import { type Raw, raw, until } from "../support/jetstream.ts";

/** Found by attacks: each was once told wrongly. */
describe("the outcome of a write is told right", () => {
  let server: Raw;
  const ends: (() => Promise<void>)[] = [];
  let names = 0;
  before(async () => {
    server = await raw();
  });
  after(async () => {
    for (const end of ends) await end();
    await server[Symbol.asyncDispose]();
  });

  /** A store behind a faulty network, and one beside it. */
  async function scene(timeout = 5_000): Promise<{
    readonly network: FaultyNetwork;
    readonly nc: NatsConnection;
    readonly store: JetStreamEventStore;
    readonly beside: JetStreamEventStore;
  }> {
    const namespace = `outcome${++names}`;
    const network = await FaultyNetwork.between(server.server.url);
    const nc = await connect({ servers: network.url, reconnectTimeWait: 20, maxReconnectAttempts: -1 });
    ends.push(() => nc.close(), () => network.close());
    const beside = await JetStreamEventStore.open(server.nc, { namespace });
    return { network, nc, store: await JetStreamEventStore.open(nc, { namespace, timeout }), beside };
  }

  it("of a transaction that is stored, though an actor of it was deleted since", async () => {
    const { network, store, beside } = await scene();
    for (const actorId of ["a", "b", "c"]) await beside.append(actorId, several(1));
    for (const gone of ["b", "c"]) {
      const lost = network.swallow(({ isPubAck }) => isPubAck, { times: 1 });
      const writing = store.transact([
        { actorId: "a", events: [added(1, { id: `pay-${gone}` })] },
        ...(gone === "b" ? [{ actorId: "b", events: [added()] }] : []),
        { actorId: "c", events: [], expectedVersion: 1 },
      ]);
      await lost.met();
      await beside.deleteActor(gone);
      assert.equal((await writing)[0]?.duplicate, true);
    }
    const stored = await beside.getEvents("a", 2);
    assert.deepEqual(stored.map(({ id }) => id), ["pay-b", "pay-c"]);
  });

  it("of a transaction that is repeated elsewhere, though an actor that it checked was deleted since", async () => {
    const { store, beside } = await scene();
    for (const actorId of ["a", "c"]) await store.append(actorId, several(1));
    const commits = [
      { actorId: "a", events: [added(1, { id: "pay" })], expectedVersion: 1 },
      { actorId: "c", events: [], expectedVersion: 1 },
    ];
    await store.transact(commits);
    await store.deleteActor("c");
    assert.equal((await beside.transact(commits))[0]?.duplicate, true);
    await rejects(beside.append("c", several(1)), "ACTOR_DELETED");
  });

  it("of a write that was aborted before there was a connection: it is not sent later", async () => {
    const { network, nc, store, beside } = await scene();
    await store.append("a", several(1));
    network.pause();
    network.cut();
    await until(() => nc.info === undefined);
    const stop = new AbortController();
    const batch = [added("x".repeat(10_000)), added("y".repeat(10_000))];
    const writes = [several(1), batch].map((events) => store.append("a", events, { signal: stop.signal }));
    stop.abort(new Error("enough"));
    for (const write of writes) await assert.rejects(write, /enough/);
    const large = store.append("a", [added("x".repeat(3_000_000))]); // how much is too much is not known yet
    network.resume();
    await rejects(large, "EVENT_TOO_LARGE");
    await store.append("b", several(1));
    assert.deepEqual(versions(await beside.getEvents("a", 0, { consistency: "leader" })), [1]);
  });

  it("whoever answers beside the stream", async () => {
    const { store, beside } = await scene();
    const { version } = await store.append("a", several(1), { expectedVersion: 0 });
    assert.equal(version, 1);
    for (const lie of ["hello", JSON.stringify({ stream: "OTHER", seq: 999 }), "{}"]) {
      const liar = server.nc.subscribe(`aether.outcome${names}.events.>`, {
        callback: (_, message) => void message.respond(lie),
      });
      await server.nc.flush();
      const { position } = await store.append("a", several(1));
      liar.unsubscribe();
      await server.nc.flush();
      assert.equal(position, await beside.position());
    }
    assert.deepEqual(versions(await beside.getEvents("a")), [1, 2, 3, 4]);
  });

  it("when the store is closed while it waits for the connection", async () => {
    const { network, nc, store, beside } = await scene();
    await store.append("a", several(1));
    network.pause();
    network.cut();
    await until(() => nc.info === undefined);
    const writing = store.append("a", several(1));
    await store[Symbol.asyncDispose]();
    network.resume();
    assert.equal((await writing).version, 2);
    assert.equal(await beside.getLatestVersion("a"), 2);
  });

  it("when the stream was deleted and made anew under a store that knows an actor as deleted", async () => {
    const { store, beside } = await scene();
    await store.append("a", several(3));
    await store.deleteActor("a");
    await server.api(`STREAM.DELETE.${store.stream}`);
    const anew = await JetStreamEventStore.open(server.nc, { namespace: beside.namespace });
    await anew.append("a", several(2));
    assert.equal((await store.append("a", several(1))).version, 3);
    await rejects(store.deleteActor("a", { expectedVersion: 1 }), "VERSION_CONFLICT", { actualVersion: 3 });
    assert.equal((await anew.getEvents("a")).length, 3);
  });
});
