import assert from "node:assert/strict";
import { it } from "node:test";
import {
  defineDecider,
  type Event,
  execute,
  type ExecuteOptions,
  type Fence,
  forgetActor,
  isAetherError,
  load,
  replay,
  shardOf,
  StateCache,
} from "../../mod.ts";
import { rejects } from "../../testing/event_store/scene.ts";
import { counter, type CounterEvent, wrapped } from "../support/counter.ts";
import { added, counting, onBothStores, range } from "./support/both_stores.ts";

const isFenced = (error: unknown): boolean => isAetherError(error, "FENCED");

it("defineDecider refuses what is no decider, and policies of snapshots that make no sense", () => {
  const refused = (decider: object, argument: string): void =>
    assert.throws(() => defineDecider(decider as typeof counter), { code: "INVALID_ARGUMENT", argument });
  refused({}, "decider");
  refused({ ...counter, decide: undefined }, "decider");
  const policies: [snapshot: object, argument: string][] = [
    [{}, "snapshot.schemaVersion"],
    [{ every: 1 }, "snapshot.schemaVersion"],
    [{ schemaVersion: 1, evry: 1 }, "evry"],
    [{ schemaVersion: 1, every: 0 }, "snapshot.every"],
    [{ schemaVersion: 1, after: "1" }, "snapshot.after"],
    [{ schemaVersion: 1, slowerThan: NaN }, "snapshot.slowerThan"],
    [{ schemaVersion: 1, when: true }, "snapshot.when"],
  ];
  for (const [snapshot, argument] of policies) refused({ ...counter, snapshot }, argument);
  assert.ok(defineDecider({ ...counter, snapshot: { schemaVersion: 1, every: 100, after: undefined } }));
});

onBothStores("execute", (promises) => {
  promises("decides on the state of all events, and gives the new one", async (store) => {
    await execute(store, counter, "counter-1", { add: 2 });
    const executed = await execute(store, counter, "counter-1", { add: 3, times: 2 });
    const { state, version, events, retries, duplicate, actorId, position } = executed;
    assert.deepEqual(state, { sum: 8, events: 3 });
    assert.deepEqual({ version, retries, duplicate, actorId }, {
      version: 3,
      retries: 0,
      duplicate: false,
      actorId: "counter-1",
    });
    assert.equal(position, await store.position());
    assert.deepEqual(events, await store.getEvents("counter-1", 2));
    assert.deepEqual(replay(counter, await store.getEvents("counter-1") as CounterEvent[]), state);
  });

  promises(
    "with a fence reads nothing that does not reach it, cold, from a cache and after a conflict",
    async (store) => {
      await store.append("counter-1", [added(1)]);
      const { position: epoch } = await store.append("counter-2", [added(1)]);
      const fence = { shard: shardOf("counter-1", store.shards), epoch, checked: false };
      const floors: unknown[] = [];
      const watched = wrapped(store, {
        readActor(actorId, options) {
          floors.push(options?.atLeast);
          return store.readActor(actorId, options);
        },
      });
      const cache = new StateCache();
      await execute(watched, counter, "counter-1", { add: 2 }, { fence, cache });
      await store.append("counter-1", [added(1)]);
      await execute(watched, counter, "counter-1", { add: 2 }, { fence, cache });
      assert.deepEqual(floors, [epoch, epoch]);
    },
  );

  promises("with a fence answers what stores nothing behind a seal, once per owner", async (store) => {
    const shard = shardOf("counter-1", store.shards);
    const fence = (epoch: number): Fence => ({ shard, epoch, checked: false });
    for (let count = 0; count < 9; count++) await store.append("other-1", [added(1)]);
    const cache = new StateCache();
    const refused = (more: ExecuteOptions): Promise<unknown> =>
      assert.rejects(execute(store, counter, "counter-1", { add: -9 }, more), RangeError);
    await refused({ fence: fence(5) });
    assert.equal(await store.position(), 10);
    await assert.rejects(execute(store, counter, "counter-1", { add: 1 }, { fence: fence(4) }), isFenced);
    await assert.rejects(execute(store, counter, "counter-1", { add: -1 }, { fence: fence(4) }), isFenced);
    await execute(store, counter, "counter-1", { add: 0 }, { fence: fence(5) });
    await execute(store, counter, "counter-1", { add: 1 }, { fence: fence(5), cache });
    await refused({ fence: fence(5), cache });
    assert.equal(await store.position(), 11);
    // What was kept is behind: the check tells, and what was missed decides.
    await store.append("counter-1", [added(2)]);
    assert.equal((await execute(store, counter, "counter-1", { add: 0 }, { fence: fence(6), cache })).state.sum, 3);
    assert.equal(await store.position(), 13);
    // Once sealed it asks nobody but for what is new.
    const appends = counting(store);
    await execute(appends.store, counter, "counter-1", { add: 0 }, { fence: fence(6), cache });
    await execute(appends.store, counter, "counter-1", { add: 0 }, { fence: fence(6), cache });
    assert.equal(appends.count(), 1); // another view of the store knew nothing
    assert.equal(await store.position(), 13);
  });

  promises(
    "with a fence a refusal is not answered where the owner before was faster: it decides again",
    async (store) => {
      const { position: epoch } = await store.append("counter-1", [added(1)]);
      const before = { fence: { shard: shardOf("counter-1", store.shards), epoch, checked: false } };
      await store.append("other-1", [added(1)]);
      let races = 0;
      const raced = wrapped(store, {
        async append(actorId, events, options) {
          if (races++ === 0) await store.append("counter-1", [added(1)], before);
          return await store.append(actorId, events, options) as never;
        },
      });
      const after = { fence: { ...before.fence, epoch: epoch + 1 } };
      const { state, retries } = await execute(raced, counter, "counter-1", { add: -2 }, after);
      assert.deepEqual([state.sum, retries], [0, 1]);
      races = -9;
      await assert.rejects(execute(raced, counter, "counter-1", { add: -2 }, after), RangeError);
    },
  );

  promises("writes nothing where nothing is decided, and says where the actor stands", async (store) => {
    assert.deepEqual(await execute(store, counter, "counter-1", { add: 0 }), {
      actorId: "counter-1",
      version: 0,
      position: 0,
      events: [],
      duplicate: false,
      state: { sum: 0, events: 0 },
      retries: 0,
    });
    const { version, position } = await execute(store, counter, "counter-1", { add: 1 });
    const nothing = await execute(store, counter, "counter-1", { add: 0 });
    assert.deepEqual([nothing.version, nothing.position, nothing.events], [version, position, []]);
    assert.equal(await store.position(), position);
  });

  promises("passes on what decide throws, the very same error", async (store) => {
    const refusal = new RangeError("no");
    const refusing = {
      ...counter,
      decide(): never {
        throw refusal;
      },
    };
    await assert.rejects(execute(store, refusing, "counter-1", { add: 1 }), (error) => error === refusal);
    assert.equal(await store.getLatestVersion("counter-1"), 0);
  });

  promises("stores nothing that evolve cannot take, and says where it was", async (store) => {
    await execute(store, counter, "counter-1", { add: 1 });
    const cause = new Error("cannot");
    const broken = {
      ...counter,
      evolve(state: { sum: number; events: number }, event: CounterEvent) {
        if (event.version === 2) throw cause;
        return counter.evolve(state, event);
      },
    };
    const fails = (error: unknown): boolean =>
      isAetherError(error, "REPLAY") && error.actorId === "counter-1" && error.version === 2 &&
      error.eventType === "Added" && error.cause === cause;
    await assert.rejects(execute(store, broken, "counter-1", { add: 1 }), fails);
    assert.equal(await store.getLatestVersion("counter-1"), 1);
    await execute(store, counter, "counter-1", { add: 1 });
    await assert.rejects(load(store, broken, "counter-1"), fails);
  });

  promises(
    "with a cache a command on a known actor reads nothing, and is right when the state is old",
    async (store) => {
      let reads = 0;
      const counted = wrapped(store, {
        readActor(...args) {
          reads++;
          return store.readActor(...args) as never;
        },
      });
      const cache = new StateCache({ size: 2 });
      await execute(counted, counter, "counter-1", { add: 1 }, { cache });
      await execute(counted, counter, "counter-1", { add: 1 }, { cache });
      assert.equal(reads, 1);
      await store.append("counter-1", [added(10)]); // another process
      const { state, retries } = await execute(counted, counter, "counter-1", { add: 1 }, { cache });
      assert.deepEqual([state.sum, retries, reads], [13, 1, 2]);
      // An old state decides nothing, and refuses nothing.
      await store.append("counter-1", [added(10)]);
      assert.equal((await execute(counted, counter, "counter-1", { add: 0 }, { cache })).state.sum, 23);
      await store.append("counter-1", [added(10)]);
      assert.equal((await execute(counted, counter, "counter-1", { add: -33 }, { cache })).state.sum, 0);
      await assert.rejects(execute(counted, counter, "counter-1", { add: -1 }, { cache }), RangeError);
      const before = reads;
      await execute(counted, counter, "counter-1", { add: 1 }, { cache }); // a refusal forgets nothing
      assert.equal(reads, before);
      await execute(counted, counter, "counter-2", { add: 1 }, { cache });
      await execute(counted, counter, "counter-3", { add: 1 }, { cache });
      assert.equal(cache.size, 2);
      await execute(counted, counter, "counter-1", { add: 1 }, { cache }); // was pushed out
      assert.equal(reads, before + 3);
    },
  );

  promises("refuses a deleted actor, whatever was known of it", async (store) => {
    const cache = new StateCache();
    await execute(store, counter, "counter-1", { add: 1 }, { cache });
    await store.deleteActor("counter-1");
    const deleted = (error: unknown): boolean => isAetherError(error, "ACTOR_DELETED") && error.deletedAtVersion === 1;
    await assert.rejects(execute(store, counter, "counter-1", { add: 1 }, { cache }), deleted);
    assert.equal(cache.size, 0);
    await assert.rejects(execute(store, counter, "counter-1", { add: 1 }), deleted);
    const { version, state } = await load(store, counter, "counter-1");
    assert.deepEqual([version, state], [1, { sum: 0, events: 0 }]);
  });

  promises("forgets an actor and what a cache holds of it; twice is once", async (store) => {
    const cache = new StateCache();
    await execute(store, counter, "counter-1", { add: 1 }, { cache });
    await execute(store, counter, "counter-11", { add: 1 }, { cache });
    await forgetActor(store, "counter-1", { cache });
    await forgetActor(store, "counter-1", { cache });
    assert.equal(cache.size, 1);
    assert.deepEqual(await store.getEvents("counter-1"), []);
  });

  promises("merges metadata under that of the events", async (store) => {
    const decider = {
      ...counter,
      decide: () =>
        ({ eventType: "Added", data: { by: 1 }, metadata: { source: "decider", correlationId: "own" } }) as const,
    };
    const metadata = { correlationId: "shared", causationId: "cause" };
    await execute(store, decider, "counter-1", { add: 1 }, { metadata, commandId: "c-1" });
    const [event] = await store.getEvents("counter-1");
    assert.deepEqual(event?.metadata, {
      correlationId: "own",
      causationId: "cause",
      source: "decider",
      commandId: "c-1",
    });
  });

  promises("takes no promise for a decision or a state, and no nonsense for an option", async (store) => {
    const promised = { ...counter, decide: () => Promise.resolve([]) as never };
    const argument = (name: string) => (error: unknown): boolean =>
      isAetherError(error, "INVALID_ARGUMENT") && error.argument === name;
    await assert.rejects(execute(store, promised, "counter-1", { add: 1 }), argument("decide"));
    const evolving = { ...counter, evolve: () => Promise.resolve() as never };
    await assert.rejects(execute(store, evolving, "counter-1", { add: 1 }), argument("evolve"));
    // What such a promise rejects with would end the process.
    const no = (): never => Promise.reject(new RangeError("no")) as never;
    await assert.rejects(execute(store, { ...counter, decide: no }, "counter-1", { add: 1 }), argument("decide"));
    await assert.rejects(execute(store, { ...counter, evolve: no }, "counter-1", { add: 1 }), argument("evolve"));
    await assert.rejects(
      execute(store, { ...counter, initialState: no }, "counter-1", { add: 1 }),
      argument("initialState"),
    );
    await assert.rejects(execute(store, counter, "counter-1", { add: 1 }, { retries: -1 }), argument("retries"));
    await assert.rejects(execute(store, counter, "counter-1", { add: 1 }, { commandId: "" }), argument("commandId"));
    await assert.rejects(
      execute(store, counter, "" as never, { add: 1 }),
      (error) => isAetherError(error, "INVALID_ACTOR_ID"),
    );
    const invalid = { ...counter, decide: () => ({ eventType: "Added", data: { by: NaN } }) as const };
    await assert.rejects(
      execute(store, invalid, "counter-1", { add: 1 }),
      (error) => isAetherError(error, "INVALID_EVENT") && error.path === "data.by",
    );
    assert.equal(await store.position(), 0);
  });

  promises(
    "a cache that was told to forget an actor does not learn of it from a command that was under way",
    async (store) => {
      await store.append("counter-1", [added(1)]);
      const cache = new StateCache();
      const { promise: held, resolve: release } = Promise.withResolvers<void>();
      const { promise: reading, resolve: begun } = Promise.withResolvers<void>();
      const slow = wrapped(store, {
        async *readActor(actorId, options) {
          yield* store.readActor(actorId, options) as AsyncIterable<never>;
          begun();
          await held;
        },
      });
      const executing = execute(slow, counter, "counter-1", { add: 0 }, { cache });
      await reading;
      await forgetActor(store, "counter-1", { cache });
      release();
      await executing;
      assert.equal(cache.size, 0);
    },
  );

  promises("says which argument is none, for whoever has no types", async (store) => {
    const no = undefined as never;
    const refuse = async (promise: Promise<unknown>, argument: string): Promise<void> => {
      await rejects(promise, "INVALID_ARGUMENT", { argument });
    };
    await refuse(execute(no, counter, "counter-1", { add: 1 }), "store");
    await refuse(execute(store, no, "counter-1", { add: 1 }), "decider");
    await refuse(execute(counter as never, store as never, "counter-1" as never, { add: 1 } as never), "store");
    await refuse(execute(store, {} as typeof counter, "counter-1", { add: 1 }), "decider");
    await refuse(execute(store, { ...counter, evolve: no }, "counter-1", { add: 1 }), "decider");
    await refuse(execute(store, counter, "counter-1", { add: 1 }, { snapshots: {} as never }), "snapshots");
    await refuse(load(no, counter, "counter-1"), "store");
    await refuse(load(store, no, "counter-1" as never), "fold");
    await refuse(load(store, {} as typeof counter, "counter-1"), "fold");
    const swapped = (): Promise<unknown> => execute(store, counter, { add: 1 } as never, "counter-1" as never);
    await rejects(swapped(), "INVALID_ACTOR_ID");
    await assert.rejects(swapped(), /not an object; execute takes \(store, decider, actorId, command\)$/);
    assert.equal(await store.position(), 0);
  });

  promises("says that evolve gave nothing: REPLAY, and nothing is stored", async (store) => {
    const silent = { ...counter, evolve: () => undefined as never };
    const error = await rejects(execute(store, silent, "counter-1", { add: 1 }), "REPLAY", { version: 1 });
    assert.match(String(error), /evolve failed at Added, version 1 of counter-1: it gave undefined: is an event type/);
    assert.equal(await store.position(), 0);
    const none = { ...counter, initialState: () => undefined as never, evolve: () => undefined as never };
    assert.equal(
      (await execute(store, { ...none, decide: () => [added(1)] as never }, "counter-1", { add: 1 })).version,
      1,
    );
  });

  promises("tells an observer how it ended", async (store) => {
    const told: unknown[] = [];
    const observer = {
      start: (operation: string) => ({
        end: (outcome: string, more?: object) => void told.push([operation, outcome, more]),
      }),
    };
    await execute(store, counter, "counter-1", { add: 1 }, { observer });
    await assert.rejects(execute(store, counter, "counter-1", { add: -5 }, { observer }));
    await load(store, counter, "counter-1", { observer });
    assert.deepEqual(told, [
      ["execute", "ok", { version: 1, events: 1, duplicate: false, retries: 0 }],
      ["execute", "error", undefined],
      ["load", "ok", { version: 1 }],
    ]);
  });

  promises("loads as of a version or a position, also in the middle of a commit", async (store) => {
    const positions: number[] = [];
    for (const add of [1, 2, 3]) {
      positions.push((await execute(store, counter, "counter-1", { add, times: 2 })).position);
    }
    for (const toVersion of range(0, 7)) {
      const { state, version } = await load(store, counter, "counter-1", { toVersion });
      assert.deepEqual([state.events, version], [Math.min(toVersion, 6), Math.min(toVersion, 6)]);
    }
    for (const [index, toPosition] of positions.entries()) {
      const { version, position } = await load(store, counter, "counter-1", { toPosition });
      assert.deepEqual([version, position], [2 * index + 2, toPosition]);
    }
    const nobody = await load(store, counter, "counter-2");
    assert.deepEqual(nobody, { state: { sum: 0, events: 0 }, version: 0, position: 0 });
  });

  promises("knows imports with gaps in their versions", async (store) => {
    const event: Event = {
      id: "e-7",
      eventType: "Added",
      actorId: "counter-1",
      version: 7,
      data: { by: 7 },
      timestamp: "2026-01-01T00:00:00.000Z",
    };
    await store.saveEvent(event);
    const { version, state } = await execute(store, counter, "counter-1", { add: 1 });
    assert.deepEqual([version, state], [8, { sum: 8, events: 2 }]);
  });
});
