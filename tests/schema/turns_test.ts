import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { defineEvents, InMemoryEventStore, type StandardSchema, typed } from "../../mod.ts";
import { rejects } from "../../testing/event_store/scene.ts";

type Validate = StandardSchema["~standard"]["validate"];
const schema = (validate: Validate): StandardSchema<unknown, number> => ({
  "~standard": { version: 1, vendor: "test", validate: validate as never },
});

describe("a typed view whose schemas answer later, or never", () => {
  it("rejects with one error, though several events are wrong: none goes unhandled", async () => {
    const Wrong = defineEvents("x", {
      Late: schema(() => Promise.resolve({ issues: [{ message: "late" }] })),
      Now: schema(() => ({ issues: [{ message: "now" }] })),
    });
    await using store = typed(new InMemoryEventStore(), Wrong);
    await rejects(store.append("x-1", [{ eventType: "Late", data: 1 }, { eventType: "Now", data: 1 }]), "SCHEMA");
    await rejects(store.append("x-1", [{ eventType: "Late", data: 1 }, null as never]), "INVALID_EVENT");
    const requests = [
      { actorId: "x-1", events: [{ eventType: "Late", data: 1 }] },
      { actorId: "y-1", events: [{ eventType: "Late", data: 1 }] },
    ];
    await rejects(store.transact(requests as never), "INVALID_ARGUMENT");
  });

  it("heeds signals while it waits, and what comes behind goes on when it may", async () => {
    const { promise, resolve } = Promise.withResolvers<{ value: number }>();
    const Slow = defineEvents("x", {
      Slow: schema(() => promise),
      Fast: schema((value) => ({ value: value as number })),
    });
    await using store = typed(new InMemoryEventStore(), Slow);
    const stop = new AbortController();
    const first = store.append("x-1", [{ eventType: "Slow", data: 1 }]);
    const aborted = store.append("x-1", [{ eventType: "Slow", data: 1 }], { signal: stop.signal });
    const waiting = store.append("x-1", [{ eventType: "Fast", data: 1 }], { signal: stop.signal });
    const deleting = store.deleteActor("x-1", { signal: stop.signal });
    const last = store.append("x-1", [{ eventType: "Fast", data: 2 }]);
    const elsewhere = await store.append("x-2", [{ eventType: "Fast", data: 1 }]);
    assert.equal(elsewhere.version, 1);
    stop.abort(new Error("stopped"));
    for (const write of [aborted, waiting, deleting]) await assert.rejects(write, /stopped/);
    resolve({ value: 1 });
    assert.deepEqual([(await first).version, (await last).version], [1, 2]);
    assert.deepEqual((await store.getEvents("x-1")).map(({ eventType }) => eventType), ["Slow", "Fast"]);
  });

  it("refuses an upcast that gives a promise, and a schema that changes what it is given", async () => {
    const base = new InMemoryEventStore();
    await base.append("x-1", [{ eventType: "Old", data: 1 }]);
    const Later = defineEvents("x", {
      Old: { schema: schema((value) => ({ value })), schemaVersion: 2, upcast: { 1: () => Promise.resolve(1) } },
    });
    await rejects(typed(base, Later).getEvents("x-1"), "SCHEMA");
    const Counted = defineEvents("x", { Counted: schema((value) => ((value as { n: number }).n++, { value })) });
    await rejects(typed(base, Counted).append("x-2", [{ eventType: "Counted", data: { n: 1 } as never }]), "SCHEMA");
  });
});
