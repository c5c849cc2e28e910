import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { serveDecider, serveHandler } from "../../cluster/serve.ts";
import { type EventStore, InMemorySnapshotStore, isAetherError } from "../../mod.ts";
import { counter, wrapped } from "../support/counter.ts";
import { ACTOR, gate, HOME, slowed, take, thrown } from "./support/counters.ts";
import { Town } from "./support/town.ts";

describe("a mailbox", () => {
  it("takes so many and no more: OVERLOADED, and nothing is met with silence", async () => {
    const town = new Town();
    const [store, house, slow] = [town.store(), take(town.house("a")), gate()];
    house.serve(slowed(store, slow.opened));
    const sendings = Array.from({ length: 1_010 }, () => house.router.send(ACTOR, { add: 1 }));
    const settled = Promise.allSettled(sendings);
    await town.clock.pass(10);
    slow.open();
    const outcomes = await town.clock.until(settled);
    const errors = outcomes.flatMap((outcome) => outcome.status === "rejected" ? [outcome.reason] : []);
    assert.equal(errors.length, 9); // one is at work
    assert.ok(errors.every((error) => isAetherError(error, "OVERLOADED") && error.limit === 1_000));
    assert.equal(await store.getLatestVersion(ACTOR), 1_001);
  });

  it("drops what has waited for longer than its sender does", async () => {
    const town = new Town();
    const [store, house, slow] = [town.store(), take(town.house("a")), gate()];
    house.serve(slowed(store, slow.opened));
    const first = house.router.send(ACTOR, { add: 1 });
    const impatient = thrown(house.router.send(ACTOR, { add: 10 }, { timeout: 1_000 }));
    await town.clock.pass(1_001);
    assert.ok(isAetherError(await impatient, "UNKNOWN_OUTCOME"));
    slow.open();
    await town.clock.until(first);
    await town.clock.pass(1_000);
    assert.equal(await store.getLatestVersion(ACTOR), 1);
  });
});

describe("actors in memory", () => {
  it("leave it after two minutes without a command, with a snapshot", async () => {
    const town = new Town();
    const [store, snapshots, house] = [town.store(), new InMemorySnapshotStore(), take(town.house("a"))];
    const decider = { ...counter, snapshot: { schemaVersion: 1, every: 1_000 } };
    const { host, actorTypes } = serveDecider(town.home, store, decider, { actorType: "counter", snapshots });
    house.server.add(actorTypes, host);
    await town.clock.until(house.router.send(ACTOR, { add: 3 }));
    await town.clock.pass(119_000);
    assert.equal(host.actors, 1);
    assert.equal(await snapshots.getLatestSnapshot(ACTOR), undefined);
    await town.clock.until(house.router.send(ACTOR, { add: 3 }));
    await town.clock.pass(119_000);
    assert.equal(host.actors, 1);
    await town.clock.pass(2_000);
    assert.equal(host.actors, 0);
    assert.deepEqual((await snapshots.getLatestSnapshot(ACTOR))?.state, { sum: 6, events: 2 });
    assert.equal(town.clock.sleepers, 0);
    await town.clock.until(house.router.send(ACTOR, { add: 3 }));
    assert.equal(await store.getLatestVersion(ACTOR), 3);
  });

  it("leave it with their shard", async () => {
    const town = new Town();
    const house = take(town.house("a"));
    house.serve(town.store());
    await town.clock.until(house.router.send(ACTOR, { add: 1 }));
    assert.equal(house.server.hosts.get("counter")?.actors, 1);
    await town.clock.until(house.estate.release(HOME));
    assert.equal(house.server.hosts.get("counter")?.actors, 0);
    assert.equal(town.clock.sleepers, 0, "nothing is left that would keep a process");
  });

  it("are so many and no more: who was idle for longest goes, and if all are busy, nobody comes", async () => {
    const town = new Town();
    const house = town.house("a");
    for (let number = 0; number < 4; number++) house.estate.take(number);
    const slow = gate();
    const store = town.store();
    let isSlow = false;
    const slowed = wrapped(store, {
      async append(actorId: string, events: never, options) {
        if (isSlow) await slow.opened;
        return await store.append(actorId, events, options) as never;
      },
    });
    const { host, actorTypes } = serveDecider(town.home, slowed, counter, { actorType: "counter", actors: 3 });
    house.server.add(actorTypes, host);
    for (let number = 0; number < 10; number++) {
      await town.clock.until(house.router.send(`counter-${number}`, { add: 1 }));
    }
    assert.equal(host.actors, 3);
    isSlow = true;
    const sendings = [1, 2, 3].map((number) => house.router.send(`counter-${number}`, { add: 1 }));
    await town.clock.pass(10);
    const error = await thrown(town.clock.until(house.router.send("counter-4", { add: 1 })));
    assert.ok(isAetherError(error, "OVERLOADED"));
    assert.equal(error.limit, 3);
    slow.open();
    await town.clock.until(Promise.all(sendings));
  });

  it("are at work as many at once as is allowed", async () => {
    const town = new Town();
    const house = town.house("a");
    for (let number = 0; number < 4; number++) house.estate.take(number);
    const store = town.store();
    let [running, most] = [0, 0];
    house.serve(
      wrapped(store, {
        async append(actorId: string, events: never, options) {
          most = Math.max(most, ++running);
          await town.clock.sleep(5);
          running--;
          return await store.append(actorId, events, options) as never;
        },
      }),
      { concurrency: 3 },
    );
    const ids = Array.from({ length: 30 }, (_, number) => `counter-${number}`);
    await town.clock.until(Promise.all(ids.map((id) => house.router.send(id, { add: 1 }))));
    assert.equal(most, 3);
  });

  it("are served once, by what there is", () => {
    const town = new Town();
    const house = town.house("a");
    const invalid = (work: () => unknown): void => {
      assert.throws(work, (error) => isAetherError(error, "INVALID_ARGUMENT"));
    };
    const store: EventStore = town.store();
    house.serve(store);
    invalid(() => house.serve(store));
    invalid(() => house.handle("counter", () => Promise.resolve()));
    for (const type of ["", "sales-order", 1 as unknown as string]) {
      invalid(() => house.handle(type, () => Promise.resolve()));
    }
    invalid(() => serveDecider(town.home, store, counter));
    invalid(() => serveDecider({ ...town.home, shards: 5 }, store, counter, { actorType: "counter" }));
    invalid(() => serveDecider({ ...town.home, namespace: "x" }, store, counter, { actorType: "counter" }));
    for (const count of [0, -1, 1.5, NaN]) {
      invalid(() => serveDecider(town.home, store, counter, { actorType: "counter", concurrency: count }));
      invalid(() => serveDecider(town.home, store, counter, { actorType: "counter", actors: count }));
    }
    invalid(() => serveHandler(town.home, "account", undefined as never));
  });
});
