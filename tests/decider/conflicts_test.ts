import assert from "node:assert/strict";
import { execute, isAetherError, load, StateCache } from "../../mod.ts";
import { counter, wrapped } from "../support/counter.ts";
import { added, onBothStores, range } from "./support/both_stores.ts";

onBothStores("commands on what others write", (promises) => {
  promises("decides again on what others wrote meanwhile, and counts how often", async (store) => {
    let lost = 0;
    const racing = wrapped(store, {
      async append(...args) {
        if (lost++ < 2) await store.append("counter-1", [added(10)]);
        return await store.append(...args);
      },
    });
    const { state, version, retries } = await execute(racing, counter, "counter-1", { add: 1 });
    assert.deepEqual([state.sum, version, retries], [21, 3, 2]);
  });

  promises("reads on a conflict only what it missed", async (store) => {
    await store.append("counter-1", Array.from({ length: 50 }, () => added(1)));
    const reads: unknown[] = [];
    let lost = 0;
    const racing = wrapped(store, {
      async append(...args) {
        if (lost++ < 1) await store.append("counter-1", [added(10)]);
        return await store.append(...args);
      },
      async *readActor(actorId, options) {
        let events = 0;
        for await (const commit of store.readActor(actorId, options)) {
          events += commit.events.length;
          yield commit as never;
        }
        reads.push(events);
      },
    });
    assert.equal((await execute(racing, counter, "counter-1", { add: 1 })).state.sum, 61);
    assert.deepEqual(reads, [50, 1]);
  });

  promises("gives up after so many retries, with the conflict", async (store) => {
    const losing = wrapped(store, {
      async append(...args) {
        await store.append("counter-1", [added(1)]);
        return await store.append(...args);
      },
    });
    await assert.rejects(
      execute(losing, counter, "counter-1", { add: 1 }, { retries: 2 }),
      (error) => isAetherError(error, "VERSION_CONFLICT") && error.expectedVersion === 2 && error.actualVersion === 3,
    );
    assert.equal(await store.getLatestVersion("counter-1"), 3);
  });

  promises("lets 64 commands at once on one actor all succeed", async (store) => {
    const executed = await Promise.all(
      Array.from({ length: 64 }, () => execute(store, counter, "counter-1", { add: 1 })),
    );
    assert.deepEqual(executed.map(({ version }) => version).toSorted((a, b) => a - b), range(1, 64));
    for (const { version, state, retries } of executed) assert.deepEqual([state.sum, retries], [version, 0]);
  });

  promises("a queue goes on behind a command that is refused or aborted", async (store) => {
    const stop = new AbortController();
    const results = [
      execute(store, counter, "counter-1", { add: 1 }),
      execute(store, counter, "counter-1", { add: -5 }),
      execute(store, counter, "counter-1", { add: 100 }, { signal: stop.signal }),
      execute(store, counter, "counter-1", { add: 2 }),
    ];
    stop.abort(new Error("stopped"));
    const [first, refused, aborted, last] = await Promise.allSettled(results);
    assert.equal(first?.status, "fulfilled");
    assert.ok(refused?.status === "rejected" && refused.reason instanceof RangeError);
    assert.ok(aborted?.status === "rejected" && aborted.reason.message === "stopped");
    assert.ok(last?.status === "fulfilled" && last.value.state.sum === 3);
  });

  promises("the state behind events that were stored before is that of what is stored", async (store) => {
    // The decider names its events, and decides otherwise the second time.
    const naming = {
      ...counter,
      decide: ({ add }: { add: number }) => ({ eventType: "Added", id: "e-1", data: { by: add } }) as const,
    };
    const cache = new StateCache();
    await execute(store, counter, "counter-1", { add: 1 }, { cache });
    await execute(wrapped(store, {}), naming, "counter-1", { add: 10 });
    await execute(store, naming, "counter-2", { add: 0 }, { cache });
    const racing = wrapped(store, {
      async append(...args) {
        await execute(store, naming, "counter-3", { add: 10 });
        await store.append("counter-3", [added(7)]);
        return await store.append(...args);
      },
    });
    const { duplicate, state, events } = await execute(racing, naming, "counter-3", { add: 500 }, { cache });
    assert.deepEqual([duplicate, state, events[0]?.data], [true, { sum: 17, events: 2 }, { by: 10 }]);
    const again = await execute(racing, counter, "counter-3", { add: 0 }, { cache });
    assert.deepEqual(again.state, (await load(store, counter, "counter-3")).state);
  });

  promises("says after how many retries it gave up", async (store) => {
    const contested = wrapped(store, {
      async append(...args) {
        await store.append("counter-1", [added(1)]);
        return await store.append(...args);
      },
    });
    const executing = execute(contested, counter, "counter-1", { add: 1 }, { retries: 1 });
    await assert.rejects(executing, /is at version 2, not 1, after 1 retry \(the option `retries`\)$/);
  });
});
