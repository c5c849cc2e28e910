import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  execute,
  forgetActor,
  importEvents,
  InMemoryEventStore,
  JetStreamEventStore,
  KvSnapshotStore,
  load,
  StateCache,
} from "../mod.ts";
import { checkOptionNames, namesOf } from "../options.ts";
import { rejects } from "../testing/event_store/scene.ts";
import { counter } from "./support/counter.ts";

const NAMES = namesOf<{ expectedVersion?: number; retries?: number; observer?: object }>({
  expectedVersion: true,
  retries: true,
  observer: true,
});
const refusal = (options: unknown): unknown => {
  try {
    checkOptionNames("execute", options as object, NAMES);
  } catch (error) {
    return (error as Error).message;
  }
};

describe("options", () => {
  it("are refused by name, and the one that is meant is named", () => {
    assert.equal(refusal({ retries: 1, observer: undefined }), undefined);
    const meant = [
      ["expectVersion", "expectedVersion"],
      ["Retries", "retries"],
      ["retry", undefined],
      [
        "observers",
        "observer",
      ],
      ["obsrever", "observer"],
      ["x", undefined],
    ];
    for (const [name, near] of meant) {
      const help = near === undefined ? "it has expectedVersion, retries, observer" : `did you mean ${near}?`;
      assert.equal(refusal({ [name as string]: 1 }), `${name} is no option of execute: ${help}`);
    }
    assert.throws(
      () => checkOptionNames("campaign", { nam: 1 }, ["namespace", "name"]),
      /did you mean name\?/,
    );
    for (const [value, text] of [[null, "null"], [3, "3"], ["x", 'the string "x"'], [() => 1, "a function"]] as const) {
      assert.equal(refusal(value), `The options of execute are an object, { expectedVersion, … }, not ${text}`);
    }
    assert.equal(refusal(Object.create({ retry: 1 })), undefined);
  });

  it("of deciders, imports, caches and of a store that is made are too", async () => {
    const store = new InMemoryEventStore();
    const wrong = { snapshot: 1 } as object;
    const refuse = (promise: Promise<unknown>, argument: string): Promise<unknown> =>
      rejects(promise, "INVALID_ARGUMENT", { argument });
    await refuse(execute(store, counter, "counter-1", { add: 1 }, wrong), "snapshot");
    await refuse(load(store, counter, "counter-1", wrong), "snapshot");
    await refuse(forgetActor(store, "counter-1", wrong), "snapshot");
    await refuse(importEvents(store, [], { progress: 1 } as object), "progress");
    assert.throws(() => new StateCache({ max: 1 } as object), { code: "INVALID_ARGUMENT", argument: "max" });
    assert.throws(() => new InMemoryEventStore({ names: 1 } as object), {
      code: "INVALID_ARGUMENT",
      argument: "names",
    });
    assert.equal(await store.position(), 0);
    const nc = { request: () => assert.fail("asked") } as never;
    const options = { namespace: "x", replica: 3 } as { namespace: string };
    await refuse(JetStreamEventStore.open(nc, options), "replica");
    await refuse(KvSnapshotStore.open(nc, options), "replica");
  });
});
