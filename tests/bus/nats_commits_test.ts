/** What the server announces of commits: parts, seals, checks, tombstones, batches; alone and in groups. */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Event, type Gap, isAetherError, JetStreamEventStore, NatsEventBus, shardOf } from "../../mod.ts";
import { Collected, take } from "../../testing/event_bus/scene.ts";
import { added, several, upTo, versions } from "../../testing/event_store/scene.ts";
import { FaultyNetwork, NatsServer } from "../../testing/mod.ts";
import { headersOf, until } from "../support/jetstream.ts";

describe("a NatsEventBus, of commits,", () => {
  let server: NatsServer;
  const connections: NatsConnection[] = [];
  before(async () => {
    server = await NatsServer.start();
    for (let count = 0; count < 4; count++) connections.push(await connect({ servers: server.url }));
  });
  after(async () => {
    for (const nc of connections) await nc.close();
    await server.stop();
  });
  let count = 0;
  /** A store whose messages are small, and buses on other connections. */
  const scene = async (buses = 1) => {
    const namespace = `commits-${count++}`;
    const [nc] = connections as [NatsConnection];
    const store = await JetStreamEventStore.open(nc, { namespace, messageSize: 200 });
    const open: NatsEventBus[] = [];
    for (const other of connections.slice(1, 1 + buses)) open.push(await NatsEventBus.open(other, { namespace }));
    return { namespace, nc, store, bus: open[0] as NatsEventBus, buses: open };
  };

  it("joins the parts of a large one, whatever is published in between", async () => {
    const { store, bus } = await scene();
    const seen = new Collected();
    const few = new Collected();
    await using subscription = bus.on({ eventTypes: ["Added"] }, seen.take);
    await using narrow = bus.on({ actorId: "order-1", buffer: 4 }, few.take); // commits, however large
    await Promise.all([subscription.ready, narrow.ready]);
    const publishing = setInterval(() => void bus.publish({ ...several(1)[0], ...PUBLISHED }), 0);
    for (const size of [1, 40, 2, 100]) await store.append("order-1", several(size));
    clearInterval(publishing);
    await seen.atLeast(143);
    const stored = await store.getEvents("order-1");
    assert.deepEqual(seen.items.filter(({ actorId }) => actorId === "order-1"), stored);
    assert.deepEqual((await few.atLeast(143)).length, 143);
  });

  it("gives no seal, no check and no fence, and of a transaction each actor's events in its order", async () => {
    const { store, bus, nc, namespace } = await scene();
    const seen = new Collected();
    const gaps: Gap[] = [];
    await using subscription = bus.on({ onGap: (gap) => void gaps.push(gap) }, seen.take);
    await using full = bus.subscribe({ actorId: "order-1", buffer: 3, overflow: "drop-newest" });
    await Promise.all([subscription.ready, full.ready]);
    await store.append("order-1", several(1));
    const last = await store.position();
    const sealed = { "Aether-Version": 1, "Aether-Previous": last, "Aether-Epoch": 1 };
    await nc.request(subjectOf(namespace, "order-1"), "[]", { headers: headersOf(sealed), timeout: 5_000 });
    await nc.request(`aether.${namespace}.fence.3`, "x");
    await store.transact([
      { actorId: "account-1", events: several(20) },
      { actorId: "order-1", events: several(2) },
      { actorId: "order-2", events: [], expectedVersion: 0 },
    ]);
    await store.transact([
      { actorId: "account-2", events: several(1) },
      { actorId: "order-1", events: [], expectedVersion: 3 },
    ]);
    await store.append("order-1", several(1));
    await seen.atLeast(25);
    const of = (id: string): number[] => versions(seen.items.filter(({ actorId }) => actorId === id));
    assert.deepEqual([of("account-1"), of("order-1"), of("account-2")], [upTo(20), upTo(4), [1]]);
    assert.deepEqual(gaps, []);
    assert.equal(full.dropped, 1); // the fourth event: nothing else takes a place
  });

  it("announces nothing of a batch that was given up or refused", async () => {
    const { store, bus, nc, namespace } = await scene();
    const seen = new Collected();
    await using subscription = bus.on({}, seen.take);
    await subscription.ready;
    await store.append("order-1", several(1));
    const subject = subjectOf(namespace, "order-1");
    for (const part of [1, 2]) { // and no commit of the batch
      const batch = {
        "Nats-Batch-Id": "left",
        "Nats-Batch-Sequence": part,
        "Aether-Version": 2,
        "Aether-Part": `${part}/3`,
      };
      nc.publish(subject, JSON.stringify([{ ...seen.items[0], version: 1 + part }]), { headers: headersOf(batch) });
    }
    await assert.rejects(store.append("order-1", several(40), { expectedVersion: 0 }));
    await store.append("order-1", several(2));
    assert.deepEqual(versions(await seen.atLeast(3)), upTo(3));
    assert.equal(seen.items.length, 3);
  });

  it("tells a deletion behind the events of a large commit, to whom they are not meant too, and to one of a group", async () => {
    const { store, buses } = await scene(2);
    const told = new Collected<string>();
    const grouped = new Collected<string>();
    const subscriptions = buses.flatMap((bus) => [
      bus.on({ onDeleted: (id) => told.take(`deleted ${id}`) }, ({ version }) => told.take(String(version))),
      bus.on({ eventTypes: ["None"], onDeleted: told.take }, () => {}),
      bus.on({ group: "g", onDeleted: grouped.take }, () => {}),
      bus.on({ group: "g", onDeleted: grouped.take }, () => {}),
    ]);
    await Promise.all(subscriptions.map(({ ready }) => ready));
    await store.append("order-1", several(30));
    await store.deleteActor("order-1");
    await told.atLeast(64);
    assert.deepEqual(told.items.filter((text) => text === "order-1").length, 2);
    assert.deepEqual(told.items.filter((text) => text === "deleted order-1").length, 2);
    await until(() => grouped.items.length > 0);
    await store.append("order-2", several(1));
    await told.atLeast(66);
    assert.deepEqual(grouped.items, ["order-1"]);
  });

  it("gives each large commit to one member of each group, whole and in order, with its filter", async () => {
    const { store, buses } = await scene(3);
    const groups = [{ group: "a" }, { group: "a.b *>", eventTypes: ["Added"] }, { group: "a", actorTypes: ["order"] }];
    const members = groups.slice(0, 2).flatMap((options) =>
      [...buses, ...buses].map((bus) => {
        const seen = new Collected<Event>();
        return { options, seen, subscription: bus.on(options, seen.take) };
      })
    );
    await Promise.all(members.map(({ subscription }) => subscription.ready));
    const sizes = [1, 30, 2, 60, 3, 1, 25];
    for (let round = 0; round < 6; round++) {
      for (const size of sizes) {
        await store.append(`order-${round % 2}`, [...several(size), added(1, { eventType: "Removed" })]);
      }
    }
    const stored = [...await store.getEvents("order-0"), ...await store.getEvents("order-1")];
    for (const options of groups.slice(0, 2)) {
      const own = members.filter((member) => member.options === options);
      const meant = stored.filter(({ eventType }) => options.eventTypes?.includes(eventType) ?? true);
      await until(() => own.flatMap(({ seen }) => seen.items).length >= meant.length);
      for (const { subscription } of own) await subscription.drain();
      const text = ({ actorId, version }: Event): string => `${actorId}@${version}`;
      assert.deepEqual(own.flatMap(({ seen }) => seen.items.map(text)).toSorted(), meant.map(text).toSorted());
      for (const { seen } of own) {
        for (const id of ["order-0", "order-1"]) {
          const list = versions(seen.items.filter(({ actorId }) => actorId === id));
          assert.deepEqual(list, list.toSorted((a, b) => a - b));
        }
      }
      // More than one had something to do: the server chose at random among three connections.
      assert.ok(own.filter(({ seen }) => seen.items.length > 0).length > 1);
    }
  });

  it("keeps members of one name that ask for something else apart", async () => {
    const { store, buses } = await scene(2);
    const [all, some] = [new Collected(), new Collected()];
    const subscriptions = [
      buses[0]?.on({ group: "g" }, all.take),
      buses[1]?.on({ group: "g", actorTypes: ["order"] }, some.take),
    ];
    await Promise.all(subscriptions.map((subscription) => subscription?.ready));
    for (const _ of upTo(20)) for (const id of ["order-1", "account-1"]) await store.append(id, several(1));
    await Promise.all([all.atLeast(40), some.atLeast(20)]);
    for (const subscription of subscriptions) await subscription?.drain();
    assert.deepEqual([all.items.length, some.items.length], [40, 20]);
  });

  it("loses nothing of a group when its members leave one after the other", async () => {
    const { store, buses } = await scene(3);
    const seen = new Collected();
    const members = buses.map((bus) => bus.on({ group: "g" }, seen.take));
    await Promise.all(members.map(({ ready }) => ready));
    const appending = (async () => {
      for (const _ of upTo(300)) await store.append("order-1", several(1));
    })();
    await seen.atLeast(50);
    await members[0]?.drain();
    await seen.atLeast(150);
    await members[1]?.drain();
    await appending;
    await seen.atLeast(300);
    await members[2]?.drain();
    assert.deepEqual(versions(seen.items).toSorted((a, b) => a - b), upTo(300));
  });

  it("loses nothing that is on its way to the last member of a process while that is drained", async () => {
    const { store, namespace, bus } = await scene();
    await using network = await FaultyNetwork.between(server.url);
    await using nc = await connect({ servers: network.url });
    await using leaving = await NatsEventBus.open(nc, { namespace });
    const [here, there] = [new Collected(), new Collected()];
    const member = leaving.on({ group: "g" }, there.take);
    await using stays = bus.on({ group: "g" }, here.take);
    await Promise.all([member.ready, stays.ready]);
    network.pause();
    for (const _ of upTo(30)) await store.append("order-1", several(1));
    const draining = Promise.all([member.drain(), member.drain()]);
    // Whoever comes now has a subscription of the server of his own.
    await using again = leaving.on({ group: "g" }, there.take);
    network.resume();
    await draining;
    await again.ready;
    await until(() => here.items.length + there.items.length >= 30);
    assert.ok(there.items.length > 0);
    assert.deepEqual(versions([...here.items, ...there.items]).toSorted((a, b) => a - b), upTo(30));
    await stays.drain();
    await store.append("order-1", several(1));
    await until(() => here.items.length + there.items.length === 31);
  });

  it("reads from the leader what no replica has yet; counts and tells of a commit that cannot be read", async () => {
    const { store, namespace } = await scene();
    await using network = await FaultyNetwork.between(server.url);
    await using nc = await connect({ servers: network.url });
    const events: string[] = [];
    const observer = { event: (name: string): void => void events.push(name) };
    await using bus = await NatsEventBus.open(nc, { namespace, observer, timeout: 1_000 });
    const seen = new Collected();
    const told: unknown[] = [];
    const onError = (error: unknown, { version }: Event): void =>
      void told.push([isAetherError(error) && error.code, version]);
    await using subscription = bus.on({ group: "g", onError }, seen.take);
    await subscription.ready;
    const direct = network.swallow(({ answerTo, headers }) =>
      answerTo?.startsWith("$JS.API.DIRECT.GET") === true && headers.has("Nats-Sequence")
    );
    const { position } = await store.append("order-1", several(20));
    assert.deepEqual(versions(await seen.atLeast(20)), upTo(20));
    assert.ok(position > 1 && direct.count > 0);
    await using silent = bus.on({ group: "without" }, () => {});
    await using read = bus.subscribe({ group: "read" });
    await using others = bus.on({ group: "others", eventTypes: ["Removed"], onError }, () => {});
    const members = [subscription, silent, read, others];
    await Promise.all(members.map(({ ready }) => ready));
    const reading = take(read[Symbol.asyncIterator](), 1);
    const all = network.swallow(({ answerTo }) => answerTo?.startsWith("$JS.API.") === true);
    await store.append("order-1", several(20));
    await store.append("order-1", several(1));
    assert.deepEqual(versions(await seen.atLeast(21)), [...upTo(20), 41]);
    assert.deepEqual(versions(await reading), [41]);
    for (const member of [silent, others]) await member.drain();
    assert.ok(all.count > 0);
    assert.deepEqual(told, [["UNAVAILABLE", 40]]); // whoever wants others is shown none
    assert.deepEqual(members.map(({ dropped }) => dropped), [1, 1, 1, 1]); // nobody knows of more than its last part
    const expected = [...members.map(() => "incomplete"), ...upTo(3).map(() => "subscriberError")];
    assert.deepEqual(events.toSorted(), expected);
  });

  it("counts a large commit that was erased before the member of a group has read it", async () => {
    const { store, namespace } = await scene();
    await using network = await FaultyNetwork.between(server.url);
    await using nc = await connect({ servers: network.url });
    const events: string[] = [];
    const observer = { event: (name: string): void => void events.push(name) };
    await using bus = await NatsEventBus.open(nc, { namespace, observer });
    const told = new Collected<string>();
    const options = { group: "g", onDeleted: told.take, onError: (error: unknown) => told.take(String(error)) };
    await using subscription = bus.on(options, ({ version }) => told.take(String(version)));
    await subscription.ready;
    const held = network.hold(({ subject }) => subject.includes(".bus."));
    await store.append("order-1", several(20));
    await store.deleteActor("order-1");
    held.release();
    assert.deepEqual(await told.atLeast(1), ["order-1"]);
    assert.deepEqual([subscription.dropped, events], [1, ["incomplete"]]);
  });

  it("takes its shards from the stream, and narrows by them", async () => {
    const namespace = `commits-${count++}`;
    const [nc, other] = connections as [NatsConnection, NatsConnection];
    const store = await JetStreamEventStore.open(nc, { namespace, shards: 7 });
    await using bus = await NatsEventBus.open(other, { namespace });
    assert.equal(bus.shards, 7);
    const ids = upTo(30).map((number) => `${number % 2 ? "order" : "ac.count"}-${number}`);
    const filters = [{ shards: [3] }, { shards: [0, 1, 2, 3, 4] }, { actorTypes: ["ac.count"], shards: [1, 5] }, {
      actorTypes: ["order", "ac.count", "x".repeat(600)],
    }, { actorId: "ac.count-2" }];
    const subscriptions = filters.map((filter) => bus.subscribe(filter as { actorId?: string }));
    const end = bus.subscribe({ actorId: "end-1" });
    await Promise.all([end, ...subscriptions].map(({ ready }) => ready));
    for (const id of ids) await store.append(id, several(1));
    await store.append("end-1", several(1));
    await take(end[Symbol.asyncIterator](), 1);
    for (const [index, filter] of filters.entries()) {
      const subscription = subscriptions[index];
      assert.ok(subscription);
      void subscription.drain();
      const given = (await Array.fromAsync(subscription)).map(({ actorId }) => actorId);
      const { shards, actorTypes, actorId } = filter as {
        readonly shards?: number[];
        readonly actorTypes?: string[];
        readonly actorId?: string;
      };
      const meant = [...ids, "end-1"].filter((id) =>
        (shards?.includes(shardOf(id, 7)) ?? true) && (actorTypes?.includes(id.split("-")[0] as string) ?? true) &&
        (actorId ?? id) === id
      );
      assert.deepEqual(given, meant);
    }
    await end[Symbol.asyncDispose]();
  });
});

const PUBLISHED = {
  id: "p",
  actorId: "other-1",
  version: 1,
  eventType: "Published",
  timestamp: "2026-01-31T12:00:00.000Z",
  data: null,
};

function subjectOf(namespace: string, actorId: string): string {
  return `aether.${namespace}.events.${shardOf(actorId, 64)}.${actorId.split("-")[0]}.${actorId}`;
}
