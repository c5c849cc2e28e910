import assert from "node:assert/strict";
import { shardOf } from "../../store/shard.ts";
import type { EventStore } from "../../store/event_store.ts";
import type { Fence } from "../../store/fence.ts";
import { added, all, eventOf, outline, type Promises, rejects, several, versions } from "./scene.ts";

/** A fence of the shard of `order-1`, which is not checked. */
function fenceOf({ shards }: EventStore, epoch: number): { readonly fence: Fence } {
  return { fence: { shard: shardOf("order-1", shards), checked: false, epoch } };
}

/** Writes of a shard's owners. */
export const fencing: Promises = {
  async "nobody appends onto a commit of a higher epoch, and who has none hands on the one that is there"({ store }) {
    const fence = (epoch: number): { readonly fence: Fence } => fenceOf(store, epoch);
    const { fence: { shard } } = fence(7);
    await store.append("order-1", several(1), fence(7));
    await store.append("order-1", several(1));
    await rejects(store.append("order-1", several(1), fence(6)), "FENCED", { shard, epoch: 7 });
    await rejects(store.saveEvent(eventOf("order-1", 9), fence(6)), "FENCED", { shard, epoch: 7 });
    await rejects(store.deleteActor("order-1", fence(6)), "FENCED", { shard, epoch: 7 });
    assert.equal((await store.append("order-1", several(1), fence(8))).version, 3);
    await rejects(store.append("order-1", several(1), fence(7)), "FENCED", { shard, epoch: 8 });
    const other = { fence: { shard: (shard + 1) % store.shards, checked: false, epoch: 9 } };
    await rejects(store.append("order-1", several(1), other), "INVALID_ARGUMENT", { argument: "fence" });
    assert.deepEqual(versions(await store.getEvents("order-1")), [1, 2, 3]);
  },

  async "a check by a new owner seals the actor once, and owners before cannot append behind it"({ store, another }) {
    const { fence: { shard } } = fenceOf(store, 7);
    const other = await another();
    await other.append("order-1", several(2), fenceOf(store, 6));
    const check = (expectedVersion: number | "exists", epoch = 7): Promise<unknown> =>
      store.append("order-1", [], { expectedVersion, ...fenceOf(store, epoch) });
    await rejects(check(1), "VERSION_CONFLICT", { expectedVersion: 1, actualVersion: 2 });
    await rejects(check(2, 5), "FENCED", { shard, epoch: 6 });
    assert.equal(await store.position(), 1);
    const sealed = { actorId: "order-1", version: 2, position: 2, events: [], duplicate: false };
    assert.deepEqual(await check(2), sealed);
    assert.deepEqual(await check(2), sealed);
    assert.deepEqual(await check("exists"), sealed);
    assert.equal(await store.position(), 2);
    await rejects(other.append("order-1", several(1), fenceOf(store, 6)), "FENCED", { shard, epoch: 7 });
    await rejects(check(2, 6), "FENCED", { shard, epoch: 7 });
    await store.append("order-1", several(1), fenceOf(store, 7));
    assert.equal((await check(3) as { position: number }).position, 3);
    assert.deepEqual(versions(await other.getEvents("order-1")), [1, 2, 3]);
  },

  async "no reader is given a seal, nor does one count among the last commits"({ store }) {
    await store.append("order-1", several(2));
    const seal = await store.append("order-1", [], { expectedVersion: 2, ...fenceOf(store, 7) });
    await store.append("order-1", several(1));
    for (const epoch of [8, 9]) await store.append("order-1", [], { expectedVersion: 3, ...fenceOf(store, epoch) });
    const commits = ["order-1@2 [1,2]", "order-1@3 [3]"];
    const outlined = async (options: object): Promise<string[]> =>
      outline(await all(store.readActor("order-1", options)));
    assert.deepEqual(outline(await all(store.readAll())), commits);
    assert.deepEqual(await outlined({}), commits);
    assert.deepEqual(await outlined({ lastCommits: 2 }), commits);
    assert.deepEqual(await outlined({ lastCommits: 1 }), commits.slice(1));
    assert.deepEqual(await outlined({ last: 2 }), ["order-1@2 [2]", "order-1@3 [3]"]);
    assert.deepEqual(await outlined({ from: seal }), commits.slice(1));
    assert.deepEqual(await outlined({ from: { position: 1, version: 2 } }), commits.slice(1));
    assert.deepEqual(await outlined({ fromVersion: 3 }), commits.slice(1));
    assert.equal(await store.getLatestVersion("order-1"), 3);
    assert.deepEqual(await all(store.listActors()), [{ actorId: "order-1", version: 3 }]);
    const { version, deleted } = await store.deleteActor("order-1", { expectedVersion: 3 });
    assert.deepEqual([version, deleted], [3, true]);
    assert.deepEqual(outline(await all(store.readAll())), ["order-1@3 deleted"]);
    await rejects(store.append("order-1", [], { expectedVersion: 3, ...fenceOf(store, 10) }), "ACTOR_DELETED");
  },

  async "an actor without events can be sealed, and still has none"({ store }) {
    const { fence: { shard } } = fenceOf(store, 7);
    await rejects(store.append("order-1", [], { expectedVersion: "exists", ...fenceOf(store, 7) }), "VERSION_CONFLICT");
    const { version, position } = await store.append("order-1", [], { expectedVersion: 0, ...fenceOf(store, 7) });
    assert.deepEqual([version, position], [0, 1]);
    await rejects(store.append("order-1", several(1), { expectedVersion: "exists" }), "VERSION_CONFLICT");
    await rejects(store.append("order-1", several(1), fenceOf(store, 6)), "FENCED", { shard, epoch: 7 });
    assert.equal(await store.getLatestVersion("order-1"), 0);
    assert.deepEqual(await store.getEvents("order-1"), []);
    assert.deepEqual(await all(store.readActor("order-1")), []);
    assert.deepEqual(await all(store.listActors()), []);
    assert.deepEqual(await all(store.readAll()), []);
    assert.deepEqual(await store.deleteActor("order-1"), { actorId: "order-1", version: 0, position: 0, events: [] });
    const first = [added(1, { id: "a" })];
    assert.equal((await store.append("order-1", first, { expectedVersion: 0 })).version, 1);
    await store.append("order-1", several(1));
    assert.equal((await store.append("order-1", first, { expectedVersion: 0 })).duplicate, true);
    assert.deepEqual(outline(await all(store.readActor("order-1"))), ["order-1@1 [1]", "order-1@2 [2]"]);
  },
};
