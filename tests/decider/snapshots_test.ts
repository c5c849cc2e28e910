import assert from "node:assert/strict";
import { describe, it } from "node:test";
import process from "node:process";
import fc from "fast-check";
import * as v from "valibot";
import {
  type EventStore,
  execute,
  forgetActor,
  InMemoryEventStore,
  InMemorySnapshotStore,
  JetStreamEventStore,
  KvSnapshotStore,
  load,
  type Snapshot,
  type SnapshotPolicy,
  type SnapshotStore,
} from "../../mod.ts";
import { connectedTo } from "../support/servers.ts";
import { counter, type CounterState, wrapped } from "../support/counter.ts";
import { until } from "../support/jetstream.ts";

const seed = Number(process.env.AETHER_SEED ?? Math.floor(Math.random() * 2 ** 31));

describe("snapshots in memory", () => {
  keepsItsPromises((namespace) => [new InMemoryEventStore({ namespace }), new InMemorySnapshotStore()]);
});

describe("snapshots on JetStream", () => {
  const connection = connectedTo();
  keepsItsPromises(async (namespace) => {
    const store = await JetStreamEventStore.open(connection(), { namespace });
    return [store, await KvSnapshotStore.open(connection(), { namespace })];
  });
});

/** A counter with this policy. */
const keeping = (snapshot: Omit<SnapshotPolicy<CounterState>, "schemaVersion">, schemaVersion = 1) => ({
  ...counter,
  snapshot: { schemaVersion, ...snapshot },
});

/** How many events each reading of an actor gave. */
function counting(store: EventStore): { readonly store: EventStore; readonly reads: number[] } {
  const reads: number[] = [];
  const watched = wrapped(store, {
    async *readActor(actorId, options) {
      let events = 0;
      try {
        for await (const commit of store.readActor(actorId, options)) {
          events += commit.events.length;
          yield commit as never;
        }
      } finally {
        reads.push(events);
      }
    },
  });
  return { store: watched, reads };
}

function reporting(): { event(name: string, attributes: object): void; readonly told: [string, string][] } {
  const told: [string, string][] = [];
  return {
    told,
    event: (name, attributes) => void told.push([name, String((attributes as { reason?: string }).reason)]),
  };
}

type Opened = readonly [EventStore, SnapshotStore];

function keepsItsPromises(open: (namespace: string) => Opened | Promise<Opened>): void {
  let count = 0;
  const promises = (name: string, keep: (store: EventStore, snapshots: SnapshotStore) => Promise<void>): void => {
    it(name, async () => {
      const [store, snapshots] = await open(`snapshots-${count++}`);
      await using _store = store;
      await keep(store, snapshots);
    });
  };
  const saved = async (snapshots: SnapshotStore, version: number): Promise<Snapshot> => {
    let found: Snapshot | undefined;
    await until(async () => (found = await snapshots.getLatestSnapshot("counter-1"))?.version === version);
    return found as Snapshot;
  };

  promises(
    "a state is kept after every so many events, and a load reads what came behind it",
    async (store, snapshots) => {
      const decider = keeping({ every: 3 });
      for (let times = 0; times < 2; times++) await execute(store, decider, "counter-1", { add: 1 }, { snapshots });
      assert.equal(await snapshots.getLatestSnapshot("counter-1"), undefined);
      const { position } = await execute(store, decider, "counter-1", { add: 1, times: 2 }, { snapshots });
      const { timestamp, ...snapshot } = await saved(snapshots, 4);
      assert.ok(!Number.isNaN(Date.parse(timestamp)));
      assert.deepEqual(snapshot, {
        actorId: "counter-1",
        version: 4,
        position,
        state: { sum: 4, events: 4 },
        schemaVersion: 1,
        commands: [],
      });
      await store.append("counter-1", [{ eventType: "Added", data: { by: 10 } }]);
      const { store: watched, reads } = counting(store);
      assert.deepEqual((await load(watched, decider, "counter-1", { snapshots })).state, { sum: 14, events: 5 });
      assert.deepEqual(reads, [1]);
      assert.deepEqual((await execute(watched, decider, "counter-1", { add: 1 }, { snapshots })).version, 6);
      assert.deepEqual(reads, [1, 1]);
    },
  );

  promises("a state is kept after a time, after a slow load, or on a condition", async (store, snapshots) => {
    const policies: Omit<SnapshotPolicy<CounterState>, "schemaVersion">[] = [
      { after: 0 },
      { slowerThan: -1 },
      { when: ({ sum }, { version, events }) => sum === 3 && version === 3 && events === 1 },
    ];
    for (const [index, policy] of policies.entries()) {
      await execute(store, keeping(policy), "counter-1", { add: 1 }, { snapshots });
      await saved(snapshots, index + 1);
    }
    // None of these holds.
    const never = keeping({ every: 100, after: 3_600_000, slowerThan: 3_600_000, when: () => false });
    await execute(store, never, "counter-1", { add: 1 }, { snapshots });
    await execute(store, keeping({ every: 2 }), "counter-1", { add: 1 }, { snapshots });
    await saved(snapshots, 5);
  });

  promises("without a policy none is kept and none is used", async (store, snapshots) => {
    await execute(store, keeping({ every: 1 }), "counter-1", { add: 1 }, { snapshots });
    await saved(snapshots, 1);
    const { store: watched, reads } = counting(store);
    await execute(watched, counter, "counter-1", { add: 1 }, { snapshots });
    assert.deepEqual(reads, [1]);
    assert.equal((await snapshots.getLatestSnapshot("counter-1"))?.version, 1);
  });

  promises("a save that fails, or never ends, fails nothing, and is told", async (store) => {
    const { told, event } = reporting();
    let saves = 0;
    const failing: SnapshotStore = {
      saveSnapshot: () => Promise.reject(new Error(`full ${++saves}`)),
      getLatestSnapshot: () => Promise.resolve(undefined),
      deleteSnapshot: () => Promise.resolve(),
    };
    const decider = keeping({ every: 1 });
    await execute(store, decider, "counter-1", { add: 1 }, { snapshots: failing, observer: { event } });
    await until(() => told.length > 0);
    assert.deepEqual(told, [["snapshotFailed", "Error: full 1"]]);

    const { promise: hangs, resolve } = Promise.withResolvers<void>();
    const hanging: SnapshotStore = { ...failing, saveSnapshot: () => (saves++, hangs) };
    saves = 0;
    for (let times = 0; times < 5; times++) {
      await execute(store, decider, "counter-1", { add: 1 }, { snapshots: hanging, observer: { event } });
    }
    assert.equal(saves, 1); // no more is given to it while it hangs
    resolve();
  });

  promises("a snapshot store that cannot be read costs time and nothing else", async (store) => {
    const { told, event } = reporting();
    const broken: SnapshotStore = {
      saveSnapshot: () => Promise.resolve(),
      getLatestSnapshot: () => Promise.reject(new Error("gone")),
      deleteSnapshot: () => Promise.resolve(),
    };
    await store.append("counter-1", [{ eventType: "Added", data: { by: 5 } }]);
    const options = { snapshots: broken, observer: { event } };
    assert.equal((await load(store, keeping({}), "counter-1", options)).state.sum, 5);
    assert.deepEqual(told, [["snapshotIgnored", "Error: gone"]]);
  });

  promises("a state that JSON cannot carry is told, and never stored half", async (store, snapshots) => {
    const { told, event } = reporting();
    const dated = {
      ...keeping({ every: 1 }),
      initialState: () => ({ at: new Date(0) }) as never,
      evolve: (state: CounterState) => state,
    };
    await execute(store, dated, "counter-1", { add: 1 }, { snapshots, observer: { event } });
    await until(() => told.length > 0);
    assert.match(told[0]?.[1] ?? "", /state\.at/);
    assert.equal(await snapshots.getLatestSnapshot("counter-1"), undefined);
  });

  promises("one of another schemaVersion is ignored, told, and replaced", async (store, snapshots) => {
    await execute(store, keeping({ every: 1 }, 1), "counter-1", { add: 1 }, { snapshots });
    await saved(snapshots, 1);
    const { told, event } = reporting();
    const decider = keeping({ every: 1 }, 2);
    const { state } = await execute(store, decider, "counter-1", { add: 1 }, { snapshots, observer: { event } });
    assert.equal(state.events, 2);
    assert.deepEqual(told, [["snapshotIgnored", "its schemaVersion is 1, not 2"]]);
    assert.equal((await saved(snapshots, 2)).schemaVersion, 2);
  });

  promises("one that lies is ignored, told, deleted, and then replaced", async (store, snapshots) => {
    const decider = keeping({ every: 1, schema: v.object({ sum: v.number(), events: v.number() }) });
    const first = await store.append("counter-1", [1, 2, 3].map((by) => ({ eventType: "Added", data: { by } })));
    const large = await store.append("counter-1", [4, 5].map((by) => ({ eventType: "Added", data: { by } })));
    const other = await store.append("counter-2", [{ eventType: "Added", data: { by: 100 } }]);
    const truth: Snapshot = {
      actorId: "counter-1",
      version: 5,
      position: large.position,
      state: { sum: 15, events: 5 },
      schemaVersion: 1,
      timestamp: "2026-01-01T00:00:00.000Z",
    };
    const lies: [string, Partial<Snapshot>][] = [
      ["ahead of the actor", { version: 1_000_000, position: 1_000_000 }],
      ["ahead of the actor, of another shape", { version: 1_000_000, position: 1_000_000, schemaVersion: 7 }],
      ["of another version", { version: 4 }],
      ["of another actor's position", { version: 1, position: other.position }],
      ["from the middle of a commit", { version: 2, position: first.position }],
      ["of a position where nothing is", { version: 5, position: other.position + 50 }],
      ["of a state that is none", { state: { sum: "15", events: 5 } }],
    ];
    for (const [name, lie] of lies) {
      await snapshots.deleteSnapshot("counter-1");
      await snapshots.saveSnapshot({ ...truth, ...lie });
      const { told, event } = reporting();
      const options = { snapshots, observer: { event } };
      assert.deepEqual((await load(store, decider, "counter-1", options)).state, { sum: 15, events: 5 }, name);
      assert.ok(told.length > 0 && told.every(([what]) => what === "snapshotIgnored"), `${name}: ${told}`);
      assert.equal(await snapshots.getLatestSnapshot("counter-1"), undefined, name);
    }
    await snapshots.saveSnapshot({ ...truth, version: 1_000_000, position: 1_000_000 });
    const { version } = await execute(store, decider, "counter-1", { add: 1 }, { snapshots });
    await saved(snapshots, version);
  });

  promises("a state on which evolve fails is not trusted either", async (store, snapshots) => {
    const { position } = await store.append("counter-1", [{ eventType: "Added", data: { by: 1 } }]);
    const timestamp = "2026-01-01T00:00:00.000Z";
    await snapshots.saveSnapshot({
      actorId: "counter-1",
      version: 1,
      position,
      state: null,
      schemaVersion: 1,
      timestamp,
    });
    await store.append("counter-1", [{ eventType: "Added", data: { by: 1 } }]);
    assert.deepEqual((await load(store, keeping({}), "counter-1", { snapshots })).state, { sum: 2, events: 2 });
    assert.equal(await snapshots.getLatestSnapshot("counter-1"), undefined);
  });

  promises(
    "a schema of states that throws, rejects or never answers costs time and nothing else",
    async (store, snapshots) => {
      await execute(store, keeping({ every: 1 }), "counter-1", { add: 1 }, { snapshots });
      await saved(snapshots, 1);
      const schemas = [() => {
        throw new Error("no");
      }, () => Promise.reject(new Error("no"))];
      for (const validate of schemas) {
        const decider = keeping({ schema: { "~standard": { version: 1, vendor: "test", validate } } });
        assert.deepEqual((await load(store, decider, "counter-1", { snapshots })).state, { sum: 1, events: 1 });
      }
      const stop = new AbortController();
      const { promise, resolve } = Promise.withResolvers<never>();
      const validate = () => (stop.abort(new Error("stopped")), promise);
      const hanging = keeping({ schema: { "~standard": { version: 1, vendor: "test", validate } } });
      await assert.rejects(load(store, hanging, "counter-1", { snapshots, signal: stop.signal }), /stopped/);
      resolve(undefined as never);
    },
  );

  promises("what a store gives that is no snapshot is not used", async (store) => {
    const { position } = await store.append("counter-1", [{ eventType: "Added", data: { by: 1 } }]);
    const timestamp = "2026-01-01T00:00:00.000Z";
    const truth = {
      actorId: "counter-1",
      version: 1,
      position,
      state: { sum: 1, events: 1 },
      schemaVersion: 1,
      timestamp,
    };
    const odd = [{ commands: null }, { commands: [null] }, { commands: 5 }, { state: undefined }, { timestamp: 5 }];
    for (const fields of odd) {
      let deleted = 0;
      const snapshots: SnapshotStore = {
        saveSnapshot: () => Promise.resolve(),
        getLatestSnapshot: () => Promise.resolve({ ...truth, ...fields } as never),
        deleteSnapshot: () => (deleted++, Promise.resolve()),
      };
      const options = { snapshots, commandId: "c-1" };
      assert.equal((await execute(store, keeping({}), "counter-1", { add: 0 }, options)).state.sum, 1);
      assert.equal(deleted, 1);
    }
  });

  promises(
    "of a deleted actor none is used, and the load that meets the tombstone erases it",
    async (store, snapshots) => {
      const decider = keeping({ every: 1 });
      await execute(store, decider, "counter-1", { add: 1 }, { snapshots });
      await saved(snapshots, 1);
      await store.deleteActor("counter-1");
      assert.deepEqual((await load(store, decider, "counter-1", { snapshots })).state, { sum: 0, events: 0 });
      assert.equal(await snapshots.getLatestSnapshot("counter-1"), undefined);
    },
  );

  promises("forgetting an actor takes its snapshot along, and one that is being saved", async (store, snapshots) => {
    await execute(store, keeping({ every: 1 }), "counter-1", { add: 1 }, { snapshots });
    await forgetActor(store, "counter-1", { snapshots });
    assert.equal(await snapshots.getLatestSnapshot("counter-1"), undefined);
    assert.equal(await store.getLatestVersion("counter-1"), 1);
    assert.deepEqual(await store.getEvents("counter-1"), []);
  });

  promises(
    "a repeated command is found over a snapshot, in the last 100 commits at least, and costs no reading",
    async (store, snapshots) => {
      const decider = keeping({});
      for (let index = 0; index < 99; index++) {
        await execute(store, decider, "counter-1", { add: 1 }, { snapshots, commandId: `c-${index}` });
      }
      await execute(store, keeping({ every: 100 }), "counter-1", { add: 1 }, { snapshots, commandId: "c-99" });
      await saved(snapshots, 100);
      const { store: watched, reads } = counting(store);
      const options = { snapshots, commandId: "c-0" };
      const { duplicate, version, state } = await execute(watched, decider, "counter-1", { add: 1 }, options);
      assert.deepEqual([duplicate, version, state.sum], [true, 1, 100]);
      assert.deepEqual(reads, [0, 1]); // the load, and the commit itself
      reads.length = 0;
      await execute(watched, decider, "counter-1", { add: 1 }, { snapshots, commandId: "new" });
      assert.deepEqual(reads, [0]);
    },
  );

  promises("where a snapshot knows no commands, the last 100 commits are read", async (store, snapshots) => {
    const decider = keeping({});
    for (let index = 0; index < 120; index++) {
      await execute(store, decider, "counter-1", { add: 1 }, { commandId: `c-${index}` });
    }
    const { state, version, position } = await load(store, decider, "counter-1");
    const timestamp = "2026-01-01T00:00:00.000Z";
    const snapshot = { actorId: "counter-1", version, position, state, schemaVersion: 1, timestamp };
    await snapshots.saveSnapshot(snapshot);
    const { store: watched, reads } = counting(store);
    const again = await execute(watched, decider, "counter-1", { add: 1 }, { snapshots, commandId: "c-20" });
    assert.deepEqual([again.duplicate, again.version], [true, 21]);
    assert.deepEqual(reads, [0, 100, 1]);
    // One that lies about a command is not believed.
    await snapshots.deleteSnapshot("counter-1");
    await snapshots.saveSnapshot({ ...snapshot, commands: [{ id: "never", version: 7, position: 7 }] });
    const never = await execute(store, decider, "counter-1", { add: 1 }, { snapshots, commandId: "never" });
    assert.deepEqual([never.duplicate, never.version], [false, 121]);
  });

  promises(
    "a snapshot and the events behind it give what all events give, as of any moment",
    async (store, snapshots) => {
      let actors = 0;
      const commits = fc.array(fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 1, maxLength: 5 }), {
        minLength: 1,
        maxLength: 12,
      });
      const property = fc.asyncProperty(commits, fc.nat(), fc.nat(), async (lists, at, to) => {
        const actorId = `counter-${++actors}` as const;
        const positions: number[] = [];
        for (const list of lists) {
          const events = list.map((by) => ({ eventType: by % 2 ? "Reset" : "Added", data: { by, to: by } }));
          positions.push((await store.append(actorId, events)).position);
        }
        const decider = keeping({});
        const toPosition = positions[at % positions.length] as number;
        const early = await load(store, decider, actorId, { toPosition });
        const timestamp = "2026-01-01T00:00:00.000Z";
        await snapshots.saveSnapshot({ actorId, ...early, schemaVersion: 1, timestamp });
        const toVersion = to % (lists.flat().length + 2);
        for (const range of [{}, { toVersion }, { toPosition: positions[to % positions.length] as number }]) {
          assert.deepEqual(
            await load(store, decider, actorId, { ...range, snapshots }),
            await load(store, decider, actorId, range),
          );
        }
        assert.equal((await snapshots.getLatestSnapshot(actorId))?.version, early.version); // was never found wrong
      });
      await fc.assert(property, { seed, numRuns: 40 });
    },
  );
}
