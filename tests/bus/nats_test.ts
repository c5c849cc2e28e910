/** What is no event, who may not, and how it ends. */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  type AetherError,
  type Event,
  InMemoryEventStore,
  isAetherError,
  JetStreamEventStore,
  NatsEventBus,
  shardOf,
} from "../../mod.ts";
import { Collected, inTime, take } from "../../testing/event_bus/scene.ts";
import { all, eventOf, rejects, several, upTo, versions } from "../../testing/event_store/scene.ts";
import { NatsServer } from "../../testing/mod.ts";
import { headersOf, until } from "../support/jetstream.ts";

const NAMESPACE = "shop";

describe("NatsEventBus", () => {
  let server: NatsServer;
  const connections: NatsConnection[] = [];
  const connected = async (user: string): Promise<NatsConnection> => {
    const nc = await connect({ servers: server.url, user, pass: "p", reconnectTimeWait: 20, maxReconnectAttempts: -1 });
    connections.push(nc);
    return nc;
  };
  let nc: NatsConnection;
  before(async () => {
    server = await NatsServer.start({
      accounts: {
        A: {
          jetstream: true,
          users: [
            { user: "a", password: "p" },
            { user: "deaf", password: "p", permissions: { subscribe: { deny: ["aether.shop.bus.>"] } } },
            { user: "mute", password: "p", permissions: { publish: { deny: ["aether.shop.bus.>"] } } },
          ],
        },
      },
    });
    nc = await connected("a");
  });
  after(async () => {
    for (const each of connections) await each.close();
    await server.stop();
  });
  const subjectOf = (actorId: string): string =>
    `aether.${NAMESPACE}.bus.${shardOf(actorId, 64)}.${actorId.split("-")[0]}.${actorId}`;
  const payload = (...events: Partial<Event>[]): string => JSON.stringify(events);

  it("tells of a message that is no event, to whom it is meant for and to the observer, and goes on", async () => {
    const reported: unknown[] = [];
    const observer = {
      event: (name: string, { position, subject }: Readonly<Record<string, unknown>>): void =>
        void reported.push([name, position, subject]),
    };
    await using bus = await NatsEventBus.open(nc, { namespace: NAMESPACE, observer });
    const seen = new Collected();
    const errors = new Collected<AetherError>();
    const others = new Collected<AetherError>();
    await using subscription = bus.on({ eventTypes: ["Added"], onUndecodable: errors.take }, seen.take);
    await using counting = bus.on({ eventTypes: ["Added"] }, () => {});
    // So many that it has what the first has: it is asked apart.
    const shards = Array.from({ length: 64 }, (_, shard) => shard).filter((shard) => shard !== shardOf("order-1", 64));
    await using other = bus.on({ shards, onUndecodable: others.take }, () => {});
    await using group = bus.on({ group: "g", eventTypes: ["Added"] }, () => {});
    await Promise.all([subscription, counting, other, group].map(({ ready }) => ready));
    const subject = subjectOf("order-1");
    const event = eventOf("order-1", 1);
    const stored = (fields: Record<string, string | number>) => ({
      "Aether-Version": 1,
      "Aether-Previous": 0,
      ...fields,
      "Nats-Stream": "AETHER_shop",
      "Nats-Sequence": 17,
      "Nats-Time-Stamp": "2026-01-31T12:00:00Z",
      "Nats-Last-Sequence": 0,
    });
    const bad: [string, string, Record<string, string | number>][] = [
      [subject, "garbage", { "Aether-Version": 1 }],
      [subject, payload(event), {}],
      [subject, payload({ ...event, actorId: "order-2" }), { "Aether-Version": 1 }],
      [subject, payload(event), { "Aether-Version": 2 }],
      [subject, payload(event), { "Aether-Version": 1, "Aether-Part": "1/2" }],
      [subject, "[]", { "Aether-Version": 1, "Aether-Deleted": 1 }],
      [subject, "[]", { "Aether-Version": 1 }],
      [subject, payload(event), { "Aether-Version": 1, "Aether-Format": 2 }],
      [subject, payload(event), { "Aether-Version": 1, "Nats-Sequence": "x" }],
      [subject, payload(event), stored({ "Aether-Previous": "" })],
      [subject, payload(event), stored({ "Aether-Encoding": "zstd" })],
      ["aether.shop.bus.64.order.order-1", payload(event), { "Aether-Version": 1 }],
      ["aether.shop.bus.x", "", {}],
    ];
    for (const [index, [to, text, fields]] of bad.entries()) {
      nc.publish(to, text, Object.keys(fields).length > 0 ? { headers: headersOf(fields) } : {});
      await bus.publish(eventOf("order-1", index + 1));
    }
    await seen.atLeast(bad.length);
    assert.deepEqual(versions(seen.items), upTo(bad.length));
    assert.ok(errors.items.every((error) => isAetherError(error, "EVENT_DECODE") && error.stream === "AETHER_shop"));
    const facts = errors.items.map((error) => isAetherError(error, "EVENT_DECODE") && [error.position, error.subject]);
    const expected = bad.map(([to, , fields]) =>
      fields["Nats-Stream"] === undefined ? [0, to] : [17, to.replace(".bus.", ".events.")]
    );
    assert.deepEqual(facts, expected);
    assert.equal(counting.dropped, bad.length); // nobody else was told
    assert.equal(others.items.length, 2); // those whose actor nobody knows
    // Once for each subscription of the server that has had it.
    assert.equal(
      reported.filter((report) => Array.isArray(report) && report[0] === "undecodable").length,
      2 * bad.length,
    );
    assert.deepEqual(reported[0], ["undecodable", 0, subject]);
  });

  it("ends a subscription that the server refuses with PERMISSION, and no other", async () => {
    const deaf = await connected("deaf");
    const failed: unknown[] = [];
    const observer = {
      event: (name: string, { error }: Readonly<Record<string, unknown>>): void => void failed.push(`${name} ${error}`),
    };
    await using bus = await NatsEventBus.open(deaf, { namespace: NAMESPACE, observer });
    await using elsewhere = await NatsEventBus.open(deaf, { namespace: "elsewhere" });
    const seen = new Collected();
    await using other = elsewhere.on({}, seen.take);
    const read = bus.subscribe({ actorTypes: ["order"] });
    const handled = bus.on({}, () => {});
    const member = bus.on({ group: "g" }, () => {});
    for (const { ready } of [read, handled, member]) await rejects(ready, "PERMISSION");
    const { subject } = await rejects(all(read), "PERMISSION");
    assert.equal(subject, "aether.shop.bus.*.order.*");
    for (const subscription of [handled, member]) await rejects(subscription.drain(), "PERMISSION");
    await read.drain();
    assert.equal(failed.filter((text) => String(text).startsWith("subscriberError")).length, 2);
    await other.ready;
    await elsewhere.publish(eventOf("order-1", 1));
    await seen.atLeast(1);
    await rejects(bus.subscribe().ready, "PERMISSION"); // it is asked for anew
  });

  it("reports what it published and the server refused", async () => {
    const mute = await connected("mute");
    const refused: unknown[] = [];
    const observer = {
      event: (name: string, { subject }: Readonly<Record<string, unknown>>): void => void refused.push([name, subject]),
    };
    await using other = await NatsEventBus.open(mute, { namespace: "shop-2", observer }); // is not concerned
    await using bus = await NatsEventBus.open(mute, { namespace: NAMESPACE, observer });
    await other.publish(eventOf("order-1", 1));
    await bus.publish(eventOf("order-1", 1));
    await until(() => refused.length > 0);
    assert.deepEqual(refused, [["publishRefused", subjectOf("order-1")]]);
  });

  it("refuses an event over max_payload, and takes one of exactly as much", async () => {
    await using bus = await NatsEventBus.open(nc, { namespace: NAMESPACE });
    const subscription = bus.subscribe();
    await subscription.ready;
    const limit = Number(nc.info?.max_payload);
    const event = eventOf("order-1", 123, { data: "" });
    const { size } = await rejects(bus.publish({ ...event, data: "x".repeat(limit) }), "EVENT_TOO_LARGE", { limit });
    const fits = { ...event, data: "x".repeat(limit - (size - limit)) };
    await bus.publish(fits);
    assert.deepEqual(await take(subscription[Symbol.asyncIterator](), 1), [fits]);
    await rejects(bus.publish({ ...fits, data: `${fits.data}x` }), "EVENT_TOO_LARGE", { size: limit + 1, limit });
    await subscription[Symbol.asyncDispose]();
  });

  it("gives an event once, whatever actor types it is asked for", async () => {
    await using bus = await NatsEventBus.open(nc, { namespace: NAMESPACE });
    const never = "x".repeat(600); // no id can have it
    const end = bus.subscribe({ actorId: "end-1" });
    const types = [["order", never], [never], [never, "end"], ["order", "order"], []];
    const seen = types.flatMap((actorTypes) =>
      [{ actorTypes }, { actorTypes, shards: [shardOf("order-1", 64), 63] }].map((filter) => {
        const seen = new Collected();
        return { seen, subscription: bus.on(filter, seen.take) };
      })
    );
    await Promise.all([end.ready, ...seen.map(({ subscription }) => subscription.ready)]);
    await bus.publish(eventOf("order-1", 1));
    for (const version of [1, 2]) await bus.publish(eventOf("end-1", version, { eventType: "Ended" }));
    await take(end[Symbol.asyncIterator](), 2);
    for (const { subscription } of seen) await subscription.drain();
    const orders = seen.map(({ seen: { items } }) => items.filter(({ actorId }) => actorId === "order-1").length);
    assert.deepEqual(orders, [1, 1, 0, 0, 0, 0, 1, 1, 0, 0]);
    await end[Symbol.asyncDispose]();
  });

  it("refuses data that JSON cannot carry", async () => {
    await using bus = await NatsEventBus.open(nc, { namespace: NAMESPACE });
    await rejects(bus.publish(eventOf("order-1", 1, { data: { a: [1n] } })), "INVALID_EVENT", { path: "data.a[0]" });
  });

  it("ends with the connection: CLOSED behind what waits, and nothing is reported", async () => {
    const own = await connected("a");
    const reported: string[] = [];
    const observer = { event: (name: string): void => void reported.push(name) };
    const bus = await NatsEventBus.open(own, { namespace: NAMESPACE, observer });
    const read = bus.subscribe();
    const handled = bus.on({}, () => {});
    const member = bus.on({ group: "g" }, () => {});
    await Promise.all([read, handled, member].map(({ ready }) => ready));
    await bus.publish(eventOf("order-1", 1));
    await own.flush();
    await own.close();
    const iterator = read[Symbol.asyncIterator]();
    await take(iterator, 1);
    await rejects(iterator.next(), "CLOSED");
    await inTime(Promise.all([handled.drain(), member.drain()]), () => "the end of the handlers");
    assert.deepEqual(reported, []);
    await rejects(bus.publish(eventOf("order-1", 2)), "CLOSED");
    const closed = (error: unknown): boolean => isAetherError(error, "CLOSED");
    assert.throws(() => bus.subscribe(), closed);
    assert.throws(() => bus.subscribe({ group: "g" }), closed);
    await rejects(NatsEventBus.open(own, { namespace: NAMESPACE }), "CLOSED");
    await bus[Symbol.asyncDispose]();
  });

  it("says what is wrong with how it is opened", async () => {
    await rejects(NatsEventBus.open(nc, { namespace: "a.b" }), "INVALID_NAMESPACE");
    await rejects(NatsEventBus.open(nc, { namespace: "a", shards: 0 }), "INVALID_ARGUMENT", { argument: "shards" });
    await rejects(NatsEventBus.open({} as NatsConnection, { namespace: "a" }), "INVALID_ARGUMENT", { argument: "nc" });
    const misspelt = { namespace: "a", shard: 4 };
    await rejects(NatsEventBus.open(nc, misspelt), "INVALID_ARGUMENT", { argument: "shard" });
    const both = { namespace: "a", domain: "d", apiPrefix: "p" };
    await rejects(NatsEventBus.open(nc, both), "INVALID_ARGUMENT", { argument: "apiPrefix" });
    const reason = new Error("no more");
    await assert.rejects(NatsEventBus.open(nc, { namespace: "a", signal: AbortSignal.abort(reason) }), reason);
  });

  it("needs no JetStream where it is told the shards, and says so where it is not", async () => {
    await using bare = await NatsServer.start({ jetstream: false });
    const own = await connect({ servers: bare.url });
    connections.push(own);
    await rejects(NatsEventBus.open(own, { namespace: NAMESPACE, timeout: 3_000 }), "UNAVAILABLE");
    await using bus = await NatsEventBus.open(own, { namespace: NAMESPACE, shards: 4 });
    const subscription = bus.subscribe({ actorId: "order-1" });
    await subscription.ready;
    await bus.publish(eventOf("order-1", 1));
    await take(subscription[Symbol.asyncIterator](), 1);
    await subscription[Symbol.asyncDispose]();
  });

  it("leaves no subscription on the server once the last of its own has left", async () => {
    const own = await connected("a");
    const bus = await NatsEventBus.open(own, { namespace: "leaving" });
    const store = await JetStreamEventStore.open(nc, { namespace: "leaving" });
    const subscriptions = [bus.on({}, () => {}), bus.on({}, () => {}), bus.on({ group: "g" }, () => {})];
    await Promise.all(subscriptions.map(({ ready }) => ready));
    for (const subscription of subscriptions) await subscription.drain();
    await own.flush();
    const before = own.stats().inMsgs;
    for (const _ of upTo(3)) await store.append("order-1", several(1));
    await own.flush();
    assert.equal(own.stats().inMsgs, before);
    await bus[Symbol.asyncDispose]();
  });

  it("refuses fill and onGap in a group", async () => {
    await using bus = await NatsEventBus.open(nc, { namespace: NAMESPACE });
    for (const [argument, value] of [["fill", new InMemoryEventStore()], ["onGap", () => {}]] as const) {
      assert.throws(
        () => bus.subscribe({ group: "g", [argument]: value }),
        (error) =>
          isAetherError(error, "INVALID_ARGUMENT") && error.argument === argument &&
          error.message.startsWith(`${argument} does not go with group: `),
      );
    }
  });
});
