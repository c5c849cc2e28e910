import assert from "node:assert/strict";
import { largeState, snapshotOf, type SnapshotPromises } from "./scene.ts";

const HOSTILE_IDS = [
  "a.b",
  "*",
  ">",
  "order.>",
  "order-*",
  " ",
  "a b\t\n",
  "=2E",
  "%2E",
  "$KV.x",
  "../x",
  "-x",
  "-",
  "order",
  "__proto__",
  "constructor",
  "ü€🦀",
  "\u0000",
  "x".repeat(512),
]; // deno-fmt-ignore

/** What is saved is what is given. */
export const keeping: SnapshotPromises = {
  async "a snapshot that was saved is given, every field of it"({ store }) {
    const commands = [{ id: "c-1", version: 2, position: 11 }, { id: "c-2", version: 7, position: 70 }];
    const snapshot = snapshotOf("order-1", 7, { schemaVersion: 3, commands });
    await store.saveSnapshot(snapshot);
    assert.deepEqual(await store.getLatestSnapshot("order-1"), snapshot);
    assert.deepEqual(Object.keys(await store.getLatestSnapshot("order-1") ?? {}).toSorted(), Object.keys(snapshot).toSorted());
    await store.saveSnapshot(snapshotOf("order-2", 1, { commands: [] }));
    assert.deepEqual((await store.getLatestSnapshot("order-2"))?.commands, []);
    await store.saveSnapshot(snapshotOf("order-3", 1));
    assert(!("commands" in (await store.getLatestSnapshot("order-3") ?? {})));
  },

  async "there is none of an actor that has none"({ store }) {
    assert.equal(await store.getLatestSnapshot("order-1"), undefined);
    await store.saveSnapshot(snapshotOf("order-1", 1));
    assert.equal(await store.getLatestSnapshot("order-2"), undefined);
    assert.equal(await store.getLatestSnapshot("order"), undefined);
  },

  async "any JSON is a state and nothing of it changes"({ store }) {
    const proto = JSON.parse('{"__proto__":{"x":1},"constructor":"c","":"empty"}');
    let deep: unknown = 1;
    for (let level = 0; level < 500; level++) deep = [deep];
    const states: unknown[] = [null, true, false, "", "text", 0, -1.5, 1e308, 5e-324, 2 ** 53, [], {}, [[]], [null]];
    states.push("\ud800", "\u0000\u2028\ufeff", "ü€🦀\r\n", { a: { b: [{ c: null }] } }, proto, deep, "\n".repeat(20_000));
    states.push("\ufeff".repeat(10_000));
    for (const [index, state] of states.entries()) {
      await store.saveSnapshot(snapshotOf("order-1", index + 1, { state }));
      const snapshot = await store.getLatestSnapshot("order-1");
      assert.equal(snapshot?.version, index + 1);
      assert.equal(JSON.stringify(snapshot.state), JSON.stringify(state));
    }
    await store.saveSnapshot(snapshotOf("order-1", 99, { state: { gone: undefined, zero: -0, kept: [0] } }));
    assert.deepEqual((await store.getLatestSnapshot("order-1"))?.state, { zero: 0, kept: [0] });
  },

  async "nobody who keeps what was saved, or what was given, can change it"({ store }) {
    const state = { items: [{ count: 1 }] };
    const commands = [{ id: "c-1", version: 1, position: 1 }];
    const saving = store.saveSnapshot(snapshotOf("order-1", 1, { state, commands }));
    state.items[0] = { count: 2 };
    commands.push({ id: "c-2", version: 1, position: 1 });
    await saving;
    for (let round = 0; round < 2; round++) {
      const given = await store.getLatestSnapshot("order-1");
      assert.deepEqual(given?.state, { items: [{ count: 1 }] });
      assert.deepEqual(given.commands, [{ id: "c-1", version: 1, position: 1 }]);
      (given.state as typeof state).items.push({ count: 3 });
      (given.commands as typeof commands).pop();
    }
  },

  async "an id is any text, and ids never meet"({ store }) {
    for (const [index, actorId] of HOSTILE_IDS.entries()) await store.saveSnapshot(snapshotOf(actorId, index + 1));
    for (const [index, actorId] of HOSTILE_IDS.entries()) {
      assert.deepEqual(await store.getLatestSnapshot(actorId), snapshotOf(actorId, index + 1));
    }
    await store.deleteSnapshot("*");
    await store.deleteSnapshot(">");
    const left = await Promise.all(HOSTILE_IDS.map((actorId) => store.getLatestSnapshot(actorId)));
    assert.equal(left.filter((snapshot) => snapshot !== undefined).length, HOSTILE_IDS.length - 2);
  },

  async "a state of 3 MB is given as it was saved"({ store }) {
    const state = largeState(1, 3_000_000);
    await store.saveSnapshot(snapshotOf("order-1", 1, { state }));
    assert.deepEqual((await store.getLatestSnapshot("order-1"))?.state, state);
    await store.saveSnapshot(snapshotOf("order-1", 2));
    assert.deepEqual((await store.getLatestSnapshot("order-1"))?.state, { at: 2 });
    await store.saveSnapshot(snapshotOf("order-1", 3, { state: { repeated: "x".repeat(3_000_000) } }));
    assert.deepEqual((await store.getLatestSnapshot("order-1"))?.state, { repeated: "x".repeat(3_000_000) });
  },

  async "namespaces are walls"({ store, elsewhere }) {
    const other = await elsewhere();
    await store.saveSnapshot(snapshotOf("order-1", 2));
    assert.equal(await other.getLatestSnapshot("order-1"), undefined);
    await other.saveSnapshot(snapshotOf("order-1", 1));
    await store.deleteSnapshot("order-1");
    assert.equal((await other.getLatestSnapshot("order-1"))?.version, 1);
  },
};
