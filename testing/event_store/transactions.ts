import assert from "node:assert/strict";
import { added, all, outline, type Promises, rejects, several, upTo, versions } from "./scene.ts";

/** `transact`. */
export const transactions: Promises = {
  async "a transaction stores several actors, each at its own version"({ store }) {
    await store.append("account-1", several(3));
    const [from, to] = await store.transact([
      { actorId: "account-1", events: [added("out")], expectedVersion: 3 },
      { actorId: "account-2", events: several(2) },
    ]);
    assert.deepEqual([from.version, to.version], [4, 2]);
    assert.ok(from.position < to.position);
    assert.deepEqual([from.duplicate, to.duplicate], [false, false]);
    assert.deepEqual(await store.getEvents("account-1", 4), [...from.events]);
    assert.deepEqual(await store.getEvents("account-2"), [...to.events]);
    const commits = await all(store.readAll());
    assert.deepEqual(outline(commits).slice(1), ["account-1@4 [4]", "account-2@2 [1,2]"]);
    assert.deepEqual(commits.slice(1).map(({ position }) => position), [from.position, to.position]);
    assert.equal((await store.append("account-1", several(1), { expectedVersion: 4 })).version, 5);
    assert.equal((await store.append("account-2", several(1), { expectedVersion: 2 })).version, 3);
  },

  async "a transaction stores all or nothing, and its conflict names the actor that lost"({ store }) {
    await store.append("account-2", several(2));
    const end = await store.position();
    const attempt = store.transact([
      { actorId: "account-1", events: several(1), expectedVersion: 0 },
      { actorId: "account-2", events: several(1), expectedVersion: 1 },
      { actorId: "account-3", events: several(1) },
    ]);
    const conflict = { actorId: "account-2", expectedVersion: 1, actualVersion: 2 };
    await rejects(attempt, "VERSION_CONFLICT", conflict);
    assert.equal(await store.position(), end);
    assert.equal(await store.getLatestVersion("account-1"), 0);
  },

  async "a check on an actor that is not written holds or stops the transaction"({ store }) {
    const { position } = await store.append("order-1", several(2));
    const commits = (expectedVersion: number | "exists") =>
      [
        { actorId: "account-1", events: several(1) },
        { actorId: "order-1", events: [], expectedVersion },
      ] as const;
    const [, check] = await store.transact(commits(2));
    assert.deepEqual(check, { actorId: "order-1", version: 2, position, events: [], duplicate: false });
    await store.transact(commits("exists"));
    await rejects(store.transact(commits(1)), "VERSION_CONFLICT", { actorId: "order-1", actualVersion: 2 });
    const absent = [
      { actorId: "account-1", events: several(1) },
      { actorId: "order-9", events: [], expectedVersion: 0 },
    ] as const;
    assert.equal((await store.transact(absent))[0].version, 3);
    await store.append("order-9", several(1));
    await rejects(store.transact(absent), "VERSION_CONFLICT", { actorId: "order-9", actualVersion: 1 });
    assert.deepEqual(versions(await store.getEvents("account-1")), [1, 2, 3]);
    assert.equal(await store.getLatestVersion("order-1"), 2);
    assert.equal((await store.append("account-1", several(1), { expectedVersion: 3 })).version, 4);
  },

  async "a transaction that makes no sense is an InvalidTransactionError"({ store }) {
    const refuse = (commits: Parameters<typeof store.transact>[0], actorIds: string[]): Promise<unknown> =>
      rejects(store.transact(commits), "INVALID_TRANSACTION", { actorIds });
    const write = { actorId: "a-1", events: several(1) };
    await refuse([write, { actorId: "a-2", events: several(1) }, write], ["a-1"]);
    await refuse([write, { actorId: "a-2", events: [] }], ["a-2"]);
    await refuse([write, { actorId: "a-2", events: [], expectedVersion: "any" }], ["a-2"]);
    await refuse([{ actorId: "a-1", events: [], expectedVersion: 0 }], ["a-1"]);
    await refuse([], []);
    assert.equal(await store.position(), 0);
  },

  async "a transaction of one commit is an append"({ store }) {
    const [{ version }] = await store.transact([{ actorId: "a-1", events: several(2), expectedVersion: 0 }]);
    assert.equal(version, 2);
  },

  async "the metadata of a transaction lies under that of each event"({ store }) {
    const metadata = { correlationId: "c" };
    await store.transact([{ actorId: "a-1", events: [added()] }, { actorId: "a-2", events: [added()] }], { metadata });
    for (const actorId of ["a-1", "a-2"]) {
      assert.deepEqual((await store.getEvents(actorId))[0]?.metadata, metadata);
    }
  },

  async "a repeated transaction is stored once and gives the first commits"({ store, another }) {
    await store.append("account-2", several(1));
    const commits = [
      { actorId: "account-0", events: [added(0, { id: "same" })] },
      { actorId: "account-1", events: [added(1, { id: "same" }), added(2, { id: "b" })], expectedVersion: 0 },
      { actorId: "account-2", events: [added(3, { id: "c" })] },
      { actorId: "order-1", events: [], expectedVersion: 0 },
    ] as const;
    const first = await store.transact(commits);
    for (const repeating of [store, await another()]) {
      const again = await repeating.transact(commits);
      assert.deepEqual(again, first.map((result) => ({ ...result, duplicate: true })));
    }
    await store.append("account-1", several(1));
    assert.equal((await store.transact(commits))[1].duplicate, true);
    assert.equal(await store.getLatestVersion("account-2"), 2);
    const other = [commits[1], { actorId: "account-2", events: [added(3, { id: "d" })] }] as const;
    await rejects(store.transact(other), "VERSION_CONFLICT", { actorId: "account-1", actualVersion: 3 });
  },

  async "what lies beside a commit by chance makes no repetition"({ store }) {
    await store.append("b-1", [added(1, { id: "x" })], { expectedVersion: 0 });
    await store.append("c-1", several(1));
    const same = { actorId: "b-1", events: [added(1, { id: "x" })], expectedVersion: 0 };
    const conflict = { actorId: "b-1", expectedVersion: 0, actualVersion: 1 };
    const other = { actorId: "a-1", events: [added(1, { id: "y" })] };
    await rejects(store.transact([other, same]), "VERSION_CONFLICT", conflict);
    await rejects(store.transact([same, other]), "VERSION_CONFLICT", conflict);
  },

  async "a repeated check tells what is found now"({ store, another }) {
    const commits = [
      { actorId: "b-1", events: [], expectedVersion: 0 },
      { actorId: "a-1", events: [added(1, { id: "x" })], expectedVersion: 0 },
    ];
    await store.transact(commits);
    const { position } = await (await another()).append("b-1", several(2));
    const [check] = await store.transact(commits);
    assert.deepEqual(check, { actorId: "b-1", version: 2, position, events: [], duplicate: true });
  },

  async "concurrent transfers conserve the money"({ store, another }) {
    const accounts = upTo(5).map((number) => `account-${number}`);
    const stores = [store, await another()];
    const balance = async (at: typeof store, actorId: string): Promise<{ sum: number; version: number }> => {
      const events = await at.getEvents(actorId);
      const sum = events.reduce((total, { data }) => total + (data as { by: number }).by, 0);
      return { sum, version: events.at(-1)?.version ?? 0 };
    };
    for (const actorId of accounts) await store.append(actorId, [added(100)]);
    const transfer = async (number: number): Promise<void> => {
      const at = stores[number % stores.length] ?? store;
      const [from = "", to = ""] = [accounts[number % 5], accounts[(number * 3 + 1) % 5]];
      if (from === to) return;
      for (;;) {
        const { sum, version } = await balance(at, from);
        if (sum < 10) return;
        try {
          await at.transact([
            { actorId: from, events: [added(-10)], expectedVersion: version },
            { actorId: to, events: [added(10)] },
          ]);
          return;
        } catch (error) {
          await rejects(Promise.reject(error), "VERSION_CONFLICT", { actorId: from });
        }
      }
    };
    await Promise.all(upTo(40).map(transfer));
    const balances = await Promise.all(accounts.map((actorId) => balance(store, actorId)));
    assert.equal(balances.reduce((total, { sum }) => total + sum, 0), 500);
    assert.ok(balances.every(({ sum }) => sum >= 0));
  },
};
