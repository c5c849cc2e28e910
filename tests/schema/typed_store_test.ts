import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  type AetherError,
  type Commit,
  defineEvents,
  type Event,
  type EventStore,
  InMemoryEventStore,
  JetStreamEventStore,
  type NewEvent,
  typed,
} from "../../mod.ts";
import { baseStoreOf, commandIdOf } from "../../schema/base_store.ts";
import { all, outline, rejects } from "../../testing/event_store/scene.ts";
import { type Raw, raw as start } from "../support/jetstream.ts";
import { lateSchema, money, schema } from "./schemas.ts";

const any = schema((value) => value as { total: number });

/** What was written when the code was younger. */
const Young = defineEvents("order", { Created: schema(money), Paid: schema(money), Noted: any });
/** What is read today: a name is another's, a type is forgotten, a shape has changed. */
const Order = defineEvents("order", {
  Placed: {
    schema: schema((value) => ({ ...money(value), currency: text((value as { currency: unknown }).currency) })),
    schemaVersion: 2,
    upcast: { 1: (old: { total: number }) => ({ ...old, currency: "EUR" }) },
    formerly: ["Created"],
  },
  Paid: schema(money),
}, { unknown: "skip" });
/** `Created` is a name of today here. */
const Account = defineEvents("account", { Created: schema(money), Late: lateSchema(money) });

const total = (eventType: string, total: number, more: Partial<NewEvent> = {}): NewEvent => {
  return { eventType, data: { total }, ...more };
};

/** What is there, as it is stored. */
async function fill(raw: EventStore): Promise<void> {
  await raw.append("order-1", [total("Created", 1), total("Paid", 1)]);
  await raw.append("account-1", [total("Created", 2)]);
  await raw.append("order-1", [total("Noted", 3, { metadata: { commandId: "c" } }), total("Paid", 3)]);
  await raw.append("person-1", [total("Created", 4)]);
  await raw.append("order-1", [total("Noted", 5), total("Noted", 5)]);
}

const stores: Record<string, (namespace: string) => Promise<EventStore>> = {
  "in memory": (namespace) => Promise.resolve(new InMemoryEventStore({ namespace })),
  "on JetStream": (namespace) => JetStreamEventStore.open(server.nc, { namespace }),
};
let server: Raw;
let opened = 0;

before(async () => void (server = await start()));
after(() => server[Symbol.asyncDispose]());

for (const [where, open] of Object.entries(stores)) {
  describe(`a typed view of a store ${where}`, () => {
    const fresh = (): Promise<EventStore> => open(`typed-${opened++}`);

    it("finds renamed types by the name of today", async () => {
      await using raw = await fresh();
      await fill(raw);
      const shop = typed(raw, Order, Account);
      const read = async (...eventTypes: ("Placed" | "Created" | "Paid")[]): Promise<string[]> => {
        const commits = await all(shop.readAll({ eventTypes }));
        return commits.flatMap(({ events }) => events.map(({ actorId, eventType }) => `${actorId} ${eventType}`));
      };
      assert.deepEqual(await read("Placed"), ["order-1 Placed"]);
      assert.deepEqual(await read("Created"), ["account-1 Created"]);
      assert.deepEqual(await read("Paid"), ["order-1 Paid", "order-1 Paid"]);
      assert.deepEqual(await read(), []);
      await shop.append("order-2", [{ eventType: "Placed", data: { total: 6, currency: "USD" } }]);
      assert.deepEqual(await read("Placed", "Created"), ["order-1 Placed", "account-1 Created", "order-2 Placed"]);
      const [placed] = await all(shop.readAll({ eventTypes: ["Placed"] }));
      assert.deepEqual(placed?.events[0]?.data, { total: 1, currency: "EUR" });
    });

    it("gives only its actor types, and intersects those that are asked for", async () => {
      await using raw = await fresh();
      await fill(raw);
      const shop = typed(raw, Order, Account);
      const actors = async (view: EventStore, actorTypes?: string[]): Promise<string[]> =>
        (await all(view.readAll(actorTypes && { actorTypes }))).map(({ actorId }) => actorId);
      assert.deepEqual(await actors(shop), ["order-1", "account-1", "order-1"]);
      assert.deepEqual(await actors(typed(raw, Account)), ["account-1"]);
      assert.deepEqual(await actors(shop, ["account"]), ["account-1"]);
      await rejects(actors(shop, ["account", "person"]), "INVALID_ARGUMENT", { argument: "actorTypes" });
      await assert.rejects(
        actors(shop, ["person"]),
        /"person" is no actor type of this view, which knows: order, account$/,
      );
      const listed = async (view: EventStore, actorType?: string): Promise<string[]> =>
        (await all(view.listActors(actorType === undefined ? {} : { actorType }))).map(({ actorId }) => actorId)
          .toSorted();
      assert.deepEqual(await listed(shop), ["account-1", "order-1"]);
      assert.deepEqual(await listed(typed(raw, Order)), ["order-1"]);
      assert.deepEqual(await listed(shop, "order"), ["order-1"]);
      await rejects(listed(shop, "person"), "INVALID_ARGUMENT", { argument: "actorType" });
      for (const none of ["Nope", "Created"]) { // the second is a former name
        const reading = all((typed(raw, Order) as EventStore).readAll({ eventTypes: ["Placed", none] }));
        await rejects(reading, "INVALID_ARGUMENT", { argument: "eventTypes" });
      }
      assert.deepEqual(await listed(raw), ["account-1", "order-1", "person-1"]);
      await raw.deleteActor("person-1");
      await shop.deleteActor("account-1");
      const gone = await all(shop.readAll({ eventTypes: ["Placed"] }));
      assert.deepEqual(outline(gone), ["order-1@5 [1]", "account-1@1 deleted"].map((line) => line.replace("@5", "@2")));
    });

    it("refuses an actor of no catalogue before anything is sent, on every method", async () => {
      await using raw = await fresh();
      await raw.append("person-1", [total("Created", 1)]);
      const view: EventStore = typed(raw, Order);
      const position = await raw.position();
      const event = { ...(await raw.getEvents("person-1"))[0] as Event, version: 2 };
      const calls: (() => Promise<unknown>)[] = [
        () => view.append("person-1", [total("Paid", 1)]),
        () => view.append("person-1", [], { expectedVersion: 1 }),
        () => view.saveEvent(event),
        () =>
          view.transact([{ actorId: "order-1", events: [total("Paid", 1)] }, {
            actorId: "person-1",
            events: [],
            expectedVersion: 1,
          }]),
        () => view.getEvents("person-1"),
        () => all(view.readActor("person-1")),
        () => all(view.readAll({ actorId: "person-1" })),
        () => view.getLatestVersion("person-1"),
        () => view.getLatestVersion("person-1", { consistency: "cached" }),
        () => view.deleteActor("person-1"),
      ];
      for (const call of calls) await rejects(call(), "INVALID_ARGUMENT", { argument: "actorId" });
      assert.equal(await raw.position(), position);
    });

    it("hands on what the answer must include", async () => {
      await using raw = await fresh();
      const view: EventStore = typed(raw, Order);
      const reads: ((atLeast: number) => Promise<unknown>)[] = [
        (atLeast) => view.getEvents("order-1", 0, { atLeast }),
        (atLeast) => all(view.readActor("order-1", { atLeast })),
        (atLeast) => view.getLatestVersion("order-1", { atLeast }),
      ];
      for (const read of reads) await rejects(read(-1), "INVALID_ARGUMENT", { argument: "atLeast" });
    });

    it("leaves no hole where an event is skipped: the commit, its version and position stay", async () => {
      await using raw = await fresh();
      await fill(raw);
      const orders = typed(raw, Order);
      const versions = (commits: Commit[]): unknown[] => commits.map(({ version, events }) => [version, events.length]);
      const commits = await all(orders.readActor("order-1"));
      assert.deepEqual(versions(commits), [[2, 2], [4, 1], [6, 0]]);
      assert.deepEqual(
        commits.map(({ position }) => position),
        (await all(raw.readActor("order-1"))).map(({ position }) => position),
      );
      assert.deepEqual((await orders.getEvents("order-1")).map(({ version }) => version), [1, 2, 4]);
      assert.equal(await orders.getLatestVersion("order-1"), 6);
      const [, , last] = commits;
      assert.deepEqual(await all(orders.readActor("order-1", { from: last as Commit })), []);
      let reached = 0;
      const read = await all(orders.readAll({ onProgress: (position) => reached = position }));
      assert.deepEqual(versions(read), [[2, 2], [4, 1]]);
      assert.equal(reached, await raw.position());
      const paid = { eventType: "Paid", data: { total: 7 } } as const;
      assert.equal((await orders.append("order-1", [paid], { expectedVersion: 6 })).version, 7);
    });

    it("knows a commit's command by its first stored event, also where that is skipped", async () => {
      await using raw = await fresh();
      await fill(raw);
      const orders = typed(typed(raw, Order), Order);
      assert.equal(baseStoreOf(orders), raw);
      assert.equal(baseStoreOf(raw), raw);
      const commands = async (commits: AsyncIterable<Commit>): Promise<unknown[]> =>
        (await all(commits)).map(commandIdOf);
      assert.deepEqual(await commands(orders.readActor("order-1")), [undefined, "c", undefined]);
      assert.deepEqual(await commands(raw.readActor("order-1")), [undefined, "c", undefined]);
      assert.deepEqual(await commands(orders.readAll()), [undefined, "c"]);
      const id = crypto.randomUUID();
      const metadata = { commandId: "d" };
      const { version } = await raw.append("order-1", [
        total("Noted", 1, { id, metadata }),
        total("Paid", 1, { id: `${id}2` }),
      ]);
      const Noted = defineEvents("order", { Noted: any, Paid: any });
      const again = await typed(raw, Noted).append("order-1", [
        { eventType: "Noted", data: { total: 1 }, id, metadata },
        { eventType: "Paid", data: { total: 1 }, id: `${id}2` },
      ], { expectedVersion: version - 2 });
      assert.deepEqual([again.duplicate, commandIdOf(again)], [true, "d"]);
    });

    it("tells onUndecodable of what does not fit, in order, and goes on; without it reading rejects", async () => {
      await using raw = await fresh();
      await fill(raw);
      await raw.append("order-2", [total("Paid", 1), { eventType: "Paid", data: {} }, total("Paid", 3)]);
      await raw.append("order-2", [{ eventType: "Paid", data: null }]);
      const Strict = defineEvents("order", { Created: schema(money), Paid: schema(money) });
      for (const view of [typed(raw, Strict), typed(typed(raw, Strict), Strict)]) {
        const errors: string[] = [];
        const onUndecodable = (error: AetherError): void => {
          if (error.code === "SCHEMA") errors.push(error.message.replace(/: .*/, ""));
        };
        const commits = await all(view.readAll({ onUndecodable }));
        assert.deepEqual(outline(commits), ["order-1@2 [1,2]", "order-1@4 [4]", "order-2@3 [1,3]"]);
        const noted = [3, 5, 6].map((version) => `Noted of order-1, version ${version}`);
        assert.deepEqual(errors, [...noted, "Paid of order-2, version 2", "Paid of order-2, version 4"]);
        await rejects(all(view.readAll()), "SCHEMA", { eventType: "Noted", actorId: "order-1", version: 3 });
        await rejects(view.getEvents("order-2"), "SCHEMA", { actorId: "order-2", version: 2 });
        await rejects(all(view.readActor("order-2")), "SCHEMA", { actorId: "order-2", version: 2 });
        // What is not asked for is not looked at.
        assert.equal((await all(view.readAll({ eventTypes: ["Created"] }))).length, 1);
      }
    });

    it("stores what the schema gives with its version, whatever the caller says of it", async () => {
      await using raw = await fresh();
      const shop = typed(raw, Order, Account);
      const metadata = { schemaVersion: "9", x: "y" };
      const placed = { eventType: "Placed", data: { total: 1, currency: "USD", more: 2 }, metadata } as const;
      const paid = { eventType: "Paid", data: { total: 1 } } as const;
      const appended = await shop.append("order-1", [placed, paid], { metadata });
      const stored = await raw.getEvents("order-1");
      assert.deepEqual(stored.map(({ metadata }) => metadata), [{ x: "y", schemaVersion: "2" }, { x: "y" }]);
      assert.deepEqual(stored[0]?.data, { total: 1, currency: "USD" });
      assert.deepEqual(appended.events, stored);
      assert.deepEqual(await shop.getEvents("order-1"), stored);
      const [order] = await shop.transact([{ actorId: "order-2", events: [placed] }], { metadata });
      assert.deepEqual(order.events[0]?.metadata, { x: "y", schemaVersion: "2" });
      const { events: [saved] } = await shop.saveEvent({
        ...stored[0] as never as Event<"Paid", { total: number }, "order-3">,
        eventType: "Paid",
        actorId: "order-3",
        data: { total: 5 },
        version: 7,
      });
      assert.deepEqual([saved?.version, saved?.metadata], [7, { x: "y" }]);
      assert.deepEqual(await raw.getEvents("order-3"), [saved]);
      const wrong = [{ actorId: "order-4", events: [paid] }, {
        actorId: "order-5",
        events: [{ eventType: "Paid", data: {} }],
      }];
      await rejects(shop.transact(wrong as never), "SCHEMA", { actorId: "order-5" });
      assert.equal(await shop.getLatestVersion("order-4"), 0);
    });

    it("decodes what was there already when a write is repeated", async () => {
      await using raw = await fresh();
      const id = crypto.randomUUID();
      await typed(raw, Young).append("order-1", [{ eventType: "Created", data: { total: 1 }, id }]);
      const [event] = await raw.getEvents("order-1");
      const placed = { eventType: "Placed", data: { total: 1, currency: "EUR" }, id } as const;
      const today = {
        ...event,
        eventType: "Placed",
        data: { total: 1, currency: "EUR" },
        metadata: { schemaVersion: "2" },
      };
      const shop = typed(raw, Order, Account);
      const appended = await shop.append("order-1", [placed], { expectedVersion: 0 });
      assert.deepEqual([appended.duplicate, appended.events], [true, [today]]);
      const saved = await shop.saveEvent(today as never);
      assert.deepEqual([saved.duplicate, saved.events], [true, [today]]);
      await rejects(shop.append("order-1", [placed], { expectedVersion: 7 }), "VERSION_CONFLICT", { actualVersion: 1 });
    });

    it("is live, resumes and ends as the store does", async () => {
      await using raw = await fresh();
      await fill(raw);
      const orders = typed(raw, Order);
      const seen: Commit[] = [];
      const calls: number[] = [];
      for await (const commit of orders.readAll({ live: true, onCaughtUp: (position) => calls.push(position) })) {
        seen.push(commit);
        if (seen.length === 2) {
          void raw.append("order-1", [total("Noted", 8)]).then(() => raw.append("order-1", [total("Created", 9)]));
        }
        if (seen.length === 3) break;
      }
      assert.deepEqual(outline(seen), ["order-1@2 [1,2]", "order-1@4 [4]", "order-1@8 [8]"]);
      assert.deepEqual(calls.length, 1);
      assert.deepEqual(outline(await all(orders.readAll({ after: seen[0]?.position ?? 0 }))), outline(seen.slice(1)));
      assert.deepEqual(await all(orders.readAll({ since: new Date(8e15) })), []);
    });

    it("keeps the order of writes to one actor where schemas answer later", async () => {
      await using raw = await fresh();
      const waits = [9, 1, 5, 0, 3];
      const Slow = defineEvents("account", {
        Late: lateSchema(money, 1),
        Slower: lateSchema(money, 50),
        Created: schema(money),
      });
      const shop = typed(raw, Slow, Order);
      const types = ["Slower", "Created", "Late", "Slower", "Created"] as const;
      const results = await Promise.all(waits.map((total, index) => {
        return shop.append("account-1", [{ eventType: types[index] ?? "Late", data: { total } }]);
      }));
      assert.deepEqual(results.map(({ version }) => version), [1, 2, 3, 4, 5]);
      // One that fails holds nobody up, and a deletion waits for its turn.
      const bad = shop.append("account-1", [{ eventType: "Slower", data: {} as { total: number } }]);
      const more = shop.transact([
        { actorId: "account-1", events: [{ eventType: "Created", data: { total: 6 } }] },
        { actorId: "account-2", events: [{ eventType: "Slower", data: { total: 6 } }] },
      ]);
      const last = shop.append("account-2", [{ eventType: "Created", data: { total: 7 } }]);
      const gone = shop.deleteActor("account-2");
      await rejects(bad, "SCHEMA", { eventType: "Slower" });
      assert.deepEqual((await more).map(({ version }) => version), [6, 1]);
      assert.equal((await last).version, 2);
      assert.equal((await gone).version, 2);
      const events = await shop.getEvents("account-1");
      assert.deepEqual(events.map(({ data }) => (data as { total: number }).total), [...waits, 6]);
      assert.deepEqual(outline(await all(shop.readAll())).length, 7);
    });

    it("ends the store when it ends", async () => {
      const raw = await fresh();
      await using view = typed(raw, Order);
      assert.deepEqual([view.namespace, view.shards], [raw.namespace, raw.shards]);
      await view[Symbol.asyncDispose]();
      await rejects(raw.position(), "CLOSED");
    });
  });
}

describe("typed", () => {
  it("refuses two catalogues for one actor type, and takes one twice", () => {
    const raw = new InMemoryEventStore();
    assert.throws(() => typed(raw, Order, Account, Young), { code: "INVALID_ARGUMENT", argument: "catalogues" });
    for (const none of [{}, undefined, null, 7, Order]) {
      const wrong = { code: "INVALID_ARGUMENT", argument: "storeOrBus" };
      assert.throws(() => typed(none as never as EventStore, raw as never), wrong);
    }
    for (const none of [{ Opened: {} }, undefined, raw]) {
      assert.throws(() => typed(raw, Order, none as never), { code: "INVALID_ARGUMENT", argument: "catalogues[1]" });
    }
    assert.throws(() => typed(raw), { code: "INVALID_ARGUMENT", argument: "catalogues" });
    assert.ok(typed(raw, Order, Order));
  });

  it("views of views: more, then less", async () => {
    await using raw = new InMemoryEventStore();
    await fill(raw);
    const orders = typed(typed(raw, Order, Account), Order);
    assert.deepEqual(outline(await all(orders.readAll())), ["order-1@2 [1,2]", "order-1@4 [4]"]);
    const id: string = "account-1";
    await rejects(orders.getEvents(id), "INVALID_ARGUMENT", { argument: "actorId" });
    await orders.append("order-1", [{ eventType: "Placed", data: { total: 1, currency: "USD" } }]);
    assert.deepEqual((await raw.getEvents("order-1")).at(-1)?.metadata, { schemaVersion: "2" });
    assert.deepEqual((await orders.getEvents("order-1")).at(-1)?.data, { total: 1, currency: "USD" });
  });

  it("looks at no event that is not asked for, though it is stored by the name of one that is", async () => {
    await using raw = new InMemoryEventStore();
    await raw.append("order-1", [{ eventType: "Created", data: "no order" }]);
    await raw.append("account-1", [total("Created", 1)]);
    const shop = typed(raw, Order, Account);
    assert.deepEqual(outline(await all(shop.readAll({ eventTypes: ["Created"] }))), ["account-1@1 [1]"]);
    await rejects(all(shop.readAll({ eventTypes: ["Placed"] })), "SCHEMA", { actorId: "order-1" });
  });

  it("filters by the name of today where a catalogue of one's own asks for more", async () => {
    await using raw = new InMemoryEventStore();
    await fill(raw);
    const greedy: typeof Account = Object.assign(Object.create(Account), {
      actorTypes: Account.actorTypes,
      decode: (event: Event) => ({ ...event, eventType: "Late" }),
      storedTypes: () => ["Created", "Late"],
    });
    assert.deepEqual(await all(typed(raw, greedy).readAll({ eventTypes: ["Created"] })), []);
    assert.equal((await all(typed(raw, greedy).readAll({ eventTypes: ["Late"] }))).length, 1);
  });

  it("ends the store's reading where it rejects, and takes no mistake for a schema's", async () => {
    let ended = 0;
    class Watched extends InMemoryEventStore {
      override async *readAll(): AsyncGenerator<never> {
        try {
          yield* super.readAll() as AsyncIterable<never>;
        } finally {
          ended++;
        }
      }
    }
    await using raw = new Watched();
    await raw.append("order-1", [total("Created", 1), { eventType: "Paid", data: {} }]);
    await raw.append("order-1", [total("Paid", 1)]);
    await rejects(all(typed(raw, Order).readAll()), "SCHEMA");
    assert.equal(ended, 1);
    const broken: typeof Order = Object.assign(Object.create(Order), {
      actorTypes: Order.actorTypes,
      decode: () => {
        throw new TypeError("a mistake");
      },
    });
    await assert.rejects(all(typed(raw, broken).readAll({ onUndecodable: () => {} })), new TypeError("a mistake"));
    assert.equal(ended, 2);
  });
});

function text(value: unknown): string {
  if (typeof value !== "string") throw new Error("is no text");
  return value;
}
