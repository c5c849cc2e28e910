/** The bus on three servers, while the leader of the stream is killed. */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { JetStreamEventStore, NatsEventBus } from "../../mod.ts";
import { eventOf, several, upTo, versions } from "../../testing/event_store/scene.ts";
import { NatsCluster, type NatsServer } from "../../testing/mod.ts";
import { until } from "../support/jetstream.ts";

/** Milliseconds. */
const BAR = 200;
const NAMESPACE = "shop";

describe("a NatsEventBus on three servers", () => {
  let cluster: NatsCluster;
  const connections: NatsConnection[] = [];
  before(async () => {
    cluster = await NatsCluster.start();
  });
  after(async () => {
    for (const nc of connections) await nc.close();
    await cluster.stop();
  });
  const connected = async (server: NatsServer | undefined): Promise<NatsConnection> => {
    const nc = await connect({ servers: server?.url ?? "", ignoreClusterUpdates: true });
    connections.push(nc);
    return nc;
  };
  const leaderOf = async (nc: NatsConnection): Promise<string> => {
    const answer = await nc.request(`$JS.API.STREAM.INFO.AETHER_${NAMESPACE}`, "", { timeout: 5_000 });
    return answer.json<{ cluster: { leader?: string } }>().cluster.leader ?? "";
  };

  it("goes on within 200 ms when the stream's leader is killed, and what is committed then arrives once and in order", async () => {
    const first = await connected(cluster.servers[0]);
    const opening = await JetStreamEventStore.open(first, { namespace: NAMESPACE, replicas: 3, messageSize: 200 });
    const name = await leaderOf(first);
    const leader = cluster.servers.find((server) => server.name === name);
    const [one, two] = cluster.servers.filter((server) => server !== leader);
    await opening[Symbol.asyncDispose]();
    const [writer, reader] = [await connected(one), await connected(two)];
    const store = await JetStreamEventStore.open(writer, { namespace: NAMESPACE, messageSize: 200, timeout: 60_000 });
    const publisher = await NatsEventBus.open(writer, { namespace: NAMESPACE });
    const bus = await NatsEventBus.open(reader, { namespace: NAMESPACE });
    // By actor and version: when it was sent, or acknowledged, and when it arrived.
    const sent = new Map<string, number>();
    const arrived = new Map<string, number>();
    const seen: number[] = [];
    await using subscription = bus.on({ fill: store }, ({ actorId, version }) => {
      const key = `${actorId}@${version}`;
      assert.ok(!arrived.has(key), `${key} came twice`);
      arrived.set(key, performance.now());
      if (actorId === "order-1") seen.push(version);
    });
    await subscription.ready;
    // The stream's leader is on another server, which learns of the subscription a moment later.
    await until(async () => {
      await store.append("probe-1", several(1));
      return [...arrived.keys()].some((key) => key.startsWith("probe-1"));
    });
    let published = 0;
    let writing = true;
    let killed = Infinity;
    const publishing = setInterval(() => {
      sent.set(`live-1@${++published}`, performance.now());
      void publisher.publish(eventOf("live-1", published)).catch(() => {}); // then it does not arrive
    }, 10);
    const appending = (async () => {
      while (writing) {
        const began = performance.now();
        const { version } = await store.append("order-1", several(seen.length % 3 === 0 ? 5 : 1));
        // What the leader acknowledges as it dies it may not announce any more: the next commit fills that up.
        if (began > killed) sent.set(`order-1@${version}`, performance.now());
      }
    })();
    await until(() => seen.length > 20);
    const before = { published, version: Math.max(...seen) };
    killed = performance.now();
    await leader?.kill();
    // An election, and enough of both behind it.
    await until(() => published > before.published + 100 && Math.max(...seen) > before.version + 50, 60);
    writing = false;
    await appending;
    clearInterval(publishing);
    const last = await store.getLatestVersion("order-1", { consistency: "leader" });
    await until(() => seen.at(-1) === last);
    await until(() => arrived.has(`live-1@${published}`));

    assert.deepEqual(seen, upTo(last));
    assert.deepEqual(seen, versions(await store.getEvents("order-1")));
    const late: string[] = [];
    for (const [key, at] of sent) {
      const delay = (arrived.get(key) ?? Infinity) - at;
      if (at > killed && delay > BAR) late.push(`${key}: ${delay.toFixed(0)} ms`);
    }
    assert.deepEqual(late, []);
    for (const each of [store, publisher, bus]) await each[Symbol.asyncDispose]();
  });
});
