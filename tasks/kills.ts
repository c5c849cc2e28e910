/**
 * `deno task kills [--kills N] [--seed N]`: three servers, a writer that never rests, and readers that follow live, each
 * with another filter, while servers die at random, the stream's leader most of all. In the end every reader has seen
 * exactly what is stored: each commit once, in order.
 * @module
 */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { parseArgs } from "node:util";
import { type Commit, type EventStore, JetStreamEventStore, shardOf } from "../mod.ts";
import { NatsCluster } from "../testing/nats_cluster.ts";
import type { NatsServer } from "../testing/nats_server.ts";
import { until } from "../tests/support/jetstream.ts";
import { numbers } from "../tests/support/random.ts";

const STREAM = "AETHER_kills";
/** Commits that are acknowledged between two deaths. */
const BETWEEN = 100;
/** Seconds; an election takes 4 to 8. */
const PATIENCE = 60;

async function survive(kills: number, random: () => number): Promise<number> {
  await using cluster = await NatsCluster.start();
  const connections: NatsConnection[] = [];
  const open = async (): Promise<JetStreamEventStore> => {
    const nc = await connect({ servers: [...cluster.urls], reconnectTimeWait: 50, maxReconnectAttempts: -1 });
    connections.push(nc);
    return await JetStreamEventStore.open(nc, { namespace: "kills", replicas: 3, timeout: PATIENCE * 1_000 });
  };
  try {
    const [writing, following] = [await open(), await open()];
    const shards = [shardOf("order-1", writing.shards)];
    const readers = [{}, { actorTypes: ["order"] }, { actorId: "account-2" }, { shards }].map((filter) => {
      return new Reader(following, filter);
    });
    const writer = new Writer(writing);
    for (let count = 1; count <= kills; count++) {
      const { acknowledged } = writer;
      await until(() => (writer.check(), writer.acknowledged >= acknowledged + BETWEEN), PATIENCE);
      const server = random() < 0.7
        ? await leaderOf(cluster, connections[0] as NatsConnection)
        : oneOf(cluster, random);
      await server.kill();
      if (random() < 0.5) await until(() => (writer.check(), writer.acknowledged > acknowledged + BETWEEN), PATIENCE);
      await server.restart();
      await cluster.ready();
      console.log(`kills: ${count} of ${kills}, ${server.name}; ${writer.acknowledged} commits`);
    }
    await writer.end();
    for (const reader of readers) await reader.verify();
    return writer.acknowledged;
  } finally {
    await Promise.all(connections.map((nc) => nc.close()));
  }
}

/** Appends as fast as it is answered, now and then a commit of several messages. */
class Writer {
  acknowledged = 0;
  #ended = false;
  #failed: { readonly error: unknown } | undefined;
  readonly #writing: Promise<void>;

  constructor(store: EventStore) {
    this.#writing = this.#write(store).catch((error) => void (this.#failed = { error }));
  }

  /** @throws what it failed with */
  check(): void {
    if (this.#failed) throw this.#failed.error;
  }

  async end(): Promise<void> {
    this.#ended = true;
    await this.#writing;
    this.check();
  }

  async #write(store: EventStore): Promise<void> {
    for (let count = 1; !this.#ended; count++) {
      const data = count % 20 === 0 ? "x".repeat(12_000) : count;
      const events = Array.from({ length: count % 20 === 0 ? 3 : 1 }, () => ({ eventType: "Counted", data }));
      await store.append(`${count % 2 ? "order" : "account"}-${count % 5}`, events);
      this.acknowledged++;
    }
  }
}

/** Follows live from the beginning. */
class Reader {
  readonly #store: EventStore;
  readonly #filter: object;
  readonly #seen: Commit[] = [];
  readonly #stop = new AbortController();
  readonly #reading: Promise<unknown>;

  constructor(store: EventStore, filter: object) {
    this.#store = store;
    this.#filter = filter;
    this.#reading = this.#read().catch((error: unknown) => error);
  }

  /** Waits until it has seen as much as there is, and compares. */
  async verify(): Promise<void> {
    const stored = await Array.fromAsync(this.#store.readAll(this.#filter));
    assert.ok(stored.length > 0);
    await until(() => this.#seen.length >= stored.length, PATIENCE).catch(() => {}); // then the difference is shown
    this.#stop.abort();
    const error = await this.#reading;
    if (error !== this.#stop.signal.reason) throw error;
    assert.deepEqual(this.#seen.map(outline), stored.map(outline));
  }

  async #read(): Promise<void> {
    const options = { ...this.#filter, live: true, signal: this.#stop.signal };
    for await (const commit of this.#store.readAll(options)) this.#seen.push(commit);
  }
}

function outline({ position, actorId, events }: Commit): string {
  return `${position} ${actorId} ${events.map(({ id }) => id)}`;
}

/** Asked until there is one. */
async function leaderOf(cluster: NatsCluster, nc: NatsConnection): Promise<NatsServer> {
  let found: NatsServer | undefined;
  await until(async () => {
    const answer = await nc.request(`$JS.API.STREAM.INFO.${STREAM}`, "", { timeout: 2_000 }).catch(() => undefined);
    const info = answer?.json<{ readonly cluster?: { readonly leader?: string } }>();
    found = cluster.servers.find(({ name }) => name === info?.cluster?.leader);
    return found !== undefined;
  }, PATIENCE);
  return found as NatsServer;
}

function oneOf({ servers }: NatsCluster, random: () => number): NatsServer {
  return servers[Math.floor(random() * servers.length)] as NatsServer;
}

const { values } = parseArgs({ options: { kills: { type: "string", default: "20" }, seed: { type: "string" } } });
const kills = Number(values.kills);
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
console.log(`kills: seed ${seed}`);
const began = performance.now();
const seen = await survive(kills, numbers(seed));
const seconds = ((performance.now() - began) / 1000).toFixed(0);
console.log(`kills: ${kills} in ${seconds} s, ${seen} commits, each seen once and in order by every reader`);
