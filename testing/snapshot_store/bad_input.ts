import assert from "node:assert/strict";
import type { Snapshot } from "../../snapshot/snapshot_store.ts";
import { rejects } from "../event_store/scene.ts";
import { snapshotOf, type SnapshotPromises } from "./scene.ts";

function cycle(): unknown {
  const list: unknown[] = [];
  list.push({ list });
  return list;
}

/** What JSON would lose or change, and the path to it. */
const BAD_STATES: readonly (readonly [state: unknown, path: string])[] = [
  [undefined, "state"],
  [NaN, "state"],
  [{ total: -Infinity }, "state.total"],
  [{ items: [1, 2, undefined] }, "state.items[2]"],
  [{ total: 1n }, "state.total"],
  [{ at: new Date(0) }, "state.at"],
  [{ tags: new Set() }, "state.tags"],
  [[new Uint8Array(2)], "state[0]"],
  [{ items: [{ run: () => 1 }] }, "state.items[0].run"],
  [{ list: cycle() }, "state.list[0].list"],
  [{ "a b": { "x-y": Symbol("x") } }, 'state["a b"]["x-y"]'],
  [{ value: { toJSON: () => 1 } }, "state.value.toJSON"],
];

const BAD_NUMBERS: readonly unknown[] = [0, -1, 1.5, NaN, Infinity, 2 ** 53, "1", null, undefined];

/** Fields that are wrong, and the path. */
const BAD_FIELDS: readonly (readonly [fields: Record<string, unknown>, path: string])[] = [
  [{ timestamp: undefined }, "timestamp"],
  [{ timestamp: "yesterday" }, "timestamp"],
  [{ timestamp: "2026-01-31T12:00:00Z" }, "timestamp"],
  [{ timestamp: "2026-02-31T12:00:00.000Z" }, "timestamp"],
  [{ timestamp: 0 }, "timestamp"],
  [{ commands: null }, "commands"],
  [{ commands: {} }, "commands"],
  [{ commands: [null] }, "commands[0]"],
  [{ commands: new Array(1) }, "commands[0]"],
  [{ commands: [{ id: "", version: 1, position: 1 }] }, "commands[0].id"],
  [{ commands: [{ id: "c", version: 1, position: 1 }, { id: "d", version: 0, position: 1 }] }, "commands[1].version"],
  [{ commands: [{ id: "c", version: 1 }] }, "commands[0].position"],
];

/** What is refused before anything is stored. */
export const badInput: SnapshotPromises = {
  async "a state that JSON cannot carry is an InvalidArgumentError with its path"({ store }) {
    for (const [state, argument] of BAD_STATES) {
      await rejects(store.saveSnapshot(snapshotOf("order-1", 1, { state })), "INVALID_ARGUMENT", { argument });
    }
    assert.equal(await store.getLatestSnapshot("order-1"), undefined);
  },

  async "wrong fields are an InvalidArgumentError that names them"({ store }) {
    const refuse = (fields: Record<string, unknown>, argument: string): Promise<unknown> => {
      const snapshot = { ...snapshotOf("order-1", 1), ...fields } as Snapshot;
      return rejects(store.saveSnapshot(snapshot), "INVALID_ARGUMENT", { argument });
    };
    for (const [fields, argument] of BAD_FIELDS) await refuse(fields, argument);
    for (const field of ["version", "position", "schemaVersion"]) {
      for (const number of BAD_NUMBERS) await refuse({ [field]: number }, field);
    }
    await rejects(store.saveSnapshot(undefined as unknown as Snapshot), "INVALID_ARGUMENT", { argument: "snapshot" });
    for (const number of BAD_NUMBERS.slice(0, -1)) {
      const schemaVersion = number as number;
      const asked = store.getLatestSnapshot("order-1", { schemaVersion });
      await rejects(asked, "INVALID_ARGUMENT", { argument: "schemaVersion" });
    }
    assert.equal(await store.getLatestSnapshot("order-1"), undefined);
  },

  async "wrong actor ids are an InvalidActorIdError"({ store }) {
    for (const bad of ["", "x".repeat(513), "🦀".repeat(50), "\ud800", undefined, 7, null]) {
      const actorId = bad as string;
      await rejects(store.saveSnapshot({ ...snapshotOf("order-1", 1), actorId }), "INVALID_ACTOR_ID");
      await rejects(store.getLatestSnapshot(actorId), "INVALID_ACTOR_ID");
      await rejects(store.deleteSnapshot(actorId), "INVALID_ACTOR_ID");
    }
  },

  async "a signal that was aborted ends every call with its reason, and nothing is changed"({ store }) {
    await store.saveSnapshot(snapshotOf("order-1", 1));
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    const isReason = (error: unknown): boolean => error === reason;
    await assert.rejects(store.saveSnapshot(snapshotOf("order-1", 2), { signal }), isReason);
    await assert.rejects(store.getLatestSnapshot("order-1", { signal }), isReason);
    await assert.rejects(store.deleteSnapshot("order-1", { signal }), isReason);
    assert.deepEqual(await store.getLatestSnapshot("order-1"), snapshotOf("order-1", 1));
  },

  async "a store that can be closed refuses every call then with CLOSED"({ store }) {
    const close = (store as Partial<AsyncDisposable>)[Symbol.asyncDispose];
    if (close === undefined) return;
    await store.saveSnapshot(snapshotOf("order-1", 1));
    await close.call(store);
    await rejects(store.saveSnapshot(snapshotOf("order-1", 2)), "CLOSED");
    await rejects(store.getLatestSnapshot("order-1"), "CLOSED");
    await rejects(store.deleteSnapshot("order-1"), "CLOSED");
    await close.call(store);
  },
};
