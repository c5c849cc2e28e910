import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { isAetherError } from "../../errors.ts";
import { type AppendOptions, type Event, JetStreamEventStore, type JetStreamOptions, shardOf } from "../../mod.ts";
import { checkServer } from "../../store/stream_config.ts";
import { NatsServer } from "../../testing/mod.ts";
import { added, all, outline, rejects, several, upTo, versions } from "../../testing/event_store/scene.ts";
import { type Raw, raw, until } from "../support/jetstream.ts";

describe("JetStreamEventStore", () => {
  let server: Raw;
  let names = 0;
  before(async () => {
    server = await raw();
  });
  after(() => server[Symbol.asyncDispose]());

  const open = (options: Partial<JetStreamOptions> = {}): Promise<JetStreamEventStore> =>
    JetStreamEventStore.open(server.nc, { namespace: `s${++names}`, ...options });

  describe("opens", () => {
    it("once, whoever is first, when ten do so at once", async () => {
      const connections = await Promise.all(upTo(10).map(() => connect({ servers: server.server.url })));
      const stores = await Promise.all(connections.map((nc) => JetStreamEventStore.open(nc, { namespace: "ten" })));
      await Promise.all(stores.map((store, index) => store.append(`order-${index}`, several(1))));
      assert.equal((await all((await open({ namespace: "ten" })).listActors())).length, 10);
      await Promise.all(connections.map((nc) => nc.close()));
    });

    it("a stream with the settings of the design, and leaves one that is there as the operator has set it", async () => {
      await open({ namespace: "kept", replicas: 1 });
      const { config } = await server.api("STREAM.INFO.AETHER_kept");
      assert.deepEqual(config.subjects, ["aether.kept.events.>", "aether.kept.fence.>"]);
      assert.deepEqual(
        [config.storage, config.retention, config.discard, config.allow_direct, config.allow_atomic],
        ["file", "limits", "new", true, true],
      );
      assert.deepEqual([config.duplicate_window, config.allow_rollup_hdrs, config.deny_delete], [
        100_000_000,
        false,
        false,
      ]);
      assert.deepEqual(config.republish, { src: "aether.kept.events.>", dest: "aether.kept.bus.>" });
      const operated = { ...config, max_bytes: 5_000_000, compression: "s2", duplicate_window: 60_000_000_000 };
      await server.api("STREAM.UPDATE.AETHER_kept", operated);
      await open({ namespace: "kept" });
      const { config: after } = await server.api("STREAM.INFO.AETHER_kept");
      assert.deepEqual([after.max_bytes, after.compression, after.duplicate_window], [5_000_000, "s2", 60_000_000_000]);
    });

    it("with the shards of the stream, and refuses another number", async () => {
      assert.equal((await open({ namespace: "eight", shards: 8 })).shards, 8);
      assert.equal((await open({ namespace: "eight" })).shards, 8);
      const differences = [{ setting: "metadata aether.shards", expected: '"64"', actual: '"8"' }];
      await rejects(open({ namespace: "eight", shards: 64 }), "STREAM_CONFIG", { stream: "AETHER_eight", differences });
    });

    it("no stream that is set so that the guarantees would not hold, and names what differs", async () => {
      await open({ namespace: "odd" });
      const { config } = await server.api("STREAM.INFO.AETHER_odd");
      await server.api("STREAM.UPDATE.AETHER_odd", { ...config, discard: "old", allow_direct: false });
      const { differences } = await rejects(open({ namespace: "odd" }), "STREAM_CONFIG");
      assert.deepEqual(differences, [
        { setting: "discard", expected: '"new"', actual: '"old"' },
        { setting: "allow_direct", expected: "true", actual: "false" },
      ]);
      await server.api("STREAM.CREATE.AETHER_foreign", { name: "AETHER_foreign", subjects: ["foreign.>"] });
      await rejects(open({ namespace: "foreign" }), "STREAM_CONFIG", { stream: "AETHER_foreign" });
      await rejects(open({ namespace: "nowhere", create: false }), "STREAM_CONFIG", { stream: "AETHER_nowhere" });
      assert.equal((await server.api("STREAM.INFO.AETHER_nowhere")).error.err_code, 10059);
    });

    it("nothing by arguments that make no sense", async () => {
      for (const namespace of ["", "a.b", "ü", "x".repeat(65), undefined]) {
        await rejects(open({ namespace: namespace as string }), "INVALID_NAMESPACE");
      }
      const bad = { shards: 0, replicas: -1, timeout: 2 ** 31, messageSize: -1, cachedActors: NaN };
      for (const [argument, value] of Object.entries(bad)) {
        await rejects(open({ [argument]: value }), "INVALID_ARGUMENT", { argument });
      }
      for (const nc of [undefined, "nats://localhost", Promise.resolve()]) {
        await rejects(JetStreamEventStore.open(nc as never, { namespace: "x" }), "INVALID_ARGUMENT", {
          argument: "nc",
        });
      }
      await rejects(JetStreamEventStore.open(server.nc, undefined as never), "INVALID_ARGUMENT", {
        argument: "options",
      });
      await rejects(open({ replicas: 3 }), "STREAM_CONFIG");
      await rejects(open({ domain: "hub", apiPrefix: "$JS.hub.API" }), "INVALID_ARGUMENT", { argument: "apiPrefix" });
    });

    it("in a JetStream domain, by the domain or its API prefix", async () => {
      await using hub = await NatsServer.start({ jetstream: { domain: "hub" } });
      await using nc = await connect({ servers: hub.url });
      await using store = await JetStreamEventStore.open(nc, { namespace: "far", domain: "hub" });
      await store.append("order-1", several(2));
      await store.transact([{ actorId: "order-1", events: several(1) }, { actorId: "order-2", events: several(1) }]);
      await using other = await JetStreamEventStore.open(nc, { namespace: "far", apiPrefix: "$JS.hub.API" });
      assert.deepEqual(outline(await all(other.readAll())).length, 3);
      await other.deleteActor("order-1");
      assert.equal((await all(store.listActors())).length, 1);
    });

    it("on no server before 2.12", () => {
      const server = (version: string): void => checkServer({ info: { version } } as never);
      for (const version of ["2.12.0", "2.15.2", "3.0.0", "2.14.0-RC.1"]) server(version);
      for (const version of ["2.11.9", "2.9.25", "1.4.1"]) {
        assert.throws(
          () => server(version),
          (error) => isAetherError(error, "UNSUPPORTED_SERVER") && error.version === version,
        );
      }
    });

    it("not without JetStream, nor without permission", async () => {
      await using plain = await NatsServer.start({ jetstream: false });
      await using nc = await connect({ servers: plain.url });
      await rejects(JetStreamEventStore.open(nc, { namespace: "x", timeout: 300 }), "UNAVAILABLE");
      const permissions = { publish: { allow: ["$JS.API.STREAM.INFO.>", "$JS.API.STREAM.CREATE.>"] } };
      const accounts = { A: { users: [{ user: "a", password: "p", permissions }] } };
      await using narrow = await NatsServer.start({ accounts });
      await using limited = await connect({ servers: narrow.url, user: "a", pass: "p" });
      const store = await JetStreamEventStore.open(limited, { namespace: "x", timeout: 500 });
      const subject = `aether.x.events.${shardOf("order-1", 64)}.order.order-1`;
      await rejects(store.append("order-1", several(1), { expectedVersion: 0 }), "PERMISSION", { subject });
      await rejects(store.getLatestVersion("order-1"), "PERMISSION", {
        subject: `$JS.API.DIRECT.GET.AETHER_x.${subject}`,
      });
    });
  });

  describe("stores", () => {
    it("messages with the headers of the format and no others", async () => {
      const store = await open({ namespace: "wire" });
      const fields = async (sequence: number): Promise<Record<string, string>> => {
        const { message: { hdrs } } = await server.api("STREAM.MSG.GET.AETHER_wire", { seq: sequence });
        const lines = atob(hdrs).split("\r\n").filter((line) => line.includes(": "));
        return Object.fromEntries(lines.map((line) => line.split(": ") as [string, string]));
      };
      await store.append("order-1", several(3));
      await store.append("order-1", several(1));
      await store.append("order-1", upTo(3).map(() => added("x".repeat(9_000))));
      await store.deleteActor("order-2");
      await store.append("order-2", several(1));
      const { position } = await store.deleteActor("order-2");
      const expected = "Nats-Expected-Last-Subject-Sequence";
      assert.deepEqual(await fields(1), { "Aether-Version": "3", "Aether-Previous": "0", [expected]: "0" });
      assert.deepEqual(await fields(2), { "Aether-Version": "4", "Aether-Previous": "1", [expected]: "1" });
      for (const part of [1, 2, 3]) {
        const { "Nats-Batch-Id": _, "Nats-Batch-Sequence": __, "Nats-Batch-Commit": ___, ...own } = await fields(
          2 + part,
        );
        const link = part === 1 ? { "Aether-Previous": "2", [expected]: "2" } : {};
        assert.deepEqual(own, { "Aether-Version": String(4 + part), ...link, "Aether-Part": `${part}/3` });
      }
      const tombstone = { "Aether-Version": "1", "Aether-Previous": "6", [expected]: "6", "Aether-Deleted": "1" };
      assert.deepEqual([position, await fields(position)], [7, tombstone]);
    });

    it("no batch of more than 1,000 messages", async () => {
      const store = await open({ messageSize: 1 });
      await rejects(store.append("order-1", several(1_001)), "BATCH_TOO_LARGE", { messages: 1_001, limit: 1_000 });
      assert.equal(await store.position(), 0);
      assert.equal((await store.append("order-1", several(1_000))).version, 1_000);
      assert.deepEqual(versions(await store.getEvents("order-1")), upTo(1_000));
    });

    it("nothing once the stream is full, and drops nothing", async () => {
      const store = await open({ namespace: "full" });
      const { config } = await server.api("STREAM.INFO.AETHER_full");
      await server.api("STREAM.UPDATE.AETHER_full", { ...config, max_msgs: 3 });
      for (const _ of upTo(3)) await store.append("order-1", several(1));
      await rejects(store.append("order-1", several(1)), "LIMIT_REACHED", { stream: "AETHER_full" });
      const commits = [{ actorId: "order-1", events: several(1) }, { actorId: "order-2", events: several(1) }];
      await rejects(store.transact(commits), "LIMIT_REACHED");
      assert.deepEqual(versions(await store.getEvents("order-1")), [1, 2, 3]);
    });

    it("no byte of a deleted actor: nothing of it is left in the files of the stream", async () => {
      await using own = await raw();
      await using store = await JetStreamEventStore.open(own.nc, { namespace: "erased" });
      for (const round of upTo(5)) {
        await store.append("order-1", upTo(4).map(() => added(`SECRET ${"x".repeat(5_000)}`)));
        await store.append("order-2", [added(`kept ${round}`)]);
      }
      const count = async (text: string): Promise<number> => {
        const entries = await readdir(own.server.storeDirectory, { recursive: true, withFileTypes: true });
        const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
        const contents = await Promise.all(files.map((file) => readFile(file, "latin1")));
        return contents.join("").split(text).length - 1;
      };
      assert.equal(await count("SECRET"), 20);
      await store.deleteActor("order-1");
      assert.deepEqual([await count("SECRET"), await count("kept")], [0, 5]);
    });

    it("a deletion that was broken off, finished by the next call, and reads do not see the rest", async () => {
      const store = await open({ namespace: "broken" });
      await store.append("order-1", upTo(9).map(() => added("x".repeat(9_000)))); // nine messages
      // As a crash would: the tombstone, and the first messages erased.
      const subject = `aether.broken.events.${shardOf("order-1", 64)}.order.order-1`;
      const headers = { "Aether-Version": 9, "Aether-Previous": 9, "Aether-Deleted": 1 };
      await server.publish(subject, "[]", { ...headers, "Nats-Expected-Last-Subject-Sequence": 9 });
      for (const seq of [1, 2, 3, 4]) await server.api("STREAM.MSG.DELETE.AETHER_broken", { seq });
      const fresh = await open({ namespace: "broken" });
      assert.deepEqual(outline(await all(fresh.readActor("order-1"))), ["order-1@9 deleted"]);
      assert.deepEqual(outline(await all(fresh.readAll())), ["order-1@9 deleted"]);
      assert.equal((await fresh.deleteActor("order-1")).position, 10);
      assert.equal((await server.api("STREAM.INFO.AETHER_broken")).state.messages, 1);
    });

    it("behind a checked fence while it is the shard's last, and refuses with FENCED afterwards", async () => {
      const store = await open({ namespace: "fenced" });
      const shard = shardOf("order-1", store.shards);
      const take = async (): Promise<AppendOptions> => {
        const { seq: epoch } = await server.publish(`aether.fenced.fence.${shard}`, "");
        return { fence: { shard, epoch, checked: true } };
      };
      const first = await take();
      await store.append("order-1", several(2), first);
      const second = await take();
      await rejects(store.append("order-1", several(1), first), "FENCED", { shard, epoch: second.fence?.epoch ?? 0 });
      const untouched =
        upTo(500).map((number) => `account-${number}`).find((id) => shardOf(id, store.shards) === shard) ?? "";
      await rejects(store.append(untouched, several(1), first), "FENCED", { shard });
      assert.equal((await store.append("order-1", several(1), second)).version, 3);
      assert.deepEqual(outline(await all(store.readAll())), ["order-1@2 [1,2]", "order-1@3 [3]"]);
      assert.deepEqual(outline(await all(store.readAll({ shards: [shard] }))).length, 2);
      assert.deepEqual((await all(store.listActors())).map(({ actorId }) => actorId), ["order-1"]);
    });

    it("a deletion behind a checked fence, which readAll shows, and a repetition whatever its fence", async () => {
      const store = await open({ namespace: "fenced-deletion" });
      const shard = shardOf("order-1", store.shards);
      const take = async (): Promise<AppendOptions> => {
        const { seq: epoch } = await server.publish(`aether.fenced-deletion.fence.${shard}`, "");
        return { fence: { shard, epoch, checked: true } };
      };
      const first = await take();
      const own = [added(1, { id: "a" })];
      await store.append("order-1", own, { ...first, expectedVersion: 0 });
      const second = await take();
      const fresh = await open({ namespace: "fenced-deletion" });
      assert.equal((await fresh.append("order-1", own, { ...first, expectedVersion: 0 })).duplicate, true);
      for (const at of [store, fresh]) await at.deleteActor("order-1", second);
      assert.deepEqual(outline(await all(fresh.readAll())), ["order-1@1 deleted"]);
      assert.deepEqual(outline(await all(fresh.readActor("order-1"))), ["order-1@1 deleted"]);
    });

    it("appends of small events whole where the server takes only small messages, and lists their actors", async () => {
      await using own = await raw({ maxPayload: 8_192 });
      await using store = await JetStreamEventStore.open(own.nc, { namespace: "small", shards: 1 });
      assert.equal((await store.append("order-1", upTo(20).map(() => added("x".repeat(1_000))))).version, 20);
      await rejects(store.append("order-1", [added("x".repeat(8_192))]), "EVENT_TOO_LARGE", { limit: 8_192 });
      for (const number of upTo(120)) await store.append(`${"long".repeat(25)}-${number}`, several(1));
      assert.equal((await all(store.listActors())).length, 121);
    });
  });

  describe("says", () => {
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
      await server.api("STREAM.MSG.DELETE.AETHER_hole", { seq: 3 });
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
      const { seq } = await server.publish(subject, "hello");
      const facts = { stream: "AETHER_foreign-message", position: seq, subject };
      await rejects(all(store.readAll()), "EVENT_DECODE", facts);
      await rejects(store.getEvents("order-1"), "EVENT_DECODE", facts);
      await rejects(store.append("order-1", several(1)), "EVENT_DECODE", facts);
      assert.deepEqual(await all(store.readAll({ actorTypes: ["account"] })), []);
    });
  });

  it("goes on reading live behind a restart of the server", async () => {
    await using own = await raw();
    await using store = await JetStreamEventStore.open(own.nc, { namespace: "restarted" });
    const seen: number[] = [];
    const caughtUp = Promise.withResolvers<void>();
    const reading = (async () => {
      for await (const { events } of store.readAll({ live: true, onCaughtUp: () => caughtUp.resolve() })) {
        seen.push(...events.map((event: Event) => (event.data as { by: number }).by));
        if (seen.length === 20) return;
      }
    })();
    for (const by of upTo(10)) await store.append("order-1", [added(by)]);
    await caughtUp.promise;
    await own.server.kill();
    await own.server.restart();
    await until(async () => (await store.getLatestVersion("order-1")) === 10);
    for (const by of upTo(20).slice(10)) await store.append("order-1", [added(by)]);
    await reading;
    assert.deepEqual(seen, upTo(20));
  });

  it("knows few actors by heart and is right about all", async () => {
    const store = await open({ cachedActors: 4 });
    const actors = upTo(30).map((number) => `order-${number}`);
    for (const round of upTo(3)) {
      for (const actorId of actors) assert.equal((await store.append(actorId, several(1))).version, round);
    }
  });

  it("leaves the connection open when it is closed, and no consumer behind", async () => {
    const store = await open({ namespace: "left" });
    await store.append("order-1", several(1));
    await all(store.readAll());
    for await (const _ of store.readAll({ live: true })) break;
    await store[Symbol.asyncDispose]();
    assert.equal(server.nc.isClosed(), false);
    assert.equal((await server.api("STREAM.INFO.AETHER_left")).state.consumer_count, 0);
  });
});
