import assert from "node:assert/strict";
import { isAetherError } from "../../errors.ts";
import type { Event } from "../../event.ts";
import { upTo, versions } from "../event_store/scene.ts";
import { ADDED, Collected, type Promises, publishAll, stretch } from "./scene.ts";

const GROUPS = ["mailer", "a.b", "*", ">", "ü ="];

/** Subscribers that share the events. */
export const groups: Promises = {
  async "each event reaches one member of each group, in order within it, and all who are in none"(scene) {
    const { bus, another, settled } = scene;
    const buses = [bus, await another(), bus];
    const alone = new Collected();
    const members = GROUPS.flatMap((group) => buses.map((on) => ({ group, on, seen: new Collected() })));
    const subscriptions = members.map(({ group, on, seen }) => on.on({ ...ADDED, group }, seen.take));
    subscriptions.push(bus.on(ADDED, alone.take));
    await Promise.all(subscriptions.map(({ ready }) => ready));
    await publishAll(bus, stretch("order-1", 1, 200));
    assert.deepEqual(versions(await alone.atLeast(200)), upTo(200));
    await settled();
    for (const subscription of subscriptions) await subscription.drain();
    for (const group of GROUPS) {
      const lists = members.filter((member) => member.group === group).map(({ seen }) => versions(seen.items));
      assert.deepEqual(lists.flat().toSorted((a, b) => a - b), upTo(200), `group ${group}`);
      for (const list of lists) assert.deepEqual(list, list.toSorted((a, b) => a - b));
    }
  },

  async "a member with another filter is refused, one with the same in another order is not"({ bus }) {
    const filter = { eventTypes: ["Added", "Removed"], shards: [1, 2] };
    await using first = bus.on({ ...filter, group: "mailer" }, () => {});
    await using second = bus.subscribe({ eventTypes: ["Removed", "Added"], shards: [2, 1], group: "mailer" });
    await Promise.all([first.ready, second.ready]);
    for (const other of [{}, ADDED, { ...filter, actorId: "order-1" }, { ...filter, shards: [1] }]) {
      assert.throws(
        () => bus.subscribe({ ...other, group: "mailer" }),
        (error) => isAetherError(error, "INVALID_ARGUMENT") && error.argument === "group",
      );
    }
    await using elsewhere = bus.subscribe({ ...ADDED, group: "other" });
    await elsewhere.ready;
  },

  async "what a member that left would have got goes to the others"({ bus, settled }) {
    const seen = [new Collected(), new Collected()];
    const [leaves, stays] = seen.map(({ take }) => bus.on({ ...ADDED, group: "mailer" }, take));
    await Promise.all([leaves?.ready, stays?.ready]);
    await publishAll(bus, stretch("order-1", 1, 10));
    await settled();
    await leaves?.drain();
    const before = seen[0]?.items.length;
    await publishAll(bus, stretch("order-1", 11, 30));
    await settled();
    await stays?.drain();
    assert.equal(seen[0]?.items.length, before);
    const all = seen.flatMap(({ items }) => versions(items));
    assert.deepEqual(all.toSorted((a, b) => a - b), upTo(30));
  },

  async "a group whose members have all left begins anew, with any filter; others stay as they are"({ bus }) {
    await using stays = bus.on({ ...ADDED, group: "other" }, () => {});
    await stays.ready;
    for (const actorId of ["order-1", "order-2"]) {
      const seen = new Collected<Event>();
      const members = upTo(2).map(() => bus.on({ actorId, group: "mailer" }, seen.take));
      await Promise.all(members.map(({ ready }) => ready));
      await publishAll(bus, [...stretch("order-1", 1, 3), ...stretch("order-2", 1, 3)]);
      await seen.atLeast(3);
      for (const member of members) await member.drain();
      assert.deepEqual(new Set(seen.items.map((event) => event.actorId)), new Set([actorId]));
      assert.equal(seen.items.length, 3);
    }
    assert.throws(() => bus.subscribe({ group: "other" }), (error) => isAetherError(error, "INVALID_ARGUMENT"));
  },
};
