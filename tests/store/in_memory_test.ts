import assert from "node:assert/strict";
import { it } from "node:test";
import { type Commit, InMemoryEventStore, LocalEventBus } from "../../mod.ts";
import { added, all, rejects, several, upTo } from "../../testing/event_store/scene.ts";

it("tells its bus of every commit in order, also of those that the bus itself brings about", async () => {
  const told: number[] = [];
  const store: InMemoryEventStore = new InMemoryEventStore({
    bus: {
      publish: () => Promise.resolve(),
      committed({ version }: Commit): void {
        told.push(version);
        if (version < 4) void store.append("order-1", several(1));
      },
    },
  });
  await store.append("order-1", several(1));
  await store.deleteActor("order-1");
  assert.deepEqual(told, [1, 2, 3, 4, 4]);
});

it("tells its bus of no seal", async () => {
  const told: number[] = [];
  const bus = { publish: () => Promise.resolve(), committed: ({ version }: Commit) => void told.push(version) };
  const store: InMemoryEventStore = new InMemoryEventStore({ bus, shards: 1 });
  const fence = { shard: 0, epoch: 1, checked: false };
  await store.append("order-1", [], { expectedVersion: 0, fence });
  await store.append("order-1", several(1));
  assert.deepEqual(told, [1]);
  const checked = { shard: 0, epoch: 2, checked: true };
  await store.append("order-1", [], { expectedVersion: 1, fence: checked });
  assert.equal(await store.position(), 2);
});

it("tells a bus without `committed` of every event, and not before all of a transaction is stored", async () => {
  const told: string[] = [];
  const store: InMemoryEventStore = new InMemoryEventStore({
    bus: {
      async publish({ actorId, version }): Promise<void> {
        told.push(`${actorId}@${version}`);
        assert.equal((await store.getEvents("b-1")).length, 2);
      },
    },
  });
  await store.transact([{ actorId: "a-1", events: several(1) }, { actorId: "b-1", events: several(2) }]);
  assert.deepEqual(told, ["a-1@1", "b-1@1", "b-1@2"]);
});

it("refuses a bus that is none, or of another namespace", () => {
  const refused = [
    {},
    { publish: 1 },
    { publish() {}, committed: 1 },
    null,
    "bus",
    new LocalEventBus({ namespace: "other" }),
  ];
  for (const bus of refused as never[]) {
    assert.throws(() => new InMemoryEventStore({ bus }), { code: "INVALID_ARGUMENT", argument: "bus" });
  }
  const namespace = "other";
  assert.ok(new InMemoryEventStore({ namespace, bus: new LocalEventBus({ namespace }) }));
});

it("takes its time from the clock that it is given, and refuses one that does not go", async () => {
  let now = new Date("2026-01-31T12:00:00.000Z");
  const store = new InMemoryEventStore({ clock: () => now });
  await store.append("order-1", several(1));
  const [commit] = await all(store.readAll());
  assert.deepEqual([commit?.storedAt, commit?.events[0]?.timestamp], [now.toISOString(), now.toISOString()]);
  now = new Date(NaN);
  await rejects(store.append("order-1", several(1)), "INVALID_ARGUMENT", { argument: "clock" });
  const timestamp = "2026-01-31T12:00:00.000Z";
  await rejects(store.append("order-1", [added(1, { timestamp })]), "INVALID_ARGUMENT", { argument: "clock" });
  assert.equal((await all(store.readAll())).length, 1);
});

it("limits the size of an event, and not that of an append", async () => {
  const store = new InMemoryEventStore({ maxEventSize: 500 });
  await rejects(store.append("order-1", [added("x".repeat(500))]), "EVENT_TOO_LARGE", { limit: 500 });
  assert.equal((await store.append("order-1", upTo(50).map(() => added("x".repeat(100))))).version, 50);
});

it("leaves no listener on the signal of a live reader", async () => {
  const store = new InMemoryEventStore();
  const stop = new AbortController();
  let listeners = 0;
  const { addEventListener, removeEventListener } = stop.signal;
  stop.signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    listeners++;
    addEventListener.apply(stop.signal, args);
  };
  stop.signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    listeners--;
    removeEventListener.apply(stop.signal, args);
  };
  const reading = (async () => {
    for await (const { version } of store.readAll({ live: true, signal: stop.signal })) if (version === 100) return;
  })();
  for (const _ of upTo(100)) {
    await store.append("order-1", several(1));
    await new Promise((resolve) => setTimeout(resolve));
  }
  await reading;
  assert.equal(listeners, 0);
});
