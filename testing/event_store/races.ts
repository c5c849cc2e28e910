import assert from "node:assert/strict";
import { isAetherError } from "../../errors.ts";
import { added, all, type Promises, upTo, versions } from "./scene.ts";

/** Several stores over the same events at once. */
export const races: Promises = {
  async "of 8 creators of one actor exactly one wins, 100 times of 100"({ store, another }) {
    const stores = [store, await another(), await another(), await another()];
    for (const round of upTo(100)) {
      const actorId = `order-${round}`;
      const attempts = upTo(8).map((number) => {
        const at = stores[number % stores.length] ?? store;
        return at.append(actorId, [added(number)], { expectedVersion: 0 });
      });
      const outcomes = await Promise.allSettled(attempts);
      const won = outcomes.filter(({ status }) => status === "fulfilled");
      assert.equal(won.length, 1, `round ${round}`);
      for (const outcome of outcomes) {
        if (outcome.status === "fulfilled") continue;
        if (!isAetherError(outcome.reason, "VERSION_CONFLICT")) throw outcome.reason;
        const { expectedVersion, actualVersion } = outcome.reason;
        assert.deepEqual({ expectedVersion, actualVersion }, { expectedVersion: 0, actualVersion: 1 });
      }
      assert.deepEqual(versions(await store.getEvents(actorId)), [1]);
    }
  },

  async 'appends with "any" from several stores are all stored, without gap'({ store, another }) {
    const stores = [store, await another(), await another()];
    const numbers = upTo(60);
    await Promise.all(numbers.map((by) => (stores[by % 3] ?? store).append("order-1", [added(by)])));
    const events = await store.getEvents("order-1");
    assert.deepEqual(versions(events), numbers);
    const stored = events.map(({ data }) => (data as { by: number }).by);
    assert.deepEqual(stored.toSorted((a, b) => a - b), numbers);
  },

  async "who reads, decides and expects what was read loses no update"({ store, another }) {
    const increment = async (at: typeof store): Promise<void> => {
      for (;;) {
        const events = await at.getEvents("counter-1");
        const last = events.at(-1);
        const count = (last?.data as { by: number } | undefined)?.by ?? 0;
        try {
          await at.append("counter-1", [added(count + 1)], { expectedVersion: last?.version ?? 0 });
          return;
        } catch (error) {
          if (!isAetherError(error, "VERSION_CONFLICT")) throw error;
        }
      }
    };
    const stores = [store, await another(), await another()];
    await Promise.all(stores.map(async (at) => {
      for (const _ of upTo(15)) await increment(at);
    }));
    const events = await store.getEvents("counter-1");
    assert.deepEqual(events.map(({ data }) => (data as { by: number }).by), upTo(45));
  },

  async "of a deletion and an append at the same version exactly one wins"({ store, another }) {
    const other = await another();
    let deletions = 0;
    for (const round of upTo(20)) {
      const actorId = `order-${round}`;
      await store.append(actorId, [added()]);
      const outcomes = await Promise.allSettled([
        other.append(actorId, [added(2)], { expectedVersion: 1 }),
        store.deleteActor(actorId, { expectedVersion: 1 }),
      ]);
      assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
      const [appended] = outcomes;
      const events = await other.getEvents(actorId, 0, { consistency: "leader" });
      assert.equal(events.length, appended.status === "fulfilled" ? 2 : 0);
      if (appended.status === "rejected") deletions++;
    }
    assert.equal((await all(store.readAll())).filter(({ deleted }) => deleted).length, deletions);
  },
};
