import assert from "node:assert/strict";
import type { Event, NewEvent } from "../../event.ts";
import { added, all, eventOf, type Promises, rejects, several } from "./scene.ts";

class Money {
  readonly cents = 1;
}

function cycle(): unknown {
  const list: unknown[] = [];
  list.push({ list });
  return list;
}

function deep(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = [value];
  return value;
}

/** What JSON would lose or change, and the path to it. */
const BAD_DATA: Readonly<Record<string, readonly [data: unknown, path: string]>> = {
  "undefined at the top": [undefined, "data"],
  "undefined in an array": [{ items: [1, 2, undefined] }, "data.items[2]"],
  // deno-lint-ignore no-sparse-arrays
  "a hole": [{ items: [1, , 3] }, "data.items[1]"],
  "a named property of an array": [{ items: Object.assign([1], { sum: 1 }) }, "data.items"],
  "a BigInt": [{ total: 1n }, "data.total"],
  NaN: [{ total: NaN }, "data.total"],
  Infinity: [[-Infinity], "data[0]"],
  "a function": [{ items: [{ run: () => 1 }] }, "data.items[0].run"],
  "a symbol": [Symbol("x"), "data"],
  "a symbol key": [{ inner: { [Symbol("x")]: 1 } }, "data.inner"],
  "a Date": [{ at: new Date(0) }, "data.at"],
  "a Map": [new Map(), "data"],
  "a Set": [{ tags: new Set() }, "data.tags"],
  "a RegExp": [{ rule: /x/ }, "data.rule"],
  "a typed array": [{ bytes: new Uint8Array(2) }, "data.bytes"],
  "a class instance": [{ price: new Money() }, "data.price"],
  "a boxed string": [{ name: Object("x") }, "data.name"],
  "a subclass of Array": [{ items: new (class extends Array {})() }, "data.items"],
  toJSON: [{ value: { toJSON: () => 1 } }, "data.value.toJSON"],
  "a hidden toJSON": [{ value: Object.defineProperty({}, "toJSON", { value: () => 1 }) }, "data.value.toJSON"],
  "a cycle": [{ list: cycle() }, "data.list[0].list"],
  "an odd key": [{ "a b": { "1": undefined, "x-y": NaN } }, 'data["a b"]["x-y"]'],
};

/** Fields of an event that are wrong, and the path. */
const BAD_FIELDS: readonly (readonly [fields: Record<string, unknown>, path: string])[] = [
  [{ id: "" }, "id"],
  [{ id: 7 }, "id"],
  [{ id: "x".repeat(129) }, "id"],
  [{ eventType: "" }, "eventType"],
  [{ eventType: undefined }, "eventType"],
  [{ timestamp: "" }, "timestamp"],
  [{ timestamp: "yesterday" }, "timestamp"],
  [{ timestamp: "2026-01-31T12:00:00Z" }, "timestamp"],
  [{ timestamp: "2026-02-31T12:00:00.000Z" }, "timestamp"],
  [{ timestamp: "2026-01-31T12:00:00.000+01:00" }, "timestamp"],
  [{ timestamp: 0 }, "timestamp"],
  [{ metadata: "text" }, "metadata"],
  [{ metadata: ["text"] }, "metadata"],
  [{ metadata: { x: 1 } }, "metadata.x"],
  [{ metadata: { x: null } }, "metadata.x"],
];

const BAD_IDS: readonly unknown[] = ["", "x".repeat(513), "🦀".repeat(50), "\ud800", undefined, 7, null];

/** What is refused before anything is sent. */
export const badInput: Promises = {
  async "data that JSON would lose or change is an InvalidEventError with its path"({ store }) {
    for (const [what, [data, path]] of Object.entries(BAD_DATA)) {
      await rejects(store.append("order-1", [{ eventType: "Bad", data }]), "INVALID_EVENT", { path }).catch(
        named(what),
      );
      await rejects(store.append("order-1", [added(), { eventType: "Bad", data }]), "INVALID_EVENT", { path });
      await rejects(store.saveEvent(eventOf("order-1", 1, { data })), "INVALID_EVENT", { path }).catch(named(what));
      const commits = [{ actorId: "order-1", events: [{ eventType: "Bad", data }] }] as const;
      await rejects(store.transact(commits), "INVALID_EVENT", { path }).catch(named(what));
    }
    await rejects(store.append("order-1", [added(deep(2_000))]), "INVALID_EVENT");
    assert.equal(await store.position(), 0);
  },

  async "a property that is undefined is absent, -0 is 0, and nothing else changes"({ store }) {
    const proto = JSON.parse('{"__proto__":{"x":1},"constructor":"c","":"empty"}');
    const shared = { twice: 1 };
    const values: unknown[] = [
      null,
      true,
      "",
      "text",
      0,
      -1.5,
      1e308,
      5e-324,
      2 ** 53,
      [],
      {},
      [[]],
      [null],
      "\ud800",
      "\u0000\u2028",
      "ü€🦀",
      { a: { b: [{ c: null }] } },
      Object.assign(Object.create(null), { x: 1 }),
      proto,
      [shared, shared],
      deep(500),
    ]; // deno-fmt-ignore
    const { events } = await store.append("order-1", values.map((data) => ({ eventType: "Value", data })));
    const read = await store.getEvents("order-1");
    assert.deepEqual(read.map(({ data }) => JSON.stringify(data)), values.map((value) => JSON.stringify(value)));
    assert.deepEqual(events, read);
    await store.append("order-2", [{ eventType: "Value", data: { gone: undefined, zero: -0, kept: [0] } }]);
    const [lossy] = await store.getEvents("order-2");
    assert.deepEqual(lossy?.data, { zero: 0, kept: [0] });
    assert.ok(lossy && !("gone" in (lossy.data as object)));
  },

  async "wrong fields of an event are an InvalidEventError with their path"({ store }) {
    for (const [fields, path] of BAD_FIELDS) {
      if (!("timestamp" in fields && fields.timestamp === undefined)) {
        await rejects(store.append("order-1", [{ ...added(), ...fields } as NewEvent]), "INVALID_EVENT", { path });
      }
      await rejects(store.saveEvent({ ...eventOf("order-1", 1), ...fields } as Event), "INVALID_EVENT", { path });
    }
    for (const version of [0, -1, 1.5, NaN, 2 ** 53, "1", undefined]) {
      const event = { ...eventOf("order-1", 1), version } as Event;
      await rejects(store.saveEvent(event), "INVALID_EVENT", { path: "version" });
    }
    const metadata = { x: 1 } as unknown as Record<string, string>;
    await rejects(store.append("order-1", [added()], { metadata }), "INVALID_EVENT", { path: "metadata.x" });
    await rejects(store.append("order-1", [null as unknown as NewEvent]), "INVALID_EVENT");
    assert.equal(await store.position(), 0);
  },

  async "a version beyond 2^53 - 1 is refused"({ store }) {
    await store.saveEvent(eventOf("order-1", Number.MAX_SAFE_INTEGER));
    await rejects(store.append("order-1", several(1)), "INVALID_EVENT", { path: "version" });
    assert.equal(await store.getLatestVersion("order-1"), Number.MAX_SAFE_INTEGER);
  },

  async "wrong actor ids are an InvalidActorIdError, wherever they stand"({ store }) {
    for (const bad of BAD_IDS) {
      const actorId = bad as string;
      await rejects(store.append(actorId, several(1)), "INVALID_ACTOR_ID");
      await rejects(store.saveEvent(eventOf(actorId, 1)), "INVALID_ACTOR_ID");
      await rejects(store.transact([{ actorId, events: several(1) }]), "INVALID_ACTOR_ID");
      await rejects(store.getEvents(actorId), "INVALID_ACTOR_ID");
      await rejects(all(store.readActor(actorId)), "INVALID_ACTOR_ID");
      await rejects(store.getLatestVersion(actorId), "INVALID_ACTOR_ID");
      await rejects(store.getLatestVersion(actorId, { consistency: "cached" }), "INVALID_ACTOR_ID");
      await rejects(store.deleteActor(actorId), "INVALID_ACTOR_ID");
      if (actorId !== undefined) await rejects(all(store.readAll({ actorId })), "INVALID_ACTOR_ID");
    }
    const { actorId } = await rejects(store.append("\udfff", several(1)), "INVALID_ACTOR_ID");
    assert.equal(actorId, "\udfff");
  },

  async "arguments that make no sense are an InvalidArgumentError that names them"({ store }) {
    const refuse = (promise: Promise<unknown>, argument: string): Promise<unknown> =>
      rejects(promise, "INVALID_ARGUMENT", { argument });
    for (const expected of [-1, 1.5, NaN, 2 ** 53, "none", null]) {
      const expectedVersion = expected as number;
      await refuse(store.append("order-1", several(1), { expectedVersion }), "expectedVersion");
      await refuse(store.deleteActor("order-1", { expectedVersion }), "expectedVersion");
      const commits = [{ actorId: "order-1", events: several(1), expectedVersion }] as const;
      await refuse(store.transact(commits), "expectedVersion");
    }
    await refuse(store.append("order-1", several(1), 0 as unknown as object), "options");
    await refuse(store.append("order-1", []), "events");
    await refuse(store.append("order-1", [], { expectedVersion: "any" }), "events");
    await refuse(store.append("order-1", "Added" as unknown as NewEvent[]), "events");
    await refuse(store.append("order-1", [added(1, { id: "a" }), added(2, { id: "a" })]), "events[1].id");
    for (const shard of [-1, store.shards, 0.5]) {
      await refuse(all(store.readAll({ shards: [shard] })), "shards");
    }
    await refuse(all(store.readAll({ after: -1 })), "after");
    await refuse(store.getEvents("order-1", -1), "fromVersion");
    for (const argument of ["toVersion", "afterPosition", "toPosition", "limit", "last", "atLeast"]) {
      await refuse(store.getEvents("order-1", 0, { [argument]: 0.5 }), argument);
    }
    await refuse(store.getLatestVersion("order-1", { atLeast: -1 }), "atLeast");
    await refuse(store.getEvents("order-1", 0, { limit: 1, last: 1 }), "limit");
    await refuse(all(store.readActor("order-1", { lastCommits: -1 })), "lastCommits");
    const consistency = "sometimes" as "session";
    await refuse(store.getEvents("order-1", 0, { consistency }), "consistency");
    await refuse(store.getLatestVersion("order-1", { consistency }), "consistency");
    await refuse(store.getEvents("order-1", 0, { consistency: "cached" as "session" }), "consistency");
    await refuse(all(store.readAll({ shards: 3 as unknown as number[] })), "shards");
    await refuse(all(store.readAll({ eventTypes: "Added" as unknown as string[] })), "eventTypes");
    await refuse(all(store.readAll({ eventTypes: [""] })), "eventTypes");
    for (const none of ["order-1", "order-", "", 7 as unknown as string]) {
      await refuse(all(store.readAll({ actorTypes: ["order", none] })), "actorTypes");
      await refuse(all(store.listActors({ actorType: none })), "actorType");
    }
    await refuse(all(store.readActor("order-1", { from: {} as { position: number; version: number } })), "from");
    await refuse(store.transact([null as never]), "commits[0]");
    assert.equal(await store.position(), 0);
  },

  async "an option that there is not is an InvalidArgumentError that names it, and nothing is stored"({ store }) {
    const refuse = async (work: () => unknown, argument: string): Promise<void> => {
      await rejects((async () => await work())(), "INVALID_ARGUMENT", { argument });
    };
    const wrong = { expectVersion: 7 } as object;
    await refuse(() => store.append("order-1", several(1), wrong), "expectVersion");
    await refuse(() => store.append("order-1", several(1), { expectVersion: undefined } as object), "expectVersion");
    await refuse(() => store.saveEvent(eventOf("order-1", 1), wrong), "expectVersion");
    await refuse(() => store.transact([{ actorId: "order-1", events: several(1) }], wrong), "expectVersion");
    const commits = [{ actorId: "order-1", events: several(1), ...wrong }] as const;
    await refuse(() => store.transact(commits), "expectVersion");
    await refuse(() => store.deleteActor("order-1", wrong), "expectVersion");
    await refuse(() => store.getEvents("order-1", 0, { fromVersion: 1 } as object), "fromVersion");
    await refuse(() => all(store.readActor("order-1", { from_version: 1 } as object)), "from_version");
    await refuse(() => store.getLatestVersion("order-1", { consistent: "leader" } as object), "consistent");
    await refuse(() => all(store.readAll({ eventType: ["Added"] } as object)), "eventType");
    await refuse(() => all(store.listActors({ actorTypes: ["order"] } as object)), "actorTypes");
    for (const none of [null, "leader"] as unknown as readonly object[]) {
      await refuse(() => store.append("order-1", several(1), none), "options");
      await refuse(() => store.saveEvent(eventOf("order-1", 1), none), "options");
      await refuse(() => store.transact([{ actorId: "order-1", events: several(1) }], none), "options");
      await refuse(() => store.deleteActor("order-1", none), "options");
      await refuse(() => store.getEvents("order-1", 0, none), "options");
      await refuse(() => all(store.readActor("order-1", none)), "options");
      await refuse(() => all(store.readAll(none)), "options");
    }
    // Neither is anybody's misspelling.
    const odd = Object.assign(Object.create({ inherited: 1 }), { [Symbol("own")]: 1 });
    assert.equal((await store.append("order-1", several(1), odd)).version, 1);
  },

  async "a getter is read once"({ store }) {
    let reads = 0;
    const event = {
      ...eventOf("order-1", 1),
      get actorId() {
        return `order-${++reads}`;
      },
    }; // deno-fmt-ignore
    await store.saveEvent(event);
    assert.equal((await store.getEvents("order-1")).length, 1);
    assert.equal((await all(store.readAll())).length, 1);
  },
};

function named(what: string): (error: unknown) => never {
  return (cause) => {
    throw new Error(`${what}: ${cause}`, { cause });
  };
}
