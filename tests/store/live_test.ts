import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type AetherError, EventDecodeError } from "../../errors.ts";
import { type Commit, type EventStore, JetStreamEventStore, type Observer, shardOf } from "../../mod.ts";
import { NatsCluster, NatsServer } from "../../testing/mod.ts";
import { added, all, outline, rejects, several, upTo } from "../../testing/event_store/scene.ts";
import { type Raw, raw, until } from "../support/jetstream.ts";

/** Connects at once again, for ever. */
const STEADY = { reconnectTimeWait: 50, maxReconnectAttempts: -1, timeout: 1_000 };

describe("readAll, live", () => {
  for (const death of ["pause", "kill"] as const) {
    it(`notices within 2 s that the server is gone (${death}), and goes on at the next commit when it is back`, async () => {
      await using server = await NatsServer.start();
      await using nc = await connect({ ...STEADY, servers: server.url });
      const stall = Promise.withResolvers<Parameters<NonNullable<Observer["event"]>>[1]>();
      const event: Observer["event"] = (name, attributes) => void (name === "stall" && stall.resolve(attributes));
      await using store = await JetStreamEventStore.open(nc, { namespace: "watched", observer: { event } });
      await store.append("order-1", several(1));
      await using reader = follow(store);
      await reader.caughtUp;
      const died = performance.now();
      await server[death]();
      const { stream, silence } = await stall.promise;
      const noticed = performance.now() - died;
      assert.ok(noticed < 2_000, `noticed after ${noticed} ms`);
      assert.equal(stream, "AETHER_watched");
      assert.ok(Number(silence) >= 1_400, `said to be silent for ${silence} ms`);
      await (death === "pause" ? server.resume() : server.restart());
      await store.append("order-1", several(1));
      await until(() => reader.seen.length === 2);
    });
  }

  it("gives each reader every commit of its filter once and in order, while the server is killed under a writer", async () => {
    await using server = await NatsServer.start();
    await using nc = await connect({ ...STEADY, servers: server.url });
    await using store = await JetStreamEventStore.open(nc, { namespace: "killed", timeout: 60_000 });
    const shards = [shardOf("order-1", store.shards), shardOf("account-2", store.shards)];
    const filters = [{}, { actorTypes: ["order"] }, { actorId: "order-1" }, { shards: shards.slice(1) }, { shards }];
    const readers = filters.map((filter) => follow(store, filter));
    let writing = true;
    const writer = (async () => {
      for (let by = 1; writing; by++) await store.append(`${by % 2 ? "order" : "account"}-${by % 5}`, [added(by)]);
    })();
    for (const round of upTo(3)) {
      const { length } = readers[0]?.seen ?? [];
      await until(() => (readers[0]?.seen.length ?? 0) >= length + 50 * round);
      await server.kill();
      await server.restart();
    }
    writing = false;
    await writer;
    await equalTruth(store, filters, readers);
  });

  it("goes on when its consumer is deleted", async () => {
    await using server = await raw();
    await using store = await JetStreamEventStore.open(server.nc, { namespace: "deleted" });
    await using reader = follow(store);
    await store.append("order-1", several(1));
    await reader.caughtUp;
    await until(() => reader.seen.length === 1);
    const { consumers: [name] } = await server.api("CONSUMER.NAMES.AETHER_deleted");
    assert.equal((await server.api(`CONSUMER.DELETE.AETHER_deleted.${name}`)).success, true);
    await store.append("order-1", several(1));
    await until(() => reader.seen.length === 2);
  });

  it("is held back by a slow reader, and gives it everything", async () => {
    await using server = await raw();
    await using store = await JetStreamEventStore.open(server.nc, { namespace: "slow" });
    const total = 600; // 9 MB: the server waits after the first 2
    await Promise.all(upTo(total).map((by) => store.append(`order-${by}`, [added("x".repeat(15_000))])));
    const { inBytes } = server.nc.stats();
    const seen: number[] = [];
    for await (const { position } of store.readAll()) {
      seen.push(position);
      if (seen.length > 1) continue;
      await until(() => server.nc.stats().inBytes - inBytes > 2_000_000);
      await server.nc.flush();
      assert.ok(server.nc.stats().inBytes - inBytes < 4_000_000, "more was sent than flow control allows");
    }
    assert.deepEqual(seen, upTo(total));
  });

  it("gives nothing at or before `after`, where that lies behind the end", async () => {
    await using server = await raw();
    await using store = await JetStreamEventStore.open(server.nc, { namespace: "ahead" });
    await store.append("order-1", several(1));
    await using reader = follow(store, { after: 3 });
    await reader.caughtUp;
    for (const _ of upTo(4)) await store.append("order-1", several(1));
    await until(() => reader.seen.length === 2);
    assert.deepEqual(outline(reader.seen), ["order-1@4 [4]", "order-1@5 [5]"]);
  });

  it("goes on behind changes of the leader on three servers, and includes what the store has written", async () => {
    await using cluster = await NatsCluster.start();
    await using nc = await connect({ ...STEADY, servers: [...cluster.urls] });
    await using store = await JetStreamEventStore.open(nc, { namespace: "three", replicas: 3, timeout: 60_000 });
    const filters = [{}, { actorTypes: ["order"] }, { shards: [shardOf("order-1", store.shards)] }];
    const readers = filters.map((filter) => follow(store, filter));
    /** Of a cluster that may be busy with itself. */
    const ask = async (api: string): Promise<{ cluster: { leader: string } }> => {
      for (;;) {
        const answer = (await nc.request(api, "", { timeout: 5_000 }).catch(() => undefined))?.json<
          { cluster: { leader: string }; error?: unknown }
        >();
        if (answer !== undefined && answer.error === undefined) return answer;
      }
    };
    let written = 0;
    const write = async (count: number): Promise<void> => {
      for (const _ of upTo(count)) {
        await store.append(`${++written % 2 ? "order" : "account"}-${written % 5}`, several(1));
      }
      assert.equal((await all(store.readAll())).length, written);
    };
    await write(50);
    for (const _ of upTo(2)) {
      await ask("$JS.API.STREAM.LEADER.STEPDOWN.AETHER_three");
      await write(50);
    }
    const { cluster: { leader } } = await ask("$JS.API.STREAM.INFO.AETHER_three");
    await cluster.servers.find(({ name }) => name === leader)?.kill();
    await write(50);
    await equalTruth(store, filters, readers);
  });
});

describe("readAll, by the server's time", () => {
  it("gives a commit whose parts were stored before and after the moment whole, by its last", async () => {
    await using server = await raw();
    await using store = await JetStreamEventStore.open(server.nc, { namespace: "time" });
    await store.append("order-2", several(1));
    await parts(server, "time", 2, () => later(20));
    const [first, second] = await all(store.readAll());
    assert.deepEqual(outline([first, second] as Commit[]), ["order-2@1 [1]", "order-1@2 [1,2]"]);
    const end = Date.parse(second?.storedAt ?? "");
    const read = async (since: number): Promise<string[]> =>
      outline(await all(store.readAll({ since: new Date(since) })));
    assert.deepEqual(await read(end), ["order-1@2 [1,2]"]);
    assert.deepEqual(await read(end - 10), ["order-1@2 [1,2]"]);
    assert.deepEqual(await read(end + 1), []);
    assert.deepEqual(await read(0), ["order-2@1 [1]", "order-1@2 [1,2]"]);
  });
});

describe("readAll, of what is no commit", () => {
  const stream = "AETHER_odd";
  const subject = `aether.odd.events.${shardOf("order-1", 64)}.order.order-1`;

  /** A stream with one of each kind; the positions at which they are told. */
  async function odd(server: Raw): Promise<{ store: JetStreamEventStore; positions: number[] }> {
    const store = await JetStreamEventStore.open(server.nc, { namespace: "odd" });
    const positions: number[] = [];
    const put = async (
      where: string,
      payload: string,
      headers: Record<string, string | number> = {},
    ): Promise<void> => {
      positions.push((await server.publish(where, payload, headers)).seq);
      await store.append("order-2", several(1));
    };
    const version = { "Aether-Version": 1, "Aether-Previous": 0 };
    await put(subject, "hello", version);
    await put(subject, "[{}]", version);
    await put("aether.odd.events.elsewhere", "[]", version);
    await put("aether.odd.events.0.order.order-1", "[]", version);
    await put(subject, "[]", { ...version, "Aether-Format": 2 });
    await put(subject, "[]", { ...version, "Aether-Part": "2/x" });
    await put(subject, "[]");
    for (const missing of [1, 2, 3]) {
      const last = await parts(server, "odd", 3);
      await server.api(`STREAM.MSG.DELETE.${stream}`, { seq: last - 3 + missing });
      positions.push(missing === 3 ? last - 1 : last);
    }
    // The middle of a commit is no message of the format: what is before it and behind it lacks it.
    const event = { id: "1", eventType: "Added", actorId: "order-1", version: 1, data: 1, timestamp: "" };
    for (const [index, payload] of [[event], "hello", [{ ...event, version: 3 }]].entries()) {
      const fields = { "Aether-Version": index + 1, "Aether-Previous": 0, "Aether-Part": `${index + 1}/3` };
      positions.push((await server.publish(subject, JSON.stringify(payload), fields)).seq);
    }
    return { store, positions };
  }

  it("an EventDecodeError, and `after: error.position` resumes behind it", async () => {
    await using server = await raw();
    const { store, positions } = await odd(server);
    const found: number[] = [];
    let good = 0;
    for (let after = 0, ended = false; !ended;) {
      try {
        for await (const { position } of store.readAll({ after })) {
          after = position;
          good++;
        }
        ended = true;
      } catch (error) {
        const { position } = await rejects(Promise.reject(error), "EVENT_DECODE", { stream });
        found.push(after = position);
      }
    }
    assert.deepEqual([found, good], [positions, 7]);
  });

  it("goes to onUndecodable, in order and once each, and the reading goes on", async () => {
    await using server = await raw();
    const { store, positions } = await odd(server);
    for (const live of [false, true]) {
      const order: number[] = [];
      const errors: EventDecodeError[] = [];
      const stop = new AbortController();
      const options = {
        live,
        signal: stop.signal,
        onUndecodable: (error: AetherError): void => {
          if (!(error instanceof EventDecodeError)) throw error;
          errors.push(error);
          order.push(error.position);
        },
        onCaughtUp: (): void => void (live && stop.abort()),
      };
      const reading = (async () => {
        for await (const { position } of store.readAll(options)) order.push(position);
      })();
      await (live ? assert.rejects(reading) : reading);
      assert.deepEqual(errors.map(({ position }) => position), positions);
      assert.deepEqual(order, order.toSorted((a, b) => a - b));
      assert.equal(order.length, positions.length + 7);
      assert.ok(errors.every((error) => error.stream === stream && error.subject.startsWith("aether.odd.events.")));
    }
  });

  it("nothing of a deleted actor, whose history was erased in part", async () => {
    await using server = await raw();
    await using store = await JetStreamEventStore.open(server.nc, { namespace: "odd" });
    const last = await parts(server, "odd", 3);
    await server.api(`STREAM.MSG.DELETE.${stream}`, { seq: last - 2 });
    const fields = { "Aether-Version": 3, "Aether-Previous": last, "Aether-Deleted": 1 };
    await server.publish(subject, "[]", fields);
    assert.deepEqual(outline(await all(store.readAll())), ["order-1@3 deleted"]);
  });
});

/** A commit of order-1 in so many messages, one event each, with time between them; the last sequence. */
async function parts(
  server: Raw,
  namespace: string,
  count: number,
  between: () => Promise<void> = () => Promise.resolve(),
): Promise<number> {
  const subject = `aether.${namespace}.events.${shardOf("order-1", 64)}.order.order-1`;
  let last = 0;
  for (const version of upTo(count)) {
    const event = { id: `${version}`, eventType: "Added", actorId: "order-1", version, data: 1, timestamp: "" };
    const fields: Record<string, string | number> = { "Aether-Version": version, "Aether-Part": `${version}/${count}` };
    if (version === 1) fields["Aether-Previous"] = 0;
    last = (await server.publish(subject, JSON.stringify([event]), fields)).seq;
    if (version < count) await between();
  }
  return last;
}

/** Until the clock shows so many milliseconds more. */
async function later(milliseconds: number): Promise<void> {
  const end = Date.now() + milliseconds;
  await until(() => Date.now() >= end);
}

interface Follower extends AsyncDisposable {
  readonly seen: Commit[];
  readonly caughtUp: Promise<void>;
}

/** Reads live until it is disposed of. */
function follow(store: EventStore, options: object = {}): Follower {
  const seen: Commit[] = [];
  const stop = new AbortController();
  const { promise: caughtUp, resolve, reject } = Promise.withResolvers<void>();
  const reading = (async () => {
    for await (
      const commit of store.readAll({
        ...options,
        live: true,
        signal: stop.signal,
        onCaughtUp: () => resolve(),
      })
    ) {
      seen.push(commit);
    }
  })().catch((error) => {
    reject(error);
    if (!stop.signal.aborted) throw error;
  });
  caughtUp.catch(() => {});
  reading.catch(() => {}); // seen when it is disposed of
  return {
    seen,
    caughtUp,
    async [Symbol.asyncDispose](): Promise<void> {
      stop.abort();
      await reading;
    },
  };
}

/** Each reader has seen exactly what a reader of the whole finds by now. */
async function equalTruth(store: EventStore, filters: readonly object[], readers: readonly Follower[]): Promise<void> {
  for (const [index, reader] of readers.entries()) {
    const truth = (await all(store.readAll(filters[index]))).map(({ position }) => position);
    assert.ok(truth.length > 0);
    await until(() => reader.seen.length >= truth.length, 60);
    assert.deepEqual(reader.seen.map(({ position }) => position), truth);
    await reader[Symbol.asyncDispose]();
  }
}
