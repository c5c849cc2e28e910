import assert from "node:assert/strict";
import { added, all, eventOf, outline, type Promises, rejects, several, upTo, versions } from "./scene.ts";

/** `append` and `saveEvent`. */
export const appending: Promises = {
  async "append numbers an actor's events 1, 2, 3, … without gaps"({ store }) {
    assert.equal((await store.append("order-1", several(2))).version, 2);
    assert.equal((await store.append("order-1", several(1))).version, 3);
    assert.equal((await store.append("order-2", several(1))).version, 1);
    assert.deepEqual(versions(await store.getEvents("order-1")), [1, 2, 3]);
  },

  async "append gives back what is stored"({ store }) {
    const given = { eventType: "Added", data: { by: 1 }, metadata: { correlationId: "c" } };
    const { actorId, version, position, events, duplicate } = await store.append("order-1", [given, added(2)]);
    assert.deepEqual({ actorId, version, duplicate }, { actorId: "order-1", version: 2, duplicate: false });
    assert.deepEqual(events, await store.getEvents("order-1"));
    const [commit] = await all(store.readActor("order-1"));
    assert.deepEqual({ version, position, events }, {
      version: commit?.version,
      position: commit?.position,
      events: commit?.events,
    });
  },

  async "append fills in id and timestamp and keeps those that are given"({ store }) {
    const timestamp = "2001-02-03T04:05:06.007Z";
    const before = new Date().toISOString();
    const { events: [made, kept] } = await store.append("order-1", [added(), added(2, { id: "mine", timestamp })]);
    assert.match(made?.id ?? "", /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.match(made?.timestamp ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.ok(made && made.timestamp >= before);
    assert.deepEqual({ id: kept?.id, timestamp: kept?.timestamp }, { id: "mine", timestamp });
  },

  async "the metadata of an append lies under that of each event"({ store }) {
    const events = [added(), added(2, { metadata: { causationId: "own", note: "b" } })];
    await store.append("order-1", events, { metadata: { correlationId: "c", note: "a" } });
    const [first, second] = await store.getEvents("order-1");
    assert.deepEqual(first?.metadata, { correlationId: "c", note: "a" });
    assert.deepEqual(second?.metadata, { correlationId: "c", causationId: "own", note: "b" });
    const { events: [bare] } = await store.append("order-1", [added()]);
    assert.ok(bare && !("metadata" in bare));
  },

  async "events of one append are one commit"({ store }) {
    const { position } = await store.append("order-1", several(3));
    const commits = await all(store.readActor("order-1"));
    assert.deepEqual(outline(commits), ["order-1@3 [1,2,3]"]);
    assert.equal(commits[0]?.position, position);
    assert.match(commits[0]?.storedAt ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  },

  async "what is saved is a copy, taken at the time of the call"({ store }) {
    const data = { items: [{ count: 1 }] };
    const metadata: Record<string, string> = { note: "before" };
    const saving = store.append("order-1", [{ eventType: "Added", data, metadata }]);
    data.items[0] = { count: 2 };
    metadata.note = "after";
    const { events: [result] } = await saving;
    data.items.push({ count: 3 });
    const [stored] = await store.getEvents("order-1");
    assert.deepEqual(stored?.data, { items: [{ count: 1 }] });
    assert.deepEqual(result?.data, { items: [{ count: 1 }] });
    assert.equal(stored?.metadata?.note, "before");
  },

  async "what is read can be changed without changing what is stored"({ store }) {
    const { events } = await store.append("order-1", [added({ deep: [1] })]);
    const change = (event: { readonly data: unknown } | undefined): void => {
      (event?.data as { by: { deep: number[] } }).by.deep.push(2);
    };
    change(events[0]);
    change((await store.getEvents("order-1"))[0]);
    for await (const commit of store.readActor("order-1")) change(commit.events[0]);
    for await (const commit of store.readAll()) change(commit.events[0]);
    assert.deepEqual((await store.getEvents("order-1"))[0]?.data, { by: { deep: [1] } });
  },

  async "an expected version conflicts exactly when the latest differs, and says both"({ store }) {
    await rejects(store.append("order-1", several(1), { expectedVersion: 1 }), "VERSION_CONFLICT", {
      actorId: "order-1",
      expectedVersion: 1,
      actualVersion: 0,
    });
    await store.append("order-1", several(2), { expectedVersion: 0 });
    for (const expectedVersion of [0, 1, 3]) {
      const conflict = { actorId: "order-1", expectedVersion, actualVersion: 2 };
      await rejects(store.append("order-1", several(1), { expectedVersion }), "VERSION_CONFLICT", conflict);
    }
    assert.equal((await store.append("order-1", several(1), { expectedVersion: 2 })).version, 3);
    assert.deepEqual(versions(await store.getEvents("order-1")), [1, 2, 3]);
  },

  async 'the expectation "exists" is a real check, and "any" is none'({ store }) {
    await rejects(store.append("order-1", several(1), { expectedVersion: "exists" }), "VERSION_CONFLICT", {
      expectedVersion: "exists",
      actualVersion: 0,
    });
    assert.equal((await store.append("order-1", several(1), { expectedVersion: "any" })).version, 1);
    assert.equal((await store.append("order-1", several(1), { expectedVersion: "exists" })).version, 2);
  },

  async "no events with an expectation is a check that writes nothing"({ store }) {
    const nobody = await store.append("order-1", [], { expectedVersion: 0 });
    assert.deepEqual(nobody, { actorId: "order-1", version: 0, position: 0, events: [], duplicate: false });
    await rejects(store.append("order-1", [], { expectedVersion: "exists" }), "VERSION_CONFLICT");
    const { position } = await store.append("order-1", several(2));
    const check = await store.append("order-1", [], { expectedVersion: 2 });
    assert.deepEqual(check, { actorId: "order-1", version: 2, position, events: [], duplicate: false });
    await rejects(store.append("order-1", [], { expectedVersion: 1 }), "VERSION_CONFLICT", { actualVersion: 2 });
    assert.equal(await store.position(), position);
  },

  async "an append repeated with its ids and expectation is stored once and gives the first commit"(
    { store, another },
  ) {
    const events = [added(1, { id: "a" }), added(2, { id: "b" })];
    const first = await store.append("order-1", events, { expectedVersion: 0 });
    for (const repeating of [store, await another()]) {
      const again = await repeating.append("order-1", events, { expectedVersion: 0 });
      assert.deepEqual(again, { ...first, duplicate: true });
    }
    await store.append("order-1", several(3));
    assert.deepEqual(await store.append("order-1", events, { expectedVersion: 0 }), { ...first, duplicate: true });
    assert.equal(await store.getLatestVersion("order-1"), 5);
  },

  async "other ids, fewer ids or another expectation are no repetition"({ store }) {
    const events = [added(1, { id: "a" }), added(2, { id: "b" })];
    await store.append("order-1", several(1));
    await store.append("order-1", events, { expectedVersion: 1 });
    const conflict = { actualVersion: 3 };
    await rejects(store.append("order-1", events, { expectedVersion: 0 }), "VERSION_CONFLICT", conflict);
    await rejects(store.append("order-1", events, { expectedVersion: 2 }), "VERSION_CONFLICT", conflict);
    await rejects(store.append("order-1", events.slice(0, 1), { expectedVersion: 1 }), "VERSION_CONFLICT", conflict);
    await rejects(store.append("order-1", events.toReversed(), { expectedVersion: 1 }), "VERSION_CONFLICT", conflict);
    await rejects(
      store.append("order-1", [added(1, { id: "c" })], { expectedVersion: 1 }),
      "VERSION_CONFLICT",
      conflict,
    );
  },

  async "the same event id on two actors is two events"({ store }) {
    for (const actorId of ["order-1", "order-2"]) {
      const { duplicate } = await store.append(actorId, [added(1, { id: "same" })], { expectedVersion: 0 });
      assert.equal(duplicate, false);
    }
    assert.equal((await store.getEvents("order-2")).length, 1);
  },

  async "saveEvent keeps every field of the event"({ store }) {
    const event = eventOf("order-1", 1, { metadata: { correlationId: "c" } });
    const result = await store.saveEvent(event);
    assert.deepEqual(result.events, [event]);
    assert.deepEqual(await store.getEvents("order-1", 0), [event]);
    assert.deepEqual({ version: result.version, duplicate: result.duplicate }, { version: 1, duplicate: false });
  },

  async "saveEvent allows gaps, and append goes on behind them"({ store }) {
    await store.saveEvent(eventOf("order-1", 3));
    await store.saveEvent(eventOf("order-1", 10));
    assert.equal(await store.getLatestVersion("order-1"), 10);
    await store.append("order-1", several(2), { expectedVersion: 10 });
    assert.deepEqual(versions(await store.getEvents("order-1")), [3, 10, 11, 12]);
    assert.deepEqual(versions(await store.getEvents("order-1", 4)), [10, 11, 12]);
  },

  async "saveEvent conflicts unless its version is greater than the latest"({ store }) {
    await store.saveEvent(eventOf("order-1", 5));
    for (const version of [1, 4, 5]) {
      const conflict = { actorId: "order-1", expectedVersion: version - 1, actualVersion: 5 };
      await rejects(store.saveEvent(eventOf("order-1", version)), "VERSION_CONFLICT", conflict);
    }
    assert.equal((await store.getEvents("order-1")).length, 1);
  },

  async "saveEvent repeated with its id and version is stored once"({ store }) {
    const first = await store.saveEvent(eventOf("order-1", 3, { id: "a" }));
    await store.saveEvent(eventOf("order-1", 7, { id: "b" }));
    assert.deepEqual(await store.saveEvent(eventOf("order-1", 3, { id: "a" })), { ...first, duplicate: true });
    await rejects(store.saveEvent(eventOf("order-1", 3, { id: "b" })), "VERSION_CONFLICT");
    await rejects(store.saveEvent(eventOf("order-1", 2, { id: "a" })), "VERSION_CONFLICT");
    assert.equal((await store.getEvents("order-1")).length, 2);
  },

  async "a long history repeated in order is stored once, in one go"({ store }) {
    const events = upTo(600).map((version) => eventOf("order-1", version, { id: `event ${version}` }));
    for (const repeated of [false, true, true]) {
      const results = await Promise.all(events.map((event) => store.saveEvent(event)));
      assert.ok(results.every(({ duplicate }) => duplicate === repeated));
      assert.deepEqual(results.map(({ version }) => version), upTo(600));
    }
    assert.deepEqual(await store.getEvents("order-1"), events);
  },

  async "appends to one actor from one store are stored in the order of the calls"({ store }) {
    const results = await Promise.all(upTo(100).map((by) => store.append("order-1", [added(by)])));
    assert.deepEqual(results.map(({ version }) => version), upTo(100));
    const stored = await store.getEvents("order-1");
    assert.deepEqual(stored.map(({ data }) => (data as { by: number }).by), upTo(100));
  },

  async "a failed call does not hold up those behind it"({ store }) {
    const calls = [
      store.append("order-1", [added("first")]),
      store.append("order-1", [added("stale")], { expectedVersion: 7 }),
      store.append("order-1", [added("second")]),
    ];
    const outcomes = (await Promise.allSettled(calls)).map(({ status }) => status);
    assert.deepEqual(outcomes, ["fulfilled", "rejected", "fulfilled"]);
    assert.deepEqual((await store.getEvents("order-1")).map(({ data }) => data), [{ by: "first" }, { by: "second" }]);
  },

  async "any number of operations may be under way at once"({ store }) {
    const actors = upTo(200).map((number) => `order-${number}`);
    await Promise.all(actors.map((actorId, index) => store.append(actorId, several(1 + index % 3))));
    const read = await Promise.all(actors.map((actorId) => store.getEvents(actorId)));
    assert.deepEqual(read.map((events) => events.length), actors.map((_, index) => 1 + index % 3));
    const latest = await Promise.all(actors.map((actorId) => store.getLatestVersion(actorId)));
    assert.deepEqual(latest, actors.map((_, index) => 1 + index % 3));
  },
};
