import assert from "node:assert/strict";
import { type EventStore, execute, isAetherError, StateCache } from "../../mod.ts";
import { counter, wrapped } from "../support/counter.ts";
import { added, onBothStores } from "./support/both_stores.ts";

onBothStores("a command that comes again", (promises) => {
  promises("a repeated command appends once, and gives what it did the first time", async (store) => {
    const first = await execute(store, counter, "counter-1", { add: 5, times: 2 }, { commandId: "c-1" });
    await execute(store, counter, "counter-1", { add: 7 });
    let decided = false;
    const watched = {
      ...counter,
      decide(): never {
        decided = true;
        throw new Error("decided again");
      },
    };
    const again = await execute(store, watched, "counter-1", { add: 5, times: 2 }, { commandId: "c-1" });
    assert.ok(!decided);
    const { version, position, events } = first;
    assert.deepEqual(again, {
      actorId: "counter-1",
      version,
      position,
      events,
      duplicate: true,
      state: { sum: 17, events: 3 },
      retries: 0,
    });
    assert.equal(events[0]?.metadata?.commandId, "c-1");
    assert.equal(events[1]?.metadata?.commandId, undefined);
  });

  promises("finds a repeated command among what it missed, before it decides again", async (store) => {
    const racing = wrapped(store, {
      async append(...args) {
        await execute(store, counter, "counter-1", { add: 5 }, { commandId: "c-1" }); // the same, elsewhere
        return await store.append(...args);
      },
    });
    const other = { ...counter }; // another process has another queue: here another store does
    const { duplicate, version, retries } = await execute(racing, other, "counter-1", { add: 5 }, { commandId: "c-1" });
    assert.deepEqual([duplicate, version, retries], [true, 1, 1]);
    assert.equal(await store.getLatestVersion("counter-1"), 1);
  });

  promises("64 deliveries of one command append once", async (store) => {
    const stores = Array.from({ length: 4 }, () => wrapped(store, {})); // each with a queue of its own
    const executed = await Promise.all(
      Array.from({ length: 64 }, (_, index) => {
        return execute(stores[index % 4] as EventStore, counter, "counter-1", { add: 1 }, { commandId: "c-1" });
      }),
    );
    assert.equal(executed.filter(({ duplicate }) => !duplicate).length, 1);
    assert.deepEqual(new Set(executed.map(({ version }) => version)), new Set([1]));
    assert.equal((await store.getEvents("counter-1")).length, 1);
  });

  promises("with a cache a repeated command is known too", async (store) => {
    const cache = new StateCache();
    await execute(store, counter, "counter-1", { add: 1 }, { cache, commandId: "c-1" });
    for (let index = 0; index < 99; index++) {
      await execute(store, counter, "counter-1", { add: 1 }, { cache, commandId: `more-${index}` });
    }
    const again = await execute(store, counter, "counter-1", { add: 1 }, { cache, commandId: "c-1" });
    assert.deepEqual([again.duplicate, again.version, again.state.sum], [true, 1, 100]);
  });

  promises("a repeated command gives the state as of now, also from a cache", async (store) => {
    const cache = new StateCache();
    await execute(store, counter, "counter-1", { add: 1 }, { cache, commandId: "c-1" });
    await store.append("counter-1", [added(10)]); // another process
    const { duplicate, version, state } = await execute(store, counter, "counter-1", { add: 1 }, {
      cache,
      commandId: "c-1",
    });
    assert.deepEqual([duplicate, version, state.sum], [true, 1, 11]);
  });

  promises("takes no odd id of an append for a command's", async (store) => {
    await store.append("counter-1", [{ ...added(1), metadata: { commandId: "" } }]);
    const { state, duplicate } = await execute(store, counter, "counter-1", { add: 1 }, { commandId: "c-1" });
    assert.deepEqual([state.sum, duplicate], [2, false]);
    for (const nothing of [[null], [undefined], undefined, null, 7]) {
      const odd = { ...counter, decide: () => nothing as never };
      const wrong = (error: unknown): boolean =>
        isAetherError(error, "INVALID_ARGUMENT") && error.argument === "decide";
      await assert.rejects(execute(store, odd, "counter-1", { add: 1 }), wrong);
    }
  });

  promises("says the command's id where the outcome is unknown", async (store) => {
    const stop = new AbortController();
    const silent = wrapped(store, {
      async append(...args) {
        await store.append(...args);
        const { UnknownOutcomeError } = await import("../../mod.ts");
        throw new UnknownOutcomeError({ actorIds: ["counter-1"], eventIds: ["e-1"] }, { cause: "why" });
      },
    });
    await assert.rejects(
      execute(silent, counter, "counter-1", { add: 1 }, { commandId: "c-1", signal: stop.signal }),
      (error) => isAetherError(error, "UNKNOWN_OUTCOME") && error.commandId === "c-1" && error.cause === "why",
    );
    const { duplicate, state } = await execute(store, counter, "counter-1", { add: 1 }, { commandId: "c-1" });
    assert.deepEqual([duplicate, state.sum], [true, 1]);
  });
});
