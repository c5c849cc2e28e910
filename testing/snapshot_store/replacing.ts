import assert from "node:assert/strict";
import type { Snapshot, SnapshotStore } from "../../snapshot/snapshot_store.ts";
import { assertWhole, largeState, snapshotOf, type SnapshotPromises } from "./scene.ts";

/** Of a state that no message can hold. */
const SIZE = 3_000_000;

/** Which of two snapshots stays. */
export const replacing: SnapshotPromises = {
  async "a later version replaces an earlier one, whatever its shape"({ store }) {
    await store.saveSnapshot(snapshotOf("order-1", 1, { schemaVersion: 5 }));
    await store.saveSnapshot(snapshotOf("order-1", 2, { schemaVersion: 1 }));
    assert.deepEqual(await store.getLatestSnapshot("order-1"), snapshotOf("order-1", 2));
  },

  async "an earlier version never replaces a later one, and is no error"({ store }) {
    await store.saveSnapshot(snapshotOf("order-1", 5));
    await store.saveSnapshot(snapshotOf("order-1", 4, { schemaVersion: 9, state: "earlier" }));
    assert.deepEqual(await store.getLatestSnapshot("order-1"), snapshotOf("order-1", 5));
  },

  async "at one version a greater schemaVersion replaces; an equal or a smaller one changes nothing"({ store }) {
    await store.saveSnapshot(snapshotOf("order-1", 5, { schemaVersion: 2 }));
    await store.saveSnapshot(snapshotOf("order-1", 5, { schemaVersion: 2, state: "equal" }));
    await store.saveSnapshot(snapshotOf("order-1", 5, { schemaVersion: 1, state: "smaller" }));
    assert.deepEqual(await store.getLatestSnapshot("order-1"), snapshotOf("order-1", 5, { schemaVersion: 2 }));
    await store.saveSnapshot(snapshotOf("order-1", 5, { schemaVersion: 3, state: "greater" }));
    assert.equal((await store.getLatestSnapshot("order-1"))?.state, "greater");
  },

  async "who asks for a shape gets that shape or none, and it stays for others"({ store }) {
    const snapshot = snapshotOf("order-1", 5, { schemaVersion: 2 });
    await store.saveSnapshot(snapshot);
    for (const schemaVersion of [1, 3]) {
      assert.equal(await store.getLatestSnapshot("order-1", { schemaVersion }), undefined);
    }
    assert.deepEqual(await store.getLatestSnapshot("order-1", { schemaVersion: 2 }), snapshot);
    assert.deepEqual(await store.getLatestSnapshot("order-1"), snapshot);
  },

  async "a deleted snapshot is gone, and deleting one that is not there is no error"({ store }) {
    await store.deleteSnapshot("order-1");
    await store.saveSnapshot(snapshotOf("order-1", 1));
    await store.saveSnapshot(snapshotOf("order-2", 1));
    await store.deleteSnapshot("order-1");
    assert.equal(await store.getLatestSnapshot("order-1"), undefined);
    await store.deleteSnapshot("order-1");
    assert.equal((await store.getLatestSnapshot("order-2"))?.version, 1);
  },

  async "after a deletion a lower version can be saved"({ store }) {
    await store.saveSnapshot(snapshotOf("order-1", 9));
    await store.deleteSnapshot("order-1");
    for (const version of [3, 4]) {
      await store.saveSnapshot(snapshotOf("order-1", version));
      assert.equal((await store.getLatestSnapshot("order-1"))?.version, version);
    }
    await store.deleteSnapshot("order-1");
    assert.equal(await store.getLatestSnapshot("order-1"), undefined);
  },

  async "of 50 that are saved at once the highest stays"({ store, another }) {
    const stores: SnapshotStore[] = [store, await another(), await another()];
    const versions = Array.from({ length: 50 }, (_, index) => (index * 17) % 50 + 1);
    await Promise.all(versions.map((version, index) => {
      return stores[index % stores.length]?.saveSnapshot(snapshotOf("order-1", version));
    }));
    await store.saveSnapshot(snapshotOf("order-1", 1)); // by which it sees what others have saved
    assert.deepEqual(await store.getLatestSnapshot("order-1"), snapshotOf("order-1", 50));
  },

  async "who reads while large states are saved gets one of them whole, or none"({ store, another }) {
    const stores: SnapshotStore[] = [store, await another()];
    let saved = false;
    const given: Snapshot[] = [];
    const read = async (reader: SnapshotStore): Promise<void> => {
      while (!saved) {
        const snapshot = await reader.getLatestSnapshot("order-1");
        if (snapshot !== undefined) given.push(snapshot);
        await new Promise((resolve) => setTimeout(resolve, 0)); // a store in memory never waits for anything else
      }
    };
    const readers = stores.map(read);
    const versions = [1, 2, 3, 4, 5, 6];
    await Promise.all(versions.map((version, index) => {
      const state = largeState(version, SIZE);
      return stores[index % stores.length]?.saveSnapshot(snapshotOf("order-1", version, { state }));
    }));
    await store.saveSnapshot(snapshotOf("order-1", 1));
    const last = await store.getLatestSnapshot("order-1");
    saved = true;
    await Promise.all(readers);
    assert.equal(last?.version, 6);
    for (const snapshot of [last, ...new Set(given)]) assertWhole(snapshot, SIZE);
  },
};
