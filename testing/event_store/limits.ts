import assert from "node:assert/strict";
import { added, all, eventOf, outline, type Promises, rejects, several, upTo, versions } from "./scene.ts";

/** Ids that have broken other stores. */
export const HOSTILE_IDS: readonly string[] = [
  "a.b",
  "a*",
  ">",
  "*",
  "-x",
  "-",
  "order-",
  "a=2Eb",
  "a.b-1",
  "ü",
  "ü-1",
  "a b",
  " ",
  "__proto__",
  "constructor",
  "x".repeat(200),
  "🦀-1",
  "a/b",
  "$JS.API",
  "a\tb\nc",
  "\u0000",
  "%41",
  "A-1",
  "a-1",
]; // deno-fmt-ignore

/** Ids and sizes at the edges. */
export const limits: Promises = {
  async "hostile ids are ids like any other, and none touches another"({ store }) {
    for (const [index, actorId] of HOSTILE_IDS.entries()) {
      await store.append(actorId, [added(index)], { expectedVersion: 0 });
    }
    for (const [index, actorId] of HOSTILE_IDS.entries()) {
      assert.deepEqual((await store.getEvents(actorId)).map(({ data }) => data), [{ by: index }]);
      assert.equal(await store.getLatestVersion(actorId), 1);
      assert.deepEqual(outline(await all(store.readAll({ actorId }))), [`${actorId}@1 [1]`]);
      assert.equal((await store.append(actorId, [added(index)])).version, 2);
    }
    const listed = (await all(store.listActors())).map(({ actorId }) => actorId);
    assert.deepEqual(listed.toSorted(), HOSTILE_IDS.toSorted());
    for (const actorId of HOSTILE_IDS.slice(0, 5)) await store.deleteActor(actorId);
    const living = (await all(store.listActors())).map(({ actorId }) => actorId);
    assert.deepEqual(living.toSorted(), HOSTILE_IDS.slice(5).toSorted());
  },

  async "hostile event types, event ids and metadata come back as they were"({ store }) {
    const strange = ["__proto__", "a.b", ">", "\r\nNats-Msg-Id: x", "🦀", " ", "\u0000", '"', "constructor"];
    for (const [index, text] of strange.entries()) {
      const metadata = JSON.parse(JSON.stringify({ note: text, [`k${text}`]: text, ["__proto__"]: text }));
      await store.append("order-1", [{ id: text, eventType: text, data: { [text]: text, index }, metadata }]);
      const [event] = await store.getEvents("order-1", index + 1);
      assert.deepEqual([event?.id, event?.eventType], [text, text]);
      assert.equal(JSON.stringify(event?.metadata), JSON.stringify(metadata));
    }
    const byType = await all(store.readAll({ eventTypes: ["__proto__"] }));
    assert.deepEqual(outline(byType), ["order-1@1 [1]"]);
  },

  async "an event at the size limit is stored, one byte more is an EventTooLargeError with both sizes"({ store }) {
    const attempt = (length: number): Promise<unknown> =>
      store.saveEvent(eventOf("order-1", 1, { id: "sized", data: "x".repeat(length) }));
    const huge = 9 * 1_048_576;
    const { size, limit } = await rejects(attempt(huge), "EVENT_TOO_LARGE");
    assert.ok(size > huge && limit < huge);
    const longest = huge - (size - limit);
    await rejects(attempt(longest + 1), "EVENT_TOO_LARGE", { size: limit + 1, limit });
    const twoBytes = store.saveEvent(eventOf("order-1", 1, { id: "sized", data: `ü${"x".repeat(longest - 1)}` }));
    await rejects(twoBytes, "EVENT_TOO_LARGE", { size: limit + 1, limit });
    assert.equal(await store.position(), 0);
    await attempt(longest);
    for (const consistency of ["session", "leader"] as const) {
      const [event] = await store.getEvents("order-1", 0, { consistency });
      assert.equal((event?.data as string).length, longest);
    }
    const mixed = [added(), added("x".repeat(huge))];
    await rejects(store.append("order-2", mixed), "EVENT_TOO_LARGE", { limit });
    assert.equal(await store.getLatestVersion("order-2"), 0);
  },

  async "an append of any size is one commit"({ store }) {
    const sizes = [1_000, 40, 15_000, 17_000, 16_384, 16_383, 2, 8_000, 8_000, 30_000];
    const { version, position, events } = await store.append("order-1", sizes.map((size) => added("x".repeat(size))));
    assert.equal(version, sizes.length);
    const [commit, ...rest] = await all(store.readActor("order-1"));
    assert.deepEqual([commit?.version, commit?.position, commit?.events], [version, position, events]);
    assert.deepEqual(rest, []);
    assert.deepEqual(outline(await all(store.readAll())), [`order-1@10 [${upTo(10)}]`]);
    assert.deepEqual(versions(await store.getEvents("order-1", 5, { toVersion: 7 })), [5, 6, 7]);
    await store.append("order-1", several(1), { expectedVersion: 10 });
    assert.equal((await store.append("order-1", upTo(30).map(() => added("y".repeat(9_000))))).version, 41);
    assert.deepEqual(versions(await store.getEvents("order-1")), upTo(41));
    assert.deepEqual(outline(await all(store.readAll({ after: position }))).length, 2);
  },

  async "an append at each size around the limit of a message comes back whole"({ store }) {
    const first = eventOf("order-1", 1);
    const overhead = JSON.stringify([first, { ...first, data: "" }]).length;
    for (const [index, total] of [16_382, 16_383, 16_384, 16_385, 16_386].entries()) {
      const actorId = `order-${index + 1}`;
      const { eventType, timestamp } = first;
      const length = total - overhead;
      const events = [{ ...first, actorId }, { id: crypto.randomUUID(), eventType, timestamp, data: "x".repeat(length) }];
      const { version } = await store.append(actorId, events, { expectedVersion: 0 });
      assert.equal(version, 2);
      const stored = await store.getEvents(actorId);
      assert.deepEqual(stored.map(({ data }) => data), [first.data, "x".repeat(length)]);
      assert.equal((await store.append(actorId, several(1), { expectedVersion: 2 })).version, 3);
    }
  },

  async "an append larger than any message is stored whole, conflicts whole and is repeated once"({ store }) {
    const events = upTo(60).map((by) => added("x".repeat(50_000), { id: `event ${by}` }));
    const first = await store.append("order-1", events, { expectedVersion: 0 });
    assert.deepEqual(await store.append("order-1", events, { expectedVersion: 0 }), { ...first, duplicate: true });
    const other = events.map(({ eventType, data }) => ({ eventType, data }));
    const conflict = { expectedVersion: 1, actualVersion: 60 };
    await rejects(store.append("order-1", other, { expectedVersion: 1 }), "VERSION_CONFLICT", conflict);
    assert.deepEqual(await store.getEvents("order-1"), [...first.events]);
    assert.deepEqual(outline(await all(store.readAll())), [`order-1@60 [${upTo(60)}]`]);
  },
};
