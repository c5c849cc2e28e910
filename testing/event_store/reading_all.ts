import assert from "node:assert/strict";
import type { Commit, EventStore } from "../../store/event_store.ts";
import { shardOf } from "../../store/shard.ts";
import { added, all, outline, type Promises, rejects, several, upTo } from "./scene.ts";

/** A few commits of two actor types. */
async function fill(store: EventStore): Promise<void> {
  await store.append("order-1", [{ eventType: "Placed", data: 1 }, { eventType: "Paid", data: 2 }]);
  await store.append("account-1", [{ eventType: "Opened", data: 3 }]);
  await store.append("order-2", [{ eventType: "Placed", data: 4 }]);
  await store.append("order-1", [{ eventType: "Shipped", data: 5 }]);
  await store.append("order", [{ eventType: "Placed", data: 6 }]);
}

/** Until the clock shows more than a time. */
async function laterThan(time = ""): Promise<void> {
  while (Date.now() <= Date.parse(time)) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** `readAll` and `listActors`. */
export const readingAll: Promises = {
  async "readAll gives every commit in the order of positions"({ store }) {
    assert.deepEqual(await all(store.readAll()), []);
    await fill(store);
    const commits = await all(store.readAll());
    const expected = ["order-1@2 [1,2]", "account-1@1 [1]", "order-2@1 [1]", "order-1@3 [3]", "order@1 [1]"];
    assert.deepEqual(outline(commits), expected);
    const positions = commits.map(({ position }) => position);
    assert.deepEqual(positions, positions.toSorted((a, b) => a - b));
    assert.equal(positions.at(-1), await store.position());
    assert.ok(commits.every(({ storedAt = "" }) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(storedAt)));
    assert.deepEqual(commits[0]?.events, (await store.getEvents("order-1")).slice(0, 2));
  },

  async "readAll resumes exactly behind any commit"({ store }) {
    await fill(store);
    const commits = await all(store.readAll());
    for (const [index, { position }] of commits.entries()) {
      assert.deepEqual(await all(store.readAll({ after: position })), commits.slice(index + 1));
    }
    assert.deepEqual(await all(store.readAll({ after: await store.position() + 10 })), []);
  },

  async "the filter lets through what is meant, and of a commit only those of its events"({ store }) {
    await fill(store);
    const read = async (filter: object): Promise<string[]> => outline(await all(store.readAll(filter)));
    assert.deepEqual(await read({ eventTypes: ["Placed"] }), ["order-1@2 [1]", "order-2@1 [1]", "order@1 [1]"]);
    assert.deepEqual(await read({ eventTypes: ["Paid", "Opened"] }), ["order-1@2 [2]", "account-1@1 [1]"]);
    assert.deepEqual(await read({ eventTypes: [] }), []);
    assert.deepEqual(await read({ actorTypes: ["account"] }), ["account-1@1 [1]"]);
    assert.equal((await read({ actorTypes: ["account", "order"] })).length, 5);
    assert.equal((await read({ actorTypes: ["order"] })).length, 4);
    assert.deepEqual(await read({ actorTypes: ["none"] }), []);
    assert.deepEqual(await read({ actorTypes: [] }), []);
    assert.deepEqual(await read({ actorId: "order-1" }), ["order-1@2 [1,2]", "order-1@3 [3]"]);
    assert.deepEqual(await read({ actorId: "order-1", actorTypes: ["account"] }), []);
    assert.deepEqual(await read({ actorId: "order-1", eventTypes: ["Shipped"] }), ["order-1@3 [3]"]);
    assert.deepEqual(await read({ actorTypes: ["order"], eventTypes: ["Opened"] }), []);
  },

  async "shards divide the commits without gap or overlap"({ store }) {
    const actors = upTo(40).map((number) => `order-${number}`);
    for (const actorId of actors) await store.append(actorId, several(1));
    const seen: string[] = [];
    for (let shard = 0; shard < store.shards; shard++) {
      for (const { actorId } of await all(store.readAll({ shards: [shard] }))) {
        assert.equal(shardOf(actorId, store.shards), shard);
        seen.push(actorId);
      }
    }
    assert.deepEqual(seen.toSorted(), actors.toSorted());
    const half = upTo(store.shards).map((number) => number - 1).filter((shard) => shard % 2 === 0);
    const even = (await all(store.readAll({ shards: half }))).map(({ actorId }) => actorId);
    assert.deepEqual(even, actors.filter((actorId) => shardOf(actorId, store.shards) % 2 === 0));
    assert.deepEqual(await all(store.readAll({ shards: [] })), []);
  },

  async "history and live join without gap or duplicate while others write"({ store, another }) {
    const total = 400;
    const writer = await another();
    for (const by of upTo(100)) await writer.append(`order-${by % 7}`, [added(by)]);
    const seen: Commit[] = [];
    const reading = (async () => {
      for await (const commit of store.readAll({ live: true })) {
        seen.push(commit);
        if (seen.length === total) return;
      }
    })();
    for (const by of upTo(total).slice(100)) await writer.append(`order-${by % 7}`, [added(by)]);
    await reading;
    assert.deepEqual(seen.map(({ events }) => (events[0]?.data as { by: number }).by), upTo(total));
    assert.deepEqual(await all(store.readAll()), seen);
  },

  async "a live reader with a filter gets what comes for it, and only that"({ store }) {
    const shard = shardOf("order-1", store.shards);
    const filters = [{ actorTypes: ["order"] }, { actorId: "order-1" }, { shards: [shard], eventTypes: ["Added"] }];
    const readers = filters.map(async (filter) => {
      const seen: Commit[] = [];
      for await (const commit of store.readAll({ ...filter, live: true })) {
        seen.push(commit);
        if (seen.length === 3) break;
      }
      return outline(seen);
    });
    for (const _ of upTo(3)) {
      await store.append("account-1", several(1));
      await store.append("order-1", several(1));
    }
    const expected = ["order-1@1 [1]", "order-1@2 [2]", "order-1@3 [3]"];
    assert.deepEqual(await Promise.all(readers), [expected, expected, expected]);
  },

  async "onCaughtUp is called once, when everything stored so far was delivered"({ store }) {
    await fill(store);
    const end = await store.position();
    const calls: string[] = [];
    const options = { onCaughtUp: (position: number) => calls.push(`caught up at ${position}`) };
    for await (const { position } of store.readAll(options)) calls.push(`commit ${position}`);
    assert.equal(calls.length, 6);
    assert.equal(calls.at(-1), `caught up at ${end}`);
    calls.length = 0;
    const appending = { ...options, onCaughtUp: (): void => void store.append("order-1", several(2)) };
    for await (const commit of store.readAll({ ...appending, live: true, after: end })) {
      calls.push(...outline([commit]));
      if (calls.length === 1) await store.append("order-1", several(1));
      else break;
    }
    assert.deepEqual(calls, ["order-1@5 [4,5]", "order-1@6 [6]"]);
  },

  async "onCaughtUp comes before what was stored after the call"({ store }) {
    await fill(store);
    const end = await store.position();
    const order: string[] = [];
    const options = { actorTypes: ["order"], live: true, onCaughtUp: (): void => void order.push("caught up") };
    for await (const { position } of store.readAll(options)) {
      order.push(position > end ? "new" : "old");
      if (order.length === 1) await store.append("order-1", several(1)); // while the history is read
      if (position > end) break;
    }
    assert.deepEqual(order, ["old", "old", "old", "old", "caught up", "new"]);
  },

  async "since gives what was stored at a moment or later, together with after what holds for both"({ store }) {
    await store.append("order-1", several(1));
    const [first] = await all(store.readAll());
    await laterThan(first?.storedAt);
    await store.append("order-2", several(2));
    await store.append("order-1", several(1));
    const [, second, third] = await all(store.readAll());
    const read = async (options: object): Promise<string[]> => outline(await all(store.readAll(options)));
    const since = second?.storedAt ?? "";
    const late = ["order-2@2 [1,2]", "order-1@2 [2]"];
    assert.deepEqual(await read({ since }), late);
    assert.deepEqual(await read({ since: new Date(since) }), late);
    assert.deepEqual(await read({ since: since.replace("Z", "+00:00") }), late);
    assert.deepEqual(await read({ since, after: second?.position }), late.slice(1));
    assert.deepEqual(
      await read({ since, actorTypes: ["order"], shards: [shardOf("order-1", store.shards)] }),
      late.slice(1),
    );
    assert.equal((await read({ since: first?.storedAt })).length, 3);
    assert.equal((await read({ since: "1999-12-31" })).length, 3);
    assert.equal((await read({ since: new Date(-8.64e15) })).length, 3);
    assert.deepEqual(await read({ since: first?.storedAt, after: third?.position }), []);
    assert.deepEqual(await read({ since: "2999-12-31T23:59:59.999Z" }), []);
    assert.deepEqual(await read({ since: new Date(8.64e15) }), []);
    for (const wrong of ["", "yesterday", "2026-01-31T12:00", "2026-02-31", "2026", new Date(NaN), 5, null]) {
      await rejects(all(store.readAll({ since: wrong as string })), "INVALID_ARGUMENT", { argument: "since" });
    }
  },

  async "since a moment that is still to come, a live reader gives what is stored from then on"({ store }) {
    await store.append("order-1", several(1));
    const moment = Date.now() + 100;
    const stop = new AbortController();
    const seen: Commit[] = [];
    const reading = (async () => {
      for await (const commit of store.readAll({ since: new Date(moment), live: true, signal: stop.signal })) {
        seen.push(commit);
        return;
      }
    })();
    while (seen.length === 0 && Date.now() < moment + 5_000) await store.append("order-1", several(1));
    await reading;
    assert.ok(Date.parse(seen[0]?.storedAt ?? "") >= moment);
    assert.deepEqual((await all(store.readAll({ since: new Date(moment) })))[0], seen[0]);
  },

  async "onUndecodable is not called where everything is a commit"({ store }) {
    await fill(store);
    const onUndecodable = (error: Error): never => assert.fail(error);
    assert.equal((await all(store.readAll({ onUndecodable }))).length, 5);
  },

  async "calls of next that do not wait for each other are answered in order"({ store }) {
    await fill(store);
    const expected = await all(store.readAll());
    const iterator = store.readAll()[Symbol.asyncIterator]();
    const answers = await Promise.all(upTo(7).map(() => iterator.next()));
    assert.deepEqual(answers.map(({ value }) => value), [...expected, undefined, undefined]);
    assert.deepEqual(answers.map(({ done }) => done ?? false), [...expected.map(() => false), true, true]);
  },

  async "onProgress tells the position reached also where the filter lets nothing through"({ store }) {
    await fill(store);
    const reached: number[] = [];
    const onProgress = (position: number): void => void reached.push(position);
    assert.deepEqual(await all(store.readAll({ actorTypes: ["none"], onProgress })), []);
    assert.equal(reached.at(-1), await store.position());
  },

  async "a live reader ends by break, and by its signal with the reason"({ store }) {
    await fill(store);
    const reason = new Error("enough");
    const stop = new AbortController();
    const reader = async (): Promise<void> => {
      for await (const _ of store.readAll({ live: true, signal: stop.signal, onCaughtUp: () => stop.abort(reason) }));
    };
    await assert.rejects(reader(), reason);
    for await (const _ of store.readAll({ live: true })) break;
    const soon = new AbortController();
    const positions: number[] = [];
    const history = async (): Promise<void> => {
      for await (const { position } of store.readAll({ signal: soon.signal })) {
        positions.push(position);
        if (positions.length === 2) soon.abort(reason);
      }
    };
    await assert.rejects(history(), reason);
    assert.equal(positions.length, 2);
  },

  async "a reader slower than the writers gets everything in order"({ store }) {
    await Promise.all(upTo(5_000).map((by) => store.append(`order-${by % 50}`, [added(by)])));
    const seen: number[] = [];
    for await (const { events } of store.readAll()) {
      seen.push((events[0]?.data as { by: number }).by);
      if (seen.length % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.deepEqual(seen.toSorted((a, b) => a - b), upTo(5_000));
  },

  async "listActors gives the living with their versions"({ store }) {
    assert.deepEqual(await all(store.listActors()), []);
    await fill(store);
    await store.append("order-3", several(2));
    await store.deleteActor("order-3");
    const byId = (list: { actorId: string; version: number }[]): string[] =>
      list.map(({ actorId, version }) => `${actorId}@${version}`).toSorted();
    assert.deepEqual(byId(await all(store.listActors())), ["account-1@1", "order-1@3", "order-2@1", "order@1"]);
    const orders = ["order-1@3", "order-2@1", "order@1"];
    assert.deepEqual(byId(await all(store.listActors({ actorType: "order" }))), orders);
    for (const actorType of ["none", "ord", "x".repeat(9_000), "*", "\ud800"]) {
      assert.deepEqual(await all(store.listActors({ actorType })), []);
      assert.deepEqual(await all(store.readAll({ actorTypes: [actorType] })).then(outline), []);
    }
  },

  async "listActors finds every one of a thousand"({ store }) {
    const actors = upTo(1_000).map((number) => `order-${number}`);
    await Promise.all(actors.map((actorId) => store.append(actorId, several(1))));
    const listed = (await all(store.listActors())).map(({ actorId }) => actorId);
    assert.deepEqual(listed.toSorted(), actors.toSorted());
  },
};
