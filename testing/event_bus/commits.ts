import assert from "node:assert/strict";
import type { Gap } from "../../bus/event_bus.ts";
import type { Event } from "../../event.ts";
import { added, rejects, several, upTo, versions } from "../event_store/scene.ts";
import { ADDED, Collected, type Promises, type StoreScene, take } from "./scene.ts";

/** What is committed is announced. */
export const commits: Promises<StoreScene> = {
  async "what is committed is announced as it is stored, commit by commit, in order"({ bus, another, store }) {
    const seen = [new Collected(), new Collected()];
    const buses = [bus, await another()];
    const subscriptions = buses.map((each, index) => each.on({ actorId: "order-1" }, (seen[index] as Collected).take));
    await Promise.all(subscriptions.map(({ ready }) => ready));
    await store.append("order-2", several(1));
    for (const count of upTo(5)) await store.append("order-1", several(count));
    const stored = await store.getEvents("order-1");
    for (const each of seen) assert.deepEqual(await each.atLeast(15), stored);
    for (const subscription of subscriptions) await subscription[Symbol.asyncDispose]();
  },

  async "of a commit the events that are meant arrive, once each"({ bus, store }) {
    const seen = [new Collected(), new Collected()];
    const filters = [{ eventTypes: ["A", "C"] }, { eventTypes: ["A", "B"], actorTypes: ["order"] }];
    const subscriptions = filters.map((filter, index) => bus.on(filter, (seen[index] as Collected).take));
    await Promise.all(subscriptions.map(({ ready }) => ready));
    await store.append("order-1", ["A", "B", "C", "A"].map((eventType) => added(1, { eventType })));
    await store.append("order-1", ["B", "D", "A"].map((eventType) => added(1, { eventType })));
    assert.deepEqual(versions(await (seen[0] as Collected).atLeast(4)), [1, 3, 4, 7]);
    assert.deepEqual(versions(await (seen[1] as Collected).atLeast(5)), [1, 2, 4, 5, 7]);
    for (const subscription of subscriptions) await subscription[Symbol.asyncDispose]();
  },

  async "a commit that is larger than the buffer arrives whole where nothing waits"({ bus, store, settled }) {
    const subscription = bus.subscribe({ ...ADDED, buffer: 2 });
    await subscription.ready;
    await store.append("order-1", several(5));
    await settled();
    assert.deepEqual(versions(await take(subscription[Symbol.asyncIterator](), 5)), upTo(5));
    await subscription[Symbol.asyncDispose]();
  },

  async "what was not stored is not announced"({ bus, store }) {
    const seen = new Collected();
    await using subscription = bus.on({}, seen.take);
    await subscription.ready;
    await store.append("order-1", several(1));
    await rejects(store.append("order-1", several(1), { expectedVersion: 0 }), "VERSION_CONFLICT");
    const conflicting = [
      { actorId: "order-2", events: several(2) },
      { actorId: "order-1", events: several(1), expectedVersion: 7 },
    ];
    await rejects(store.transact(conflicting), "VERSION_CONFLICT");
    await store.append("order-1", [], { expectedVersion: 1 });
    await store.transact([
      { actorId: "order-3", events: several(2) },
      { actorId: "order-1", events: [], expectedVersion: 1 },
    ]);
    await store.append("order-1", several(1));
    const events = await seen.atLeast(4);
    assert.deepEqual(events.map(({ actorId, version }) => `${actorId}@${version}`), [
      "order-1@1",
      "order-3@1",
      "order-3@2",
      "order-1@2",
    ]);
  },

  async "a deletion reaches onDeleted behind the actor's events, whatever the event types"({ bus, store }) {
    const told = new Collected<string>();
    const onDeleted = (actorId: string): void => told.take(`deleted ${actorId}`);
    const seen = new Collected();
    const slow = bus.on({ actorTypes: ["order"], onDeleted }, async ({ actorId, version }) => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      told.take(`${actorId}@${version}`);
    });
    const other = new Collected<string>();
    const types = bus.on({ eventTypes: ["Nothing"], onDeleted: other.take }, seen.take);
    const wall = bus.on({ actorId: "order-2", onDeleted: other.take }, seen.take);
    const deaf = bus.subscribe({ actorId: "order-1", buffer: 1, overflow: "drop-newest" });
    await Promise.all([slow.ready, types.ready, wall.ready, deaf.ready]);
    await store.append("order-1", several(3));
    await store.append("account-1", several(1));
    await store.deleteActor("order-1");
    await store.deleteActor("account-1");
    assert.deepEqual(await told.atLeast(4), ["order-1@1", "order-1@2", "order-1@3", "deleted order-1"]);
    assert.deepEqual(await other.atLeast(2), ["order-1", "account-1"]);
    assert.deepEqual(seen.items, []);
    assert.equal(deaf.dropped, 0);
    for (const subscription of [slow, types, wall, deaf]) await subscription[Symbol.asyncDispose]();
  },

  async "a commit reaches one member of a group, whole"({ bus, another, store, settled }) {
    const alone = new Collected();
    const members = [bus, await another(), bus].map((on) => {
      const seen = new Collected();
      return { seen, subscription: on.on({ ...ADDED, group: "mailer" }, seen.take) };
    });
    await using watching = bus.on(ADDED, alone.take);
    await Promise.all([watching.ready, ...members.map(({ subscription }) => subscription.ready)]);
    for (const _ of upTo(30)) await store.append("order-1", several(3));
    await alone.atLeast(90);
    await settled();
    for (const { subscription } of members) await subscription.drain();
    assert.deepEqual(members.flatMap(({ seen }) => versions(seen.items)).toSorted((a, b) => a - b), upTo(90));
    for (const { seen } of members) {
      const list = versions(seen.items);
      assert.ok(
        list.every((version, index) => index % 3 === 0 ? version % 3 === 1 : version === Number(list[index - 1]) + 1),
      );
    }
  },

  async "what a handler appends is announced behind what it was told of"({ bus, store }) {
    const seen = new Collected();
    await using watching = bus.on({}, seen.take);
    await using reacting = bus.on({ eventTypes: ["Added"] }, async ({ actorId, version }) => {
      if (version < 5) await store.append(actorId, several(1), { expectedVersion: version });
    });
    await Promise.all([watching.ready, reacting.ready]);
    await store.append("order-1", several(1));
    assert.deepEqual(versions(await seen.atLeast(5)), upTo(5));
  },

  async "onGap tells what drop-oldest dropped, before the first commit behind it"({ bus, store, settled }) {
    const told: (Gap | number)[] = [];
    const onGap = (gap: Gap): void => void told.push(gap);
    const subscription = bus.subscribe({ ...ADDED, buffer: 2, overflow: "drop-oldest", onGap });
    await subscription.ready;
    const iterator = subscription[Symbol.asyncIterator]();
    const read = async (count: number): Promise<void> => {
      await settled();
      for (const { version } of await take(iterator, count)) told.push(version);
    };
    const { position: afterPosition } = await store.append("order-1", several(1));
    await read(1);
    for (const _ of upTo(3)) await store.append("order-1", several(1));
    const beforePosition = await store.position();
    await store.append("order-1", several(1));
    await read(2);
    assert.deepEqual(told, [1, { actorId: "order-1", afterPosition, beforePosition }, 4, 5]);
    assert.equal(subscription.dropped, 2);
    await subscription[Symbol.asyncDispose]();
  },

  async "onGap tells what drop-newest dropped, before the first commit behind it"({ bus, store, settled }) {
    const told: (Gap | number)[] = [];
    const onGap = (gap: Gap): void => void told.push(gap);
    const subscription = bus.subscribe({ ...ADDED, buffer: 2, overflow: "drop-newest", onGap });
    await subscription.ready;
    const iterator = subscription[Symbol.asyncIterator]();
    const read = async (count: number): Promise<void> => {
      await settled();
      for (const { version } of await take(iterator, count)) told.push(version);
    };
    const gaps: Gap[] = [];
    for (const round of [0, 1]) {
      await store.append("order-1", several(1));
      const { position: afterPosition } = await store.append("order-1", several(1));
      for (const _ of upTo(2)) await store.append("order-1", several(1));
      await read(2);
      const { position: beforePosition } = await store.append("order-1", several(1));
      gaps.push({ actorId: "order-1", afterPosition, beforePosition });
      await read(1);
      const first = round * 5;
      assert.deepEqual(told.splice(0), [first + 1, first + 2, gaps[round], first + 5]);
    }
    await subscription[Symbol.asyncDispose]();
  },

  async "with fill what was dropped is read from the store, and given first"({ bus, store, settled }) {
    for (const overflow of ["drop-oldest", "drop-newest"] as const) {
      const actorId = `${overflow}-1`;
      const seen = new Collected<Event>();
      const go = Promise.withResolvers<void>();
      await using subscription = bus.on(
        { actorId, eventTypes: ["Added"], buffer: 2, overflow, fill: store },
        (event) => {
          seen.take(event);
          return go.promise;
        },
      );
      await subscription.ready;
      for (const _ of upTo(9)) await store.append(actorId, several(1));
      await settled();
      go.resolve();
      await seen.atLeast(overflow === "drop-newest" ? 2 : 9);
      await store.append(actorId, several(2));
      await seen.atLeast(11);
      assert.deepEqual(versions(seen.items), upTo(11));
      assert.ok(subscription.dropped > 0);
    }
  },
};
