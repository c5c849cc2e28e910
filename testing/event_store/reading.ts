import assert from "node:assert/strict";
import type { Event } from "../../event.ts";
import type { Commit, ReadActorOptions } from "../../store/event_store.ts";
import { added, all, eventOf, outline, type Promises, rejects, several, upTo, versions } from "./scene.ts";

/** Reads of one actor. */
export const reading: Promises = {
  async "an actor that never was has version 0 and no events"({ store }) {
    assert.equal(await store.position(), 0);
    assert.deepEqual(await store.getEvents("order-1"), []);
    assert.deepEqual(await all(store.readActor("order-1")), []);
    for (const consistency of ["session", "leader", "cached"] as const) {
      assert.equal(await store.getLatestVersion("order-1", { consistency }), 0);
    }
  },

  async "getEvents gives every event from a version on, and 0 and 1 both mean all"({ store }) {
    for (const count of [1, 3, 2]) await store.append("order-1", several(count));
    await store.append("order-2", several(4));
    assert.deepEqual(versions(await store.getEvents("order-1")), [1, 2, 3, 4, 5, 6]);
    for (const from of [0, 1]) assert.deepEqual(versions(await store.getEvents("order-1", from)), [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(versions(await store.getEvents("order-1", 3)), [3, 4, 5, 6]);
    assert.deepEqual(versions(await store.getEvents("order-1", 6)), [6]);
    assert.deepEqual(await store.getEvents("order-1", 7), []);
  },

  async "toVersion, limit and last cut the range, inside commits too"({ store }) {
    for (const count of [1, 3, 2]) await store.append("order-1", several(count));
    const read = async (from: number, options: object): Promise<number[]> =>
      versions(await store.getEvents("order-1", from, options));
    assert.deepEqual(await read(0, { toVersion: 3 }), [1, 2, 3]);
    assert.deepEqual(await read(3, { toVersion: 5 }), [3, 4, 5]);
    assert.deepEqual(await read(5, { toVersion: 4 }), []);
    assert.deepEqual(await read(0, { toVersion: 0 }), []);
    assert.deepEqual(await read(2, { limit: 2 }), [2, 3]);
    assert.deepEqual(await read(0, { limit: 0 }), []);
    assert.deepEqual(await read(0, { limit: 99 }), [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(await read(0, { last: 3 }), [4, 5, 6]);
    assert.deepEqual(await read(0, { last: 0 }), []);
    assert.deepEqual(await read(0, { last: 99 }), [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(await read(6, { last: 3 }), [6]);
    assert.deepEqual(await read(0, { last: 2, toVersion: 3 }), [2, 3]);
  },

  async "afterPosition and toPosition take whole commits: several actors as of one moment"({ store }) {
    const first = await store.append("order-1", several(2));
    const other = await store.append("order-2", several(1));
    const second = await store.append("order-1", several(2));
    const read = async (options: object): Promise<number[]> => versions(await store.getEvents("order-1", 0, options));
    assert.deepEqual(await read({ toPosition: first.position }), [1, 2]);
    assert.deepEqual(await read({ toPosition: other.position }), [1, 2]);
    assert.deepEqual(await read({ toPosition: second.position }), [1, 2, 3, 4]);
    assert.deepEqual(await read({ toPosition: 0 }), []);
    assert.deepEqual(await read({ afterPosition: first.position }), [3, 4]);
    assert.deepEqual(await read({ afterPosition: other.position, last: 1 }), [4]);
    assert.deepEqual(await read({ afterPosition: second.position }), []);
    assert.deepEqual(await read({ afterPosition: second.position + 99 }), []);
  },

  async "a read includes the position that it is told of, whoever wrote there"({ store, another }) {
    const other = await another();
    for (const by of upTo(20)) {
      const { position: atLeast } = await other.append("order-1", [added(by)]);
      assert.equal(await store.getLatestVersion("order-1", { consistency: "cached", atLeast }), by);
      assert.deepEqual(versions(await store.getEvents("order-1", 0, { atLeast })), upTo(by));
      assert.equal((await all(store.readActor("order-1", { last: 1, atLeast })))[0]?.version, by);
      assert.equal(await store.getLatestVersion("order-2", { atLeast }), 0);
    }
  },

  async "readActor gives commits, of one partly in the range only the events in it"({ store }) {
    for (const count of [2, 3, 1]) await store.append("order-1", several(count));
    const read = async (options: object): Promise<string[]> => outline(await all(store.readActor("order-1", options)));
    assert.deepEqual(await read({}), ["order-1@2 [1,2]", "order-1@5 [3,4,5]", "order-1@6 [6]"]);
    assert.deepEqual(await read({ fromVersion: 4 }), ["order-1@5 [4,5]", "order-1@6 [6]"]);
    assert.deepEqual(await read({ toVersion: 3 }), ["order-1@2 [1,2]", "order-1@5 [3]"]);
    assert.deepEqual(await read({ lastCommits: 2 }), ["order-1@5 [3,4,5]", "order-1@6 [6]"]);
    assert.deepEqual(await read({ lastCommits: 2, last: 3 }), ["order-1@5 [4,5]", "order-1@6 [6]"]);
    assert.deepEqual(await read({ lastCommits: 0 }), []);
    assert.deepEqual(await read({ limit: 3 }), ["order-1@2 [1,2]", "order-1@5 [3]"]);
  },

  async "readActor goes on behind a commit that is known, and refuses one that is not"({ store }) {
    const first = await store.append("order-1", several(2));
    const other = await store.append("order-2", several(2));
    const last = await store.append("order-1", several(1));
    const read = async (from: { position: number; version: number }): Promise<string[]> =>
      outline(await all(store.readActor("order-1", { from })));
    assert.deepEqual(await read(first), ["order-1@3 [3]"]);
    assert.deepEqual(await read(last), []);
    const wrong = [
      { position: first.position, version: 1 },
      { position: other.position, version: 2 },
      { position: last.position + 1, version: 3 },
      { position: 0, version: 0 },
    ];
    for (const from of wrong) await rejects(read(from), "INVALID_ARGUMENT", { argument: "from" });
    const nobody = all(store.readActor("order-9", { from: first }));
    await rejects(nobody, "INVALID_ARGUMENT", { argument: "from" });
  },

  async "the latest version is the same at every consistency, and cached is what was last known"({ store, another }) {
    await store.append("order-1", several(3));
    for (const consistency of ["session", "leader", "cached"] as const) {
      assert.equal(await store.getLatestVersion("order-1", { consistency }), 3);
    }
    const other = await another();
    await other.append("order-1", several(2));
    assert.equal(await store.getLatestVersion("order-1"), 5);
    assert.equal(await store.getLatestVersion("order-1", { consistency: "cached" }), 5);
    assert.equal((await store.getEvents("order-1", 0, { consistency: "leader" })).length, 5);
  },

  async "a store whose knowledge is stale still appends behind what others have written"({ store, another }) {
    await store.append("order-1", several(1));
    const other = await another();
    await other.append("order-1", several(2));
    assert.equal((await store.append("order-1", several(1))).version, 4);
    await other.append("order-1", several(1), { expectedVersion: 4 });
    const conflict = { expectedVersion: 4, actualVersion: 5 };
    await rejects(store.append("order-1", several(1), { expectedVersion: 4 }), "VERSION_CONFLICT", conflict);
    assert.equal((await store.append("order-1", several(1), { expectedVersion: 5 })).version, 6);
  },

  async "long histories are read whole and in order"({ store }) {
    for (let version = 0; version < 2_500; version += 250) {
      await Promise.all(upTo(250).map(() => store.append("order-1", [added("x".repeat(50))])));
      await store.append("order-2", several(1));
    }
    assert.deepEqual(versions(await store.getEvents("order-1")), upTo(2_500));
    assert.deepEqual(versions(await store.getEvents("order-1", 2_001)), upTo(2_500).slice(2_000));
    assert.deepEqual(versions(await store.getEvents("order-1", 0, { last: 3 })), [2_498, 2_499, 2_500]);
    assert.equal((await all(store.readActor("order-1"))).length, 2_500);
  },

  async "every range gives what a plain filter gives, of large commits and of versions with gaps too"({ store }) {
    const saved = (version: number): Promise<Commit> => store.saveEvent(eventOf("order-1", version));
    const large = upTo(7).map(() => added("x".repeat(7_000))); // several messages
    const history: Commit[] = [];
    for (
      const write of [
        () => store.append("order-1", several(3)),
        () => store.append("order-1", large),
        () => saved(20),
        () => store.append("order-1", several(1)),
        () => saved(40),
        () => store.append("order-1", several(5)),
      ]
    ) {
      history.push(await write());
      await store.append("order-2", several(2));
    }
    const bounds = [0, 1, 2, 9, 10, 11, 20, 21, 39, 40, 44, 45, 46];
    for (const fromVersion of bounds) {
      for (const toVersion of [undefined, ...bounds]) {
        for (const end of [{}, { last: 1 }, { last: 6 }, { lastCommits: 2 }, { limit: 1 }, { limit: 6 }]) {
          const options = { fromVersion, ...(toVersion !== undefined && { toVersion }), ...end };
          const read = outline(await all(store.readActor("order-1", options)));
          assert.deepEqual(read, outline(selected(history, options)), JSON.stringify(options));
        }
      }
    }
    for (const [index, { position, version }] of history.entries()) {
      for (const end of [{}, { last: 3 }, { lastCommits: 1 }, { limit: 2 }]) {
        const behind = outline(selected(history.slice(index + 1), end));
        assert.deepEqual(outline(await all(store.readActor("order-1", { afterPosition: position, ...end }))), behind);
        assert.deepEqual(
          outline(await all(store.readActor("order-1", { from: { position, version }, ...end }))),
          behind,
        );
        const upTo = outline(selected(history.slice(0, index + 1), end));
        assert.deepEqual(outline(await all(store.readActor("order-1", { toPosition: position, ...end }))), upTo);
      }
    }
  },

  async "what a conflict has missed is read from behind the version that was expected"({ store, another }) {
    await store.append("order-1", several(2));
    const other = await another();
    await other.append("order-1", several(1));
    await other.append("order-2", several(1));
    await other.append("order-1", several(2));
    const fields = await rejects(store.append("order-1", several(1), { expectedVersion: 2 }), "VERSION_CONFLICT");
    assert.deepEqual(versions(await store.getEvents("order-1", Number(fields.expectedVersion) + 1)), [3, 4, 5]);
    assert.equal((await store.append("order-1", several(1), { expectedVersion: fields.actualVersion })).version, 6);
  },

  async "a read includes what this store has written, however much it has written since"({ store }) {
    const first = await store.append("order-1", several(2));
    await Promise.all(upTo(300).map((number) => store.append(`other-${number}`, several(1))));
    assert.equal(await store.getLatestVersion("order-1"), 2);
    assert.deepEqual(versions(await store.getEvents("order-1")), [1, 2]);
    const last = await store.append("order-1", several(1));
    await Promise.all(upTo(300).map((number) => store.append(`other-${number}`, several(1))));
    assert.deepEqual(outline(await all(store.readActor("order-1", { from: first }))), ["order-1@3 [3]"]);
    assert.deepEqual(outline(await all(store.readActor("order-1", { from: last }))), []);
    assert.deepEqual(versions(await store.getEvents("order-1", 3)), [3]);
  },

  async "a read from the leader includes what others were told is stored"({ store, another }) {
    const others = await Promise.all(upTo(3).map(() => another()));
    for (const round of upTo(10)) {
      const other = others[round % others.length] ?? store;
      await other.append("order-1", several(1));
      const leader = { consistency: "leader" } as const;
      assert.equal(await store.getLatestVersion("order-1", leader), round);
      assert.deepEqual(versions(await store.getEvents("order-1", 0, leader)), upTo(round));
      assert.deepEqual(versions(await store.getEvents("order-1", 0, { last: 1, ...leader })), [round]);
    }
  },

  async "a read while others write gives a beginning of the history, without a gap"({ store, another }) {
    const other = await another();
    const writing = (async () => {
      for (const _ of upTo(150)) await other.append("order-1", several(2));
    })();
    for (let seen = 0; seen < 300;) {
      const read = versions(await store.getEvents("order-1"));
      assert.deepEqual(read, upTo(read.length));
      assert.ok(read.length >= seen && read.length % 2 === 0);
      seen = read.length;
    }
    await writing;
  },

  async "an aborted read rejects with its reason and never looks like a short one"({ store }) {
    for (let count = 0; count < 5; count++) await store.append("order-1", several(1));
    const reason = new Error("enough");
    const aborted = AbortSignal.abort(reason);
    const calls = [
      store.getEvents("order-1", 0, { signal: aborted }),
      store.getLatestVersion("order-1", { signal: aborted }),
      store.position({ signal: aborted }),
      all(store.readActor("order-1", { signal: aborted })),
      all(store.readAll({ signal: aborted })),
      all(store.listActors({ signal: aborted })),
      store.append("order-1", several(1), { signal: aborted }),
      store.transact([{ actorId: "order-1", events: several(1) }], { signal: aborted }),
      store.saveEvent(eventOf("order-1", 9), { signal: aborted }),
      store.deleteActor("order-1", { signal: aborted }),
    ];
    for (const call of calls) await assert.rejects(call, reason);
    assert.equal(await store.getLatestVersion("order-1"), 5);
    for (const read of [store.readActor.bind(store, "order-1"), store.readAll.bind(store)]) {
      const stop = new AbortController();
      let seen = 0;
      const reader = async (): Promise<void> => {
        for await (const _ of read({ signal: stop.signal })) if (++seen === 2) stop.abort(reason);
      };
      await assert.rejects(reader(), reason);
      assert.equal(seen, 2);
    }
  },
};

/** What `readActor` promises of the versions of a history, written down plainly. */
function selected(history: readonly Commit[], options: ReadActorOptions): Commit[] {
  const { fromVersion = 0, toVersion = Infinity, limit = Infinity, last = Infinity, lastCommits = Infinity } = options;
  const isIn = ({ version }: { readonly version: number }): boolean => version >= fromVersion && version <= toVersion;
  const commits = cut(history, isIn).slice(-lastCommits);
  const events = commits.flatMap((commit) => commit.events);
  const wanted = new Set(last < Infinity ? events.slice(-last) : events.slice(0, limit));
  return cut(commits, (event) => wanted.has(event));
}

function cut(commits: readonly Commit[], isIn: (event: Event) => boolean): Commit[] {
  return commits.map((commit) => ({ ...commit, events: commit.events.filter(isIn) }))
    .filter(({ events }) => events.length > 0);
}
