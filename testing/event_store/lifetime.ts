import assert from "node:assert/strict";
import { all, eventOf, outline, type Promises, rejects, several } from "./scene.ts";

/** Walls, and the end of a store. */
export const lifetime: Promises = {
  async "namespaces are walls"({ store, elsewhere }) {
    const other = await elsewhere();
    await store.append("order-1", several(2));
    await other.append("order-1", several(1), { expectedVersion: 0 });
    assert.deepEqual(outline(await all(other.readAll())), ["order-1@1 [1]"]);
    assert.deepEqual(outline(await all(store.readAll())), ["order-1@2 [1,2]"]);
    await other.deleteActor("order-1");
    assert.equal((await store.getEvents("order-1")).length, 2);
  },

  async "a closed store refuses every call and ends its live readers with CLOSED"({ store }) {
    await store.append("order-1", several(1));
    const closing = Promise.withResolvers<void>();
    const live = (async () => {
      for await (const _ of store.readAll({ live: true, onCaughtUp: () => closing.resolve() }));
    })();
    const ended = rejects(live, "CLOSED");
    await closing.promise;
    await store[Symbol.asyncDispose]();
    await ended;
    const calls: (() => Promise<unknown>)[] = [
      () => store.append("order-1", several(1)),
      () => store.saveEvent(eventOf("order-1", 9)),
      () => store.transact([{ actorId: "order-1", events: several(1) }]),
      () => store.getEvents("order-1"),
      () => store.getLatestVersion("order-1"),
      () => store.getLatestVersion("order-1", { consistency: "cached" }),
      () => store.position(),
      () => store.deleteActor("order-1"),
      () => all(store.readActor("order-1")),
      () => all(store.readAll()),
      () => all(store.listActors()),
    ];
    for (const call of calls) await rejects(call(), "CLOSED");
    await store[Symbol.asyncDispose]();
  },
};
