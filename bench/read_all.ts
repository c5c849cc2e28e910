/** Reading everything, against the fastest bare ways that also parse each payload; and how much memory that takes. */
import { createInbox, headers, type NatsConnection } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import process from "node:process";
import { JetStreamEventStore, shardOf } from "../mod.ts";
import { eventOf } from "../event.ts";
import { Subjects } from "../store/subjects.ts";
import { encodeCommit } from "../store/wire.ts";
import { NatsServer } from "../testing/mod.ts";
import { medians, type Row } from "./measure.ts";

const NAMESPACE = "bench";
/** Messages of each actor. */
const EACH = 20;
/** Messages that the server is asked for at once by the bare pull consumer. */
const BATCH = 5_000;
/** 100 bytes as JSON. */
const DATA = { total: 99.99, items: 3, customer: "customer-0815", note: "leave it at the door please!", ok: true };

/** `readAll` of 200,000 messages, or of 1,000,000. */
export async function readAll(full: boolean): Promise<Row[]> {
  const count = full ? 1_000_000 : 200_000;
  const server = await NatsServer.start();
  const nc = await connect({ servers: server.url });
  try {
    const store = await JetStreamEventStore.open(nc, { namespace: NAMESPACE });
    await fill(nc, store, count);
    const peaks = [await peakOf(() => read(store, 1, count / 10)), await peakOf(() => read(store, 1, count))];
    const times = await medians([
      { name: "push", run: () => push(nc, count) },
      { name: "pull", run: () => pull(nc, count) },
      { name: "readAll", run: () => read(store, 1, count) },
    ], full ? 5 : 3);
    const of = (name: string): number => count / (times.get(name) ?? NaN);
    const bare = Math.max(of("push"), of("pull"));
    const ratio = of("readAll") / bare;
    await store[Symbol.asyncDispose]();
    return [
      {
        work: `readAll of ${count.toLocaleString("en")} events`,
        figure: `${ratio.toFixed(2)} × (${of("readAll").toFixed(0)},000 a second; push ${
          of("push").toFixed(0)
        },000, pull ${of("pull").toFixed(0)},000)`,
        bar: { text: "≥ 0.8 × the fastest bare consumer", met: ratio >= 0.8 },
      },
      {
        work: "… most memory (RSS), of a tenth and of all",
        figure: peaks.map((bytes) => `${(bytes / 1e6).toFixed(0)} MB`).join(", "),
      },
    ];
  } finally {
    await nc.close();
    await server.stop();
  }
}

async function fill(nc: NatsConnection, store: JetStreamEventStore, count: number): Promise<void> {
  const subjects = new Subjects(NAMESPACE, store.shards);
  const timestamp = new Date().toISOString();
  const actors = count / EACH;
  for (let sequence = 1; sequence <= count; sequence++) {
    const actorId = `order-${sequence % actors}`;
    const subject = subjects.ofActor(actorId, shardOf(actorId, store.shards));
    const version = Math.ceil(sequence / actors);
    const event = eventOf(crypto.randomUUID(), "OrderPlaced", actorId, version, DATA, timestamp, undefined);
    const commit = { subject, events: [event], version, previous: Math.max(0, sequence - actors), epoch: 0 };
    for (const message of encodeCommit(commit, 16_384)) {
      const head = headers();
      for (const name in message.headers) head.append(name, message.headers[name] ?? "");
      // Every thousandth is answered: the pipeline stays bounded.
      if (sequence % 1_000 === 0) await nc.request(subject, message.payload, { headers: head, timeout: 30_000 });
      else nc.publish(subject, message.payload, { headers: head });
    }
  }
}

async function read(store: JetStreamEventStore, first: number, last: number): Promise<void> {
  let reached = 0;
  for await (const { position, events } of store.readAll({ after: first - 1 })) {
    reached += events.length;
    if (position === last) break;
  }
  if (reached !== last - first + 1) throw new Error(`${reached} events`);
}

/** The most memory that the process had meanwhile, in bytes, looked at every 20 ms. */
async function peakOf(work: () => Promise<void>): Promise<number> {
  let peak = 0;
  const look = (): void => void (peak = Math.max(peak, process.memoryUsage().rss));
  const timer = setInterval(look, 20);
  await work();
  clearInterval(timer);
  look();
  return peak;
}

const utf8 = new TextDecoder();

/** A push consumer without acknowledgements, and a raw subscription; without flow control the server would cut it off. */
async function push(nc: NatsConnection, count: number): Promise<void> {
  const inbox = createInbox();
  const { promise, resolve } = Promise.withResolvers<void>();
  let events = 0;
  const subscription = nc.subscribe(inbox, {
    callback: (_, message) => {
      if (message.data.length === 0) {
        if (message.reply) nc.publish(message.reply);
        return;
      }
      events += JSON.parse(utf8.decode(message.data)).length;
      if (events === count) resolve();
    },
  });
  const name = await create(nc, { deliver_subject: inbox, flow_control: true, idle_heartbeat: 500_000_000 });
  await promise;
  await end(nc, name, subscription);
}

/** A pull consumer without acknowledgements, two requests ahead, and a raw subscription. */
async function pull(nc: NatsConnection, count: number): Promise<void> {
  const inbox = createInbox();
  const { promise, resolve } = Promise.withResolvers<void>();
  let events = 0;
  const name = await create(nc, {});
  const ask = (): void => {
    const request = JSON.stringify({ batch: BATCH, expires: 30_000_000_000 });
    nc.publish(`$JS.API.CONSUMER.MSG.NEXT.AETHER_${NAMESPACE}.${name}`, request, { reply: inbox });
  };
  const subscription = nc.subscribe(inbox, {
    callback: (_, message) => {
      if (message.data.length === 0) return; // a status
      events += JSON.parse(utf8.decode(message.data)).length;
      if (events === count) resolve();
      else if (events % BATCH === 0) ask();
    },
  });
  ask();
  ask();
  await promise;
  await end(nc, name, subscription);
}

async function create(nc: NatsConnection, more: object): Promise<string> {
  const name = crypto.randomUUID().slice(-12);
  const config = { name, ack_policy: "none", deliver_policy: "all", mem_storage: true, ...more };
  const body = JSON.stringify({ stream_name: `AETHER_${NAMESPACE}`, config, action: "create" });
  const answer = await nc.request(`$JS.API.CONSUMER.CREATE.AETHER_${NAMESPACE}.${name}`, body, { timeout: 10_000 });
  const { error } = answer.json<{ error?: { description: string } }>();
  if (error) throw new Error(error.description);
  return name;
}

async function end(nc: NatsConnection, name: string, subscription: { unsubscribe(): void }): Promise<void> {
  subscription.unsubscribe();
  await nc.request(`$JS.API.CONSUMER.DELETE.AETHER_${NAMESPACE}.${name}`, "", { timeout: 10_000 });
}
