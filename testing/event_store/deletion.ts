import assert from "node:assert/strict";
import { added, all, eventOf, outline, type Promises, rejects, several, upTo } from "./scene.ts";

/** `deleteActor`. */
export const deletion: Promises = {
  async "a deleted actor keeps its version and has no events"({ store, another }) {
    await store.append("order-1", several(3));
    await store.append("order-1", several(2));
    await store.append("order-2", several(1));
    const gone = await store.deleteActor("order-1");
    const { actorId, version, events, deleted } = gone;
    assert.deepEqual({ actorId, version, events, deleted }, {
      actorId: "order-1",
      version: 5,
      events: [],
      deleted: true,
    });
    for (const at of [store, await another()]) {
      assert.deepEqual(await at.getEvents("order-1"), []);
      assert.equal(await at.getLatestVersion("order-1"), 5);
      const [tombstone, ...rest] = await all(at.readActor("order-1", { fromVersion: 2 }));
      assert.deepEqual({ ...tombstone, storedAt: undefined }, { ...gone, storedAt: undefined });
      assert.deepEqual(rest, []);
      assert.equal((await at.getEvents("order-2")).length, 1);
    }
  },

  async "every write to a deleted actor is an ActorDeletedError, whatever it expects"({ store, another }) {
    const own = [added(1, { id: "a" })];
    await store.append("order-1", own, { expectedVersion: 0 });
    await store.deleteActor("order-1");
    const facts = { actorId: "order-1", deletedAtVersion: 1 };
    for (const at of [store, await another()]) {
      for (const expectedVersion of [0, 1, 2, "any", "exists"] as const) {
        await rejects(at.append("order-1", several(1), { expectedVersion }), "ACTOR_DELETED", facts);
        const commits = [{ actorId: "order-2", events: several(1) }, {
          actorId: "order-1",
          events: several(1),
          expectedVersion,
        }];
        await rejects(at.transact(commits), "ACTOR_DELETED", facts);
      }
      await rejects(at.append("order-1", own, { expectedVersion: 0 }), "ACTOR_DELETED", facts);
      await rejects(at.append("order-1", [], { expectedVersion: 1 }), "ACTOR_DELETED", facts);
      await rejects(at.saveEvent(eventOf("order-1", 9)), "ACTOR_DELETED", facts);
    }
    assert.equal(await store.getLatestVersion("order-2"), 0);
  },

  async "deleting twice resolves with the same tombstone, and of nobody nothing is written"({ store, another }) {
    await store.append("order-1", several(2));
    const gone = await store.deleteActor("order-1", { expectedVersion: 2 });
    assert.deepEqual(await store.deleteActor("order-1", { expectedVersion: 2 }), gone);
    assert.deepEqual(await (await another()).deleteActor("order-1"), gone);
    assert.deepEqual(await store.deleteActor("order-9"), { actorId: "order-9", version: 0, position: 0, events: [] });
    assert.equal(await store.position(), gone.position);
  },

  async "deleting takes an expectation"({ store }) {
    await store.append("order-1", several(2));
    const conflict = { actorId: "order-1", expectedVersion: 1, actualVersion: 2 };
    await rejects(store.deleteActor("order-1", { expectedVersion: 1 }), "VERSION_CONFLICT", conflict);
    const nobody = { actorId: "order-9", actualVersion: 0 };
    await rejects(store.deleteActor("order-9", { expectedVersion: "exists" }), "VERSION_CONFLICT", nobody);
    await rejects(store.deleteActor("order-9", { expectedVersion: 3 }), "VERSION_CONFLICT", nobody);
    assert.equal((await store.getEvents("order-1")).length, 2);
    await store.deleteActor("order-1", { expectedVersion: "exists" });
  },

  async "readAll shows a deletion in place of the history, whatever event types are asked for"({ store }) {
    await store.append("order-1", several(2));
    await store.append("order-2", several(1));
    await store.deleteActor("order-1");
    assert.deepEqual(outline(await all(store.readAll())), ["order-2@1 [1]", "order-1@2 deleted"]);
    assert.deepEqual(outline(await all(store.readAll({ eventTypes: ["Other"] }))), ["order-1@2 deleted"]);
    assert.deepEqual(outline(await all(store.readAll({ actorId: "order-1" }))), ["order-1@2 deleted"]);
    assert.deepEqual(await all(store.readAll({ actorTypes: ["account"] })), []);
  },

  async "a live reader sees a deletion"({ store }) {
    await store.append("order-1", several(2));
    const seen: string[] = [];
    for await (const commit of store.readAll({ live: true })) {
      seen.push(...outline([commit]));
      if (commit.deleted) break;
      await store.deleteActor("order-1");
    }
    assert.deepEqual(seen, ["order-1@2 [1,2]", "order-1@2 deleted"]);
  },

  async "a reader that a deletion overtakes ends with the tombstone, never with a part of the history"(
    { store, another },
  ) {
    const other = await another();
    const append = (): Promise<unknown> => store.append("order-1", [added("x".repeat(20_000))]);
    for (const _ of upTo(30)) await Promise.all(upTo(10).map(append)); // too much to hold at once
    const seen: string[] = [];
    for await (const commit of store.readActor("order-1")) {
      seen.push(...outline([commit]));
      if (seen.length === 10) await other.deleteActor("order-1");
    }
    assert.equal(seen.at(-1), "order-1@300 deleted");
    const before = seen.slice(0, -1);
    assert.deepEqual(before, upTo(before.length).map((version) => `order-1@${version} [${version}]`));
    assert.deepEqual(await store.getEvents("order-1"), []);
  },

  async "large commits are deleted whole"({ store }) {
    await store.append("order-1", upTo(20).map(() => added("x".repeat(4_000))));
    await store.append("order-2", several(1));
    const gone = await store.deleteActor("order-1");
    assert.deepEqual(outline(await all(store.readAll())), ["order-2@1 [1]", "order-1@20 deleted"]);
    assert.equal(await store.position(), gone.position);
  },
};
