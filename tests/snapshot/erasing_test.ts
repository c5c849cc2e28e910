import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { KvSnapshotStore } from "../../mod.ts";
import { rejects, upTo } from "../../testing/event_store/scene.ts";
import { FaultyNetwork } from "../../testing/mod.ts";
import { largeState, snapshotOf } from "../../testing/snapshot_store/scene.ts";
import { type Raw, raw } from "../support/jetstream.ts";
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

  describe("after a crash at any message", () => {
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

    /** A save, and what is left once another has followed it. */
    for (const [next, finish] of [["save", "save"], ["deletion", "delete"]] as const) {
      it(`of a save of a large state onto a large one, once a ${next} followed`, async () => {
        const namespace = `crash-${finish}`;
        const store = await open(server, namespace, OPTIONS);
        for (const count of upTo(20)) {
          const actorId = `order-${count}`;
          const subject = subjectOf(namespace, actorId);
          await store.saveSnapshot(snapshotOf(actorId, 1, { state: large("secret-one") }));
          const secret = (version: number): unknown => large(`secret-${version}`);
          const done = await crash(namespace, count, (crashed) => {
            return crashed.saveSnapshot(snapshotOf(actorId, 2, { state: secret(2) }));
          });
          const version = (await store.getLatestSnapshot(actorId))?.version;
          assert(version === 1 || version === 2, `${version}`);
          if (finish === "save") await store.saveSnapshot(snapshotOf(actorId, 3, { state: small("last") }));
          else await store.deleteSnapshot(actorId);
          const left = Object.entries(await subjectsOf(server, namespace)).filter(([key]) => key.startsWith(subject));
          assert.deepEqual(left.filter(([key]) => key === subject || key.startsWith(`${subject}.`)), [[subject, 1]]);
          if (done) break;
          assert(count < 20, "it is through before");
        }
        await store.saveSnapshot(snapshotOf("other-1", 1, { state: "behind" }));
        await written(server.server, namespace, "behind");
        for (const secret of ["secret-one", "secret-2"]) {
          assert.equal(await occurrences(server.server, namespace, secret), 0);
        }
      });
    }

    it("of a save of a small state: the same save again finishes what is left", async () => {
      const store = await open(server, "again", OPTIONS);
      await store.saveSnapshot(snapshotOf("order-1", 1, { state: large("secret-one") }));
      const next = snapshotOf("order-1", 2, { state: small("next") });
      assert.equal(await crash("again", 2, (crashed) => crashed.saveSnapshot(next)), false);
      assert.equal((await subjectsOf(server, "again"))[subjectOf("again", "order-1")], 2);
      await store.saveSnapshot(next);
      assert.deepEqual(await subjectsOf(server, "again"), { [subjectOf("again", "order-1")]: 1 });
      await written(server.server, "again", "next");
      assert.equal(await occurrences(server.server, "again", "secret-one"), 0);
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
