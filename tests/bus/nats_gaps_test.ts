/** What is lost on the way to a NatsEventBus: the server says what was before each message. */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Gap, isAetherError, JetStreamEventStore, NatsEventBus, shardOf } from "../../mod.ts";
import { Collected, inTime } from "../../testing/event_bus/scene.ts";
import { added, eventOf, several, upTo, versions } from "../../testing/event_store/scene.ts";
import { FaultyNetwork, NatsServer, type NetworkMessage } from "../../testing/mod.ts";
import { headersOf, until } from "../support/jetstream.ts";

describe("a NatsEventBus that messages are lost on the way to", () => {
  let server: NatsServer;
  let near: NatsConnection;
  let network: FaultyNetwork;
  let far: NatsConnection;
  before(async () => {
    server = await NatsServer.start();
    near = await connect({ servers: server.url });
    network = await FaultyNetwork.between(server.url);
    far = await connect({ servers: network.url, reconnectTimeWait: 20, maxReconnectAttempts: -1 });
  });
  after(async () => {
    await far.close();
    await near.close();
    await network.close();
    await server.stop();
  });
  let count = 0;
  const scene = async () => {
    const namespace = `gaps-${count++}`;
    const store = await JetStreamEventStore.open(near, { namespace, messageSize: 200 });
    const reported: string[] = [];
    const observer = { event: (name: string): void => void reported.push(name) };
    const bus = await NatsEventBus.open(far, { namespace, observer });
    const positions = async (id: string, each: number, times: number): Promise<number[]> => {
      const list: number[] = [];
      for (const _ of upTo(times)) list.push((await store.append(id, several(each))).position);
      return list;
    };
    return { namespace, store, bus, reported, append: positions };
  };
  /** Announcements of these positions. */
  const at = (...positions: (number | string)[]) => ({ headers, subject }: NetworkMessage): boolean =>
    subject.includes(".bus.") && positions.map(String).includes(headers.get("Nats-Sequence") ?? "");

  it("tells onGap what was missed between the last commit that was delivered and the next", async () => {
    const { bus, append } = await scene();
    const told: unknown[] = [];
    const seen = new Collected();
    await using subscription = bus.on({ onGap: (gap) => void told.push(gap) }, (event) => {
      told.push(event.version);
      seen.take(event);
    });
    await subscription.ready;
    using lost = network.swallow(at(1, 4, 5, 6));
    await append("order-1", 1, 8); // of an actor nobody knows what was before the first
    await append("order-2", 1, 2);
    await seen.atLeast(6);
    const gap = { actorId: "order-1", afterPosition: 3, beforePosition: 7 };
    assert.deepEqual(told, [2, 3, gap, 7, 8, 1, 2]);
    assert.equal(lost.count, 4);
  });

  it("with fill gives what was missed first, in order, also of a large commit of which a part is missing", async () => {
    const { store, bus, append, reported } = await scene();
    const gaps: Gap[] = [];
    const seen = new Collected();
    await using subscription = bus.on({ fill: store, onGap: (gap) => void gaps.push(gap) }, seen.take);
    await subscription.ready;
    await append("order-1", 1, 1);
    const parts = Number((await append("order-1", 6, 1))[0]) - 1;
    assert.ok(parts > 2);
    await seen.atLeast(7);
    let last = 1 + parts;
    const expected: Gap[] = [];
    // The first part of a commit, one in the middle, the last one, all of them.
    for (const missing of [[1], [2], [parts], upTo(parts)]) {
      using _lost = network.swallow(at(...missing.map((part) => last + part)));
      await append("order-1", 6, 1);
      const [beforePosition = 0] = await append("order-1", 1, 1);
      expected.push({ actorId: "order-1", afterPosition: last, beforePosition });
      last = beforePosition;
      await seen.atLeast(7 * (expected.length + 1));
    }
    assert.deepEqual(gaps, expected);
    assert.deepEqual(seen.items, await store.getEvents("order-1"));
    assert.deepEqual(reported, ["incomplete", "gap", "incomplete", "gap", "incomplete", "gap", "gap"]);
  });

  it("without fill does not deliver a commit of which a part is missing", async () => {
    const { bus, append } = await scene();
    const seen = new Collected();
    const gaps: Gap[] = [];
    await using plain = bus.on({}, seen.take);
    await using watching = bus.on({ actorTypes: ["order"], onGap: (gap) => void gaps.push(gap) }, () => {});
    await Promise.all([plain.ready, watching.ready]);
    using _lost = network.swallow(at(2)); // of the first commit of the actor
    await append("order-1", 6, 1);
    const [position = 0] = await append("order-1", 1, 1);
    await seen.atLeast(1);
    assert.deepEqual(versions(seen.items), [7]);
    assert.deepEqual(gaps, [{ actorId: "order-1", afterPosition: 1, beforePosition: position }]);
  });

  it("is told at the next commit, whatever its events, and only of what came since it subscribed", async () => {
    const { store, bus, append } = await scene();
    const seen = new Collected();
    const early: Gap[] = [];
    const late: Gap[] = [];
    await using first = bus.on({ eventTypes: ["Added"], fill: store, onGap: (gap) => void early.push(gap) }, seen.take);
    await first.ready;
    using _lost = network.swallow(at(2, 6, 7));
    await append("order-1", 1, 2);
    await until(() => seen.items.length === 1);
    await using second = bus.on({ eventTypes: ["Other"], onGap: (gap) => void late.push(gap) }, () => {});
    await second.ready;
    await store.append("order-1", [added(1, { eventType: "Removed" })]); // 3: not meant, and the first behind the gap
    await until(() => early.length === 1);
    assert.deepEqual(versions(await seen.atLeast(2)), [1, 2]);
    await append("order-1", 1, 2); // 4, 5
    await append("order-1", 1, 2); // 6, 7 are lost
    await append("order-2", 1, 1);
    await append("order-1", 1, 1); // 9
    await seen.atLeast(8);
    assert.deepEqual(early, [
      { actorId: "order-1", afterPosition: 1, beforePosition: 3 },
      { actorId: "order-1", afterPosition: 5, beforePosition: 9 },
    ]);
    assert.deepEqual(late.map(({ beforePosition }) => beforePosition), [9]);
    assert.deepEqual(versions(seen.items.filter(({ actorId }) => actorId === "order-1")), [1, 2, 4, 5, 6, 7, 8]);
  });

  it("fills up what a transaction or a deletion shows to be missing", async () => {
    const { store, bus, append } = await scene();
    const told = new Collected<string>();
    const options = { eventTypes: ["Added"], fill: store, onDeleted: (id: string) => told.take(`deleted ${id}`) };
    await using subscription = bus.on(options, ({ version }) => told.take(String(version)));
    await subscription.ready;
    using _lost = network.swallow(at(2));
    await append("order-1", 1, 2);
    await store.transact([{ actorId: "order-2", events: several(1) }, {
      actorId: "order-1",
      events: [],
      expectedVersion: 2,
    }]);
    await store.deleteActor("order-1");
    await told.atLeast(3);
    // Its history is gone by then, or not yet.
    assert.equal(told.items.at(-1), "deleted order-1");
  });

  it("tells of a gap at a seal, which has nothing else for anybody", async () => {
    const { namespace, bus, append } = await scene();
    const gaps = new Collected<Gap>();
    await using subscription = bus.on({ onGap: gaps.take }, () => {});
    await subscription.ready;
    using _lost = network.swallow(at(2));
    await append("order-1", 1, 2);
    const subject = `aether.${namespace}.events.${shardOf("order-1", 64)}.order.order-1`;
    const seal = { "Aether-Version": 2, "Aether-Previous": 2, "Aether-Epoch": 1 };
    await near.request(subject, "[]", { headers: headersOf(seal), timeout: 5_000 });
    assert.deepEqual(await gaps.atLeast(1), [{ actorId: "order-1", afterPosition: 1, beforePosition: 3 }]);
  });

  it("looks for gaps only as long as somebody wants to know", async () => {
    const { bus, append, reported } = await scene();
    const seen = new Collected();
    await using plain = bus.on({}, seen.take);
    const watching = bus.on({ onGap: () => {} }, () => {});
    await Promise.all([plain.ready, watching.ready]);
    await append("order-1", 1, 1);
    await seen.atLeast(1);
    await watching.drain();
    using _lost = network.swallow(at(2));
    await append("order-1", 1, 2);
    await seen.atLeast(2);
    await using again = bus.on({ onGap: () => {} }, () => {}); // begins with what comes
    await again.ready;
    await append("order-1", 1, 1);
    assert.deepEqual(versions(await seen.atLeast(3)), [1, 3, 4]);
    assert.deepEqual(reported, []);
  });

  it("goes on with a stream that was made anew, and finds no gap between the two", async () => {
    const { namespace, bus, append, reported } = await scene();
    const gaps: Gap[] = [];
    const seen = new Collected();
    await using subscription = bus.on({ onGap: (gap) => void gaps.push(gap) }, seen.take);
    await subscription.ready;
    await append("order-1", 1, 3);
    await seen.atLeast(3);
    await near.request(`$JS.API.STREAM.DELETE.AETHER_${namespace}`);
    const store = await JetStreamEventStore.open(near, { namespace, messageSize: 200 });
    for (const _ of upTo(2)) await store.append("order-1", several(1));
    assert.deepEqual(versions(await seen.atLeast(5)), [1, 2, 3, 1, 2]);
    assert.deepEqual([gaps, reported], [[], []]);
  });

  it("has no gap of what was published and not stored", async () => {
    const { bus, append } = await scene();
    const gaps: Gap[] = [];
    const seen = new Collected();
    await using subscription = bus.on({ onGap: (gap) => void gaps.push(gap) }, seen.take);
    await subscription.ready;
    await append("order-1", 1, 1);
    using _lost = network.swallow(({ to, subject, payload }) =>
      to === "client" && subject.includes(".bus.") && new TextDecoder().decode(payload).includes('"version":8')
    );
    for (const version of [7, 8, 9]) await bus.publish(eventOf("order-1", version));
    await append("order-1", 1, 1);
    assert.deepEqual(versions(await seen.atLeast(4)).toSorted((a, b) => a - b), [1, 2, 7, 9]);
    assert.deepEqual(gaps, []);
  });

  it("goes on behind a connection that was lost, and fills up what it missed meanwhile", async () => {
    const { store, bus, append } = await scene();
    const [seen, grouped, plain] = [new Collected(), new Collected(), new Collected()];
    await using filled = bus.on({ fill: store }, seen.take);
    await using member = bus.on({ group: "g" }, grouped.take);
    await using literal = bus.on({ actorId: "order-1" }, plain.take);
    await Promise.all([filled.ready, member.ready, literal.ready]);
    await append("order-1", 1, 2);
    await seen.atLeast(2);
    network.pause();
    let known = false;
    const asked = bus.subscribe({ shards: [1] }); // the server never hears of it over this connection
    void asked.ready.then(() => known = true);
    network.cut();
    await append("order-1", 5, 2);
    await until(async () =>
      await bus.publish(eventOf("order-2", 1)).then(() => false, (error) => isAetherError(error, "UNAVAILABLE"))
    );
    const subscribing = bus.subscribe({ actorTypes: ["order"] }); // while there is no connection
    assert.equal(known, false);
    network.resume();
    await inTime(asked.ready, () => "ready, asked for before the connection was lost");
    await asked[Symbol.asyncDispose]();
    await inTime(subscribing.ready, () => "ready, behind the connection");
    await append("order-1", 1, 1);
    assert.deepEqual(versions(await seen.atLeast(13)), upTo(13));
    await bus.publish(eventOf("order-2", 1));
    await plain.atLeast(3);
    assert.deepEqual(versions(plain.items), [1, 2, 13]);
    assert.deepEqual(versions(await grouped.atLeast(3)), [1, 2, 13]);
    await subscribing[Symbol.asyncDispose]();
  });

  it("does not give an earlier commit behind a later one", async () => {
    const { store, bus, append, reported } = await scene();
    const seen = new Collected();
    await using subscription = bus.on({ fill: store }, seen.take);
    await subscription.ready;
    await append("order-1", 1, 1);
    const held = network.hold(at(2));
    await append("order-1", 1, 2);
    assert.deepEqual(versions(await seen.atLeast(3)), upTo(3));
    held.release();
    await append("order-1", 1, 1);
    assert.deepEqual(versions(await seen.atLeast(4)), upTo(4));
    assert.deepEqual(reported, ["gap", "late"]);
  });

  it("keeps the order of an actor where two leaders' clocks differ and their announcements overtake each other", async () => {
    const { namespace, bus, reported } = await scene();
    const seen = new Collected();
    await using subscription = bus.on({}, seen.take);
    await subscription.ready;
    const announce = (version: number, milliseconds: number): void => {
      const fields = {
        "Aether-Version": version,
        "Aether-Previous": version - 1,
        "Nats-Stream": `AETHER_${namespace}`,
        "Nats-Sequence": version,
        "Nats-Time-Stamp": `2026-01-31T12:00:00.${milliseconds}000001Z`,
        "Nats-Last-Sequence": version - 1,
      };
      const subject = `aether.${namespace}.bus.${shardOf("order-1", 64)}.order.order-1`;
      near.publish(subject, JSON.stringify([eventOf("order-1", version)]), { headers: headersOf(fields) });
    };
    announce(1, 100);
    announce(3, 150); // of the new leader
    announce(2, 160); // of the one before, whose clock is ahead
    announce(4, 170);
    assert.deepEqual(versions(await seen.atLeast(3)), [1, 3, 4]);
    assert.deepEqual(reported, ["late"]);
  });

  it("drains a member of a group while there is no connection", async () => {
    const { bus } = await scene();
    const member = bus.on({ group: "g" }, () => {});
    await member.ready;
    network.pause();
    network.cut();
    try {
      const away = (error: unknown): boolean => isAetherError(error, "UNAVAILABLE");
      await until(() => bus.publish(eventOf("order-1", 1)).then(() => false, away));
      await inTime(member.drain(), () => "the end of a member that can be given nothing");
    } finally {
      network.resume();
    }
    await until(() => bus.publish(eventOf("order-1", 1)).then(() => true, () => false)); // for whoever comes next
  });
});
