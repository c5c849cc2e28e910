import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type AppendOptions, type Event, JetStreamEventStore, shardOf } from "../../mod.ts";
import { added, all, outline, rejects, several, upTo, versions } from "../../testing/event_store/scene.ts";
import { raw, until } from "../support/jetstream.ts";
import { stores } from "../support/stores.ts";

describe("JetStreamEventStore", () => {
  const at = stores();
  const { open } = at;

  describe("stores", () => {
    it("messages with the headers of the format and no others", async () => {
      const store = await open({ namespace: "wire" });
      const fields = async (sequence: number): Promise<Record<string, string>> => {
        const { message: { hdrs } } = await at.server.api("STREAM.MSG.GET.AETHER_wire", { seq: sequence });
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
      const { config } = await at.server.api("STREAM.INFO.AETHER_full");
      await at.server.api("STREAM.UPDATE.AETHER_full", { ...config, max_msgs: 3 });
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
      await at.server.publish(subject, "[]", { ...headers, "Nats-Expected-Last-Subject-Sequence": 9 });
      for (const seq of [1, 2, 3, 4]) await at.server.api("STREAM.MSG.DELETE.AETHER_broken", { seq });
      const fresh = await open({ namespace: "broken" });
      assert.deepEqual(outline(await all(fresh.readActor("order-1"))), ["order-1@9 deleted"]);
      assert.deepEqual(outline(await all(fresh.readAll())), ["order-1@9 deleted"]);
      assert.equal((await fresh.deleteActor("order-1")).position, 10);
      assert.equal((await at.server.api("STREAM.INFO.AETHER_broken")).state.messages, 1);
    });

    it("behind a checked fence while it is the shard's last, and refuses with FENCED afterwards", async () => {
      const store = await open({ namespace: "fenced" });
      const shard = shardOf("order-1", store.shards);
      const take = async (): Promise<AppendOptions> => {
        const { seq: epoch } = await at.server.publish(`aether.fenced.fence.${shard}`, "");
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
        const { seq: epoch } = await at.server.publish(`aether.fenced-deletion.fence.${shard}`, "");
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
    assert.equal(at.server.nc.isClosed(), false);
    assert.equal((await at.server.api("STREAM.INFO.AETHER_left")).state.consumer_count, 0);
  });
});
