import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { KvSnapshotStore } from "../../mod.ts";
import { rejects, upTo } from "../../testing/event_store/scene.ts";
import { FaultyNetwork } from "../../testing/mod.ts";
import { largeState, snapshotOf } from "../../testing/snapshot_store/scene.ts";
import { type Raw, raw, until } from "../support/jetstream.ts";
import { ON_DENO_ONLY } from "../support/once.ts";
import { occurrences, open, streamOf, subjectOf, subjectsOf, written } from "./support.ts";

const OPTIONS = { compressAbove: Infinity };
/** Fits into a message. */
const small = (text: string): unknown => ({ text });
/** Does not. */
const large = (text: string): unknown => ({ text, ...largeState(1, 2_500_000), last: text });

describe("what is replaced or deleted is in no file of the bucket", () => {
  let server: Raw;
  before(async () => {
    server = await raw();
  });
  after(() => server[Symbol.asyncDispose]());

  for (const [size, state] of [["small", small], ["large", large]] as const) {
    it(`a ${size} state that was replaced, and one that was deleted`, async () => {
      const namespace = `files-${size}`;
      const store = await open(server, namespace, OPTIONS);
      const subject = subjectOf(namespace, "order-1");
      await store.saveSnapshot(snapshotOf("order-1", 1, { state: state("secret-one") }));
      await written(server.server, namespace, "secret-one");
      await store.saveSnapshot(snapshotOf("order-1", 2, { state: state("secret-two") }));
      await written(server.server, namespace, "secret-two");
      assert.equal(await occurrences(server.server, namespace, "secret-one"), 0);
      assert.equal((await subjectsOf(server, namespace))[subject], 1);
      await store.deleteSnapshot("order-1");
      await store.saveSnapshot(snapshotOf("order-2", 1, { state: "behind" }));
      await written(server.server, namespace, "behind");
      assert.equal(await occurrences(server.server, namespace, "secret-two"), 0);
      assert.deepEqual(await subjectsOf(server, namespace), { [subject]: 1, [subjectOf(namespace, "order-2")]: 1 });
    });
  }

  it("also where the server has no room for a marker", async () => {
    const store = await open(server, "full", OPTIONS);
    await store.saveSnapshot(snapshotOf("order-1", 1, { state: small("secret-one") }));
    await written(server.server, "full", "secret-one");
    const { config } = await server.api(`STREAM.INFO.${streamOf("full")}`);
    await server.api(`STREAM.UPDATE.${streamOf("full")}`, { ...config, max_bytes: 400 });
    await rejects(store.saveSnapshot(snapshotOf("order-2", 1)), "LIMIT_REACHED", { stream: streamOf("full") });
    await store.deleteSnapshot("order-1");
    assert.deepEqual(await subjectsOf(server, "full"), {});
    assert.equal(await occurrences(server.server, "full", "secret-one"), 0);
  });

  it("also what another, which crashed before it erased, replaced while this one was looking", async () => {
    const network = await FaultyNetwork.between(server.server.url);
    const nc = await connect({ servers: network.url });
    try {
      const store = await KvSnapshotStore.open(nc, { namespace: "looking", shards: 64, ...OPTIONS });
      const subject = subjectOf("looking", "order-1");
      await store.saveSnapshot(snapshotOf("order-1", 1, { state: small("secret-one") }));
      await written(server.server, "looking", "secret-one");
      const held = network.hold(({ to, subject: of }) => to === "server" && of.includes("DIRECT.GET"), { times: 1 });
      let counts = 0;
      network.hold(({ to, answerTo = "" }) => {
        if (to === "client" && answerTo.includes("STREAM.INFO")) counts++;
        return false;
      });
      const saving = store.saveSnapshot(snapshotOf("order-1", 3, { state: small("next") }));
      await held.met();
      await until(() => counts === 2);
      await server.publish(subject, "crashed");
      held.release();
      await saving;
      await written(server.server, "looking", "next");
      assert.equal(await occurrences(server.server, "looking", "secret-one"), 0);
      assert.deepEqual(await subjectsOf(server, "looking"), { [subject]: 1 });
    } finally {
      await nc.close();
      await network.close();
    }
  });

  // What is left of it is the server's; that messages get lost is tested everywhere.
  describe("after a crash at any message", { skip: ON_DENO_ONLY }, () => {
    /** What is done with a store whose n-th message of some kind, and all behind it, never arrives. */
    async function crash(
      namespace: string,
      count: number,
      work: (store: KvSnapshotStore) => Promise<void>,
    ): Promise<boolean> {
      const network = await FaultyNetwork.between(server.server.url);
      const nc = await connect({ servers: network.url, reconnectTimeWait: 20 });
      try {
        const store = await KvSnapshotStore.open(nc, { namespace, timeout: 300, ...OPTIONS });
        let writes = 0;
        network.swallow(({ to, subject }) => {
          const isWrite = subject.startsWith("$KV.") || subject.startsWith("$JS.API.STREAM.MSG.DELETE.");
          return to === "server" && (isWrite ? ++writes : writes) >= count;
        });
        return await work(store).then(() => true, () => false);
      } finally {
        await nc.close();
        await network.close();
      }
    }

    const cases = [["small", "save"], ["large", "save"], ["small", "deletion"], ["large", "deletion"]] as const;
    for (const [size, next] of cases) {
      it(`of a save of a ${size} state onto another, once a ${next} followed`, async () => {
        const namespace = `crash-${size}-${next}`;
        const state = size === "small" ? small : large;
        const store = await open(server, namespace, OPTIONS);
        for (let count = 1, done = false; !done; count++) {
          assert(count < 20, "it is through before");
          const actorId = `order-${count}-`; // none is the beginning of another
          const subject = subjectOf(namespace, actorId);
          await store.saveSnapshot(snapshotOf(actorId, 1, { state: state("secret-one") }));
          done = await crash(namespace, count, (crashed) => {
            return crashed.saveSnapshot(snapshotOf(actorId, 2, { state: state("secret-two") }));
          });
          const version = (await store.getLatestSnapshot(actorId))?.version;
          assert(version === 1 || version === 2, `${version}`);
          if (next === "save") await store.saveSnapshot(snapshotOf(actorId, 3, { state: small("last") }));
          else await store.deleteSnapshot(actorId);
          const left = Object.entries(await subjectsOf(server, namespace)).filter(([key]) => key.startsWith(subject));
          assert.deepEqual(left, [[subject, 1]]);
        }
        await store.saveSnapshot(snapshotOf("other-1", 1, { state: "behind" }));
        await written(server.server, namespace, "behind");
        for (const secret of ["secret-one", "secret-two"]) {
          assert.equal(await occurrences(server.server, namespace, secret), 0);
        }
      });
    }

    for (const [size, state, writes] of [["small", small, 1], ["large", large, 4]] as const) {
      it(`of a save of a ${size} state: the same save again finishes what is left, and nothing else`, async () => {
        const namespace = `again-${size}`;
        const key = subjectOf(namespace, "order-1");
        const store = await open(server, namespace, OPTIONS);
        await store.saveSnapshot(snapshotOf("order-1", 1, { state: large("secret-one") }));
        const next = snapshotOf("order-1", 2, { state: state("next") });
        assert.equal(await crash(namespace, writes + 1, (crashed) => crashed.saveSnapshot(next)), false);
        assert.equal((await subjectsOf(server, namespace))[key], 2);
        await store.saveSnapshot(next);
        const left = await subjectsOf(server, namespace);
        assert.deepEqual([left[key], Object.keys(left).length], [1, writes]);
        assert.deepEqual(await store.getLatestSnapshot("order-1"), next);
        await written(server.server, namespace, "next");
        assert.equal(await occurrences(server.server, namespace, "secret-one"), 0);
      });
    }

    it("of a save that never had a value, where there was none and where one was deleted", async () => {
      const store = await open(server, "never", OPTIONS);
      const first = snapshotOf("order-1", 1, { state: large("secret-one") });
      for (const _ of upTo(2)) {
        assert.equal(await crash("never", 3, (crashed) => crashed.saveSnapshot(first)), false);
        assert(Object.keys(await subjectsOf(server, "never")).length > 1);
        assert.equal(await store.getLatestSnapshot("order-1"), undefined);
        await store.deleteSnapshot("order-1");
        assert.deepEqual(await subjectsOf(server, "never"), { [subjectOf("never", "order-1")]: 1 });
      }
      await store.saveSnapshot(snapshotOf("order-1", 1, { state: "behind" }));
      await written(server.server, "never", "behind");
      assert.equal(await occurrences(server.server, "never", "secret-one"), 0);
    });

    it("of a deletion, once another followed", async () => {
      const store = await open(server, "deleting", OPTIONS);
      for (const count of upTo(10)) {
        const actorId = `order-${count}`;
        await store.saveSnapshot(snapshotOf(actorId, 1, { state: large("secret-one") }));
        const done = await crash("deleting", count, (crashed) => crashed.deleteSnapshot(actorId));
        if (count > 1) assert.equal(await store.getLatestSnapshot(actorId), undefined);
        await store.deleteSnapshot(actorId);
        const keys = Object.entries(await subjectsOf(server, "deleting"));
        assert.deepEqual(keys.filter(([key]) => key.includes(`.${actorId}`)).map(([, messages]) => messages), [1]);
        if (done) break;
        assert(count < 10, "it is through before");
      }
      await store.saveSnapshot(snapshotOf("other-1", 1, { state: "behind" }));
      await written(server.server, "deleting", "behind");
      assert.equal(await occurrences(server.server, "deleting", "secret-one"), 0);
    });
  });
});
