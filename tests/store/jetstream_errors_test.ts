import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isAetherError } from "../../errors.ts";
import { JetStreamEventStore, shardOf } from "../../mod.ts";
import { added, all, rejects, several, upTo, versions } from "../../testing/event_store/scene.ts";
import { raw, until } from "../support/jetstream.ts";
import { stores } from "../support/stores.ts";

describe("JetStreamEventStore says", () => {
  const at = stores();
  const { open } = at;

  it("UNKNOWN_OUTCOME of a write that was aborted after it was sent, with the reason as cause", async () => {
    await using own = await raw();
    await using store = await JetStreamEventStore.open(own.nc, { namespace: "aborted" });
    await own.server.pause();
    const reason = new Error("enough");
    const stop = new AbortController();
    const before = own.nc.stats().outMsgs;
    const sent = store.append("order-1", [added(1, { id: "a" })], { expectedVersion: 0, signal: stop.signal });
    const outcome = rejects(sent, "UNKNOWN_OUTCOME", { actorIds: ["order-1"], eventIds: ["a"] });
    await until(() => own.nc.stats().outMsgs > before);
    stop.abort(reason);
    assert.equal((await outcome as unknown as Error).cause, reason);
    await own.server.resume();
    const again = await store.append("order-1", [added(1, { id: "a" })], { expectedVersion: 0 });
    assert.deepEqual([again.version, again.duplicate], [1, true]);
  });

  it("the reason alone of a write that was aborted before it was sent", async () => {
    const store = await open();
    const reason = new Error("enough");
    const stop = new AbortController();
    const call = store.append("order-1", several(1), { expectedVersion: 0, signal: stop.signal });
    stop.abort(reason);
    await assert.rejects(call, reason);
    assert.equal(await store.position(), 0);
  });

  it("UNKNOWN_OUTCOME of a write without an answer, and UNAVAILABLE of a read", async () => {
    await using own = await raw();
    await using store = await JetStreamEventStore.open(own.nc, { namespace: "silent", timeout: 400 });
    await store.append("order-1", several(1));
    await own.server.pause();
    const write = store.append("order-1", [added(2, { id: "b" })], { expectedVersion: 1 });
    const [outcome] = await Promise.all([
      rejects(write, "UNKNOWN_OUTCOME", { actorIds: ["order-1"], eventIds: ["b"] }),
      rejects(store.getLatestVersion("order-1"), "UNAVAILABLE"),
      rejects(store.getEvents("order-1"), "UNAVAILABLE"),
    ]);
    assert.match((outcome as unknown as Error).message, /event ids of this error and expectedVersion: 1$/);
    await own.server.resume();
    await own.nc.flush();
    const again = await store.append("order-1", [added(2, { id: "b" })], { expectedVersion: 1 });
    assert.deepEqual([again.version, again.duplicate], [2, true]);
    assert.deepEqual(versions(await store.getEvents("order-1")), [1, 2]);
  });

  it("EVENT_DECODE of a history in which a message is missing", async () => {
    const store = await open({ namespace: "hole" });
    for (const _ of upTo(5)) await store.append("order-1", several(1));
    await at.server.api("STREAM.MSG.DELETE.AETHER_hole", { seq: 3 });
    await rejects(store.getEvents("order-1"), "EVENT_DECODE", { stream: "AETHER_hole", position: 4 });
    assert.deepEqual(versions(await store.getEvents("order-1", 0, { afterPosition: 3 })), [4, 5]);
  });

  it("UNKNOWN_OUTCOME of a deletion that got no further than its tombstone", async () => {
    const permissions = { publish: { deny: ["$JS.API.STREAM.MSG.DELETE.>"] } };
    await using own = await raw({ accounts: { A: { users: [{ user: "a", password: "p", permissions }] } } }, {
      user: "a",
      pass: "p",
    });
    await using store = await JetStreamEventStore.open(own.nc, { namespace: "kept" });
    await store.append("order-1", several(2));
    const error = await rejects(store.deleteActor("order-1"), "UNKNOWN_OUTCOME", { actorIds: ["order-1"] });
    assert.ok(isAetherError((error as unknown as Error).cause, "PERMISSION"));
    await rejects(store.append("order-1", several(1)), "ACTOR_DELETED");
    assert.deepEqual(await store.getEvents("order-1"), []);
  });

  it("CLOSED once the connection is, to readers that are under way too", async () => {
    await using own = await raw();
    await using store = await JetStreamEventStore.open(own.nc, { namespace: "gone" });
    for (const _ of upTo(300)) await store.append("order-1", [added("x".repeat(20_000))]);
    const caughtUp = Promise.withResolvers<void>();
    const live = (async () => {
      for await (const _ of store.readAll({ live: true, onCaughtUp: () => caughtUp.resolve() }));
    })();
    const ended = rejects(live, "CLOSED");
    await caughtUp.promise;
    const reading = (async () => {
      for await (const { version } of store.readActor("order-1")) if (version === 10) await own.nc.close();
    })();
    await rejects(reading, "CLOSED");
    await ended;
    await rejects(store.append("order-1", several(1)), "CLOSED");
    await rejects(store.getEvents("order-1"), "CLOSED");
    await rejects(JetStreamEventStore.open(own.nc, { namespace: "gone" }), "CLOSED");
  });

  it("EVENT_DECODE of a message that is no commit, with stream, position and subject", async () => {
    const store = await open({ namespace: "foreign-message" });
    const subject = `aether.foreign-message.events.${shardOf("order-1", 64)}.order.order-1`;
    const { seq } = await at.server.publish(subject, "hello");
    const facts = { stream: "AETHER_foreign-message", position: seq, subject };
    await rejects(all(store.readAll()), "EVENT_DECODE", facts);
    await rejects(store.getEvents("order-1"), "EVENT_DECODE", facts);
    await rejects(store.append("order-1", several(1)), "EVENT_DECODE", facts);
    assert.deepEqual(await all(store.readAll({ actorTypes: ["account"] })), []);
  });
});
