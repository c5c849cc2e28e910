/** One actor's history, against the bare requests that give the same messages; and what reading it costs the writers. */
import process from "node:process";
import { createInbox, headers, type Msg } from "@nats-io/nats-core";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { encodeToken } from "../actor_id.ts";
import { eventOf } from "../event.ts";
import { JetStreamEventStore, shardOf } from "../mod.ts";
import { Subjects } from "../store/subjects.ts";
import { encodeCommit } from "../store/wire.ts";
import { NatsServer } from "../testing/mod.ts";
import { median, medians, type Row } from "./measure.ts";

const NAMESPACE = "bench";
const STREAM = `AETHER_${NAMESPACE}`;
const GET = `$JS.API.DIRECT.GET.${STREAM}`;
const ACTORS = 300_000;
/** Events of the actors that are read: ten with five messages of others behind each, and every second of 20,000. */
const DENSE = 10;
const LONG = 10_000;
/** How often the server is started again for each of what is measured cold. */
const STARTS = 3;

const subjects = new Subjects(NAMESPACE, 64);
const utf8 = new TextDecoder();

/** Measures reads of one actor in a stream of 2,000,000 messages, or of a quarter of that unless `full`. */
export async function reading(full: boolean): Promise<Row[]> {
  const messages = full ? 2_000_000 : 500_000;
  const longest = messages / 2;
  const server = await NatsServer.start();
  try {
    const nc = await connect({ servers: server.url });
    const store = await JetStreamEventStore.open(nc, { namespace: NAMESPACE, shards: 64 });
    await fill(nc, store, messages, longest);
    const rows = [
      await dense(nc, store, full),
      await long(nc, store, full),
      await last(nc, store, longest, full),
      await memory(store, longest),
    ];
    await nc.close();
    return [...rows, ...await ends(server, messages)];
  } finally {
    await server.stop();
  }
}

/** At both ends of the stream a message of one actor; between them those of all others. */
async function fill(nc: NatsConnection, store: JetStreamEventStore, messages: number, longest: number): Promise<void> {
  const heads = new Map<string, { version: number; sequence: number }>();
  const timestamp = new Date().toISOString();
  let sequence = 0;
  let others = 0;
  const put = async (actorId: string): Promise<void> => {
    const { version: before, sequence: previous } = heads.get(actorId) ?? { version: 0, sequence: 0 };
    const version = before + 1;
    const event = eventOf(crypto.randomUUID(), "Added", actorId, version, { by: version }, timestamp, undefined);
    heads.set(actorId, { version, sequence: ++sequence });
    const commit = { subject: subjectOf(actorId), events: [event], version, previous, epoch: 0 };
    for (const { subject, headers: fields, payload } of encodeCommit(commit, 16_384)) {
      const head = headers();
      for (const name in fields) head.append(name, fields[name] ?? "");
      // Every thousandth is answered: the pipeline stays bounded.
      if (sequence % 1_000 > 0) nc.publish(subject, payload, { headers: head });
      else await nc.request(subject, payload, { headers: head, timeout: 30_000 });
    }
  };
  const putOthers = async (count: number): Promise<void> => {
    for (let index = 0; index < count; index++) await put(`other-${others++ % ACTORS}`);
  };
  const rest = messages - longest - 6 * DENSE - 2 * LONG - 2;
  await put("ends-1");
  await putOthers(rest / 2);
  for (let count = 0; count < DENSE; count++) {
    await put("dense-1");
    await putOthers(5);
  }
  await putOthers(rest / 2);
  for (let count = 0; count < LONG; count++) {
    await put("long-1");
    await putOthers(1);
  }
  for (let count = 0; count < longest; count++) await put("longest-1");
  await put("ends-1");
  while (await store.position() < sequence);
}

async function dense(nc: NatsConnection, store: JetStreamEventStore, full: boolean): Promise<Row> {
  const subject = subjectOf("dense-1");
  const times = await medians([
    {
      name: "bare",
      async run(): Promise<void> {
        parse(await nc.request(`${GET}.${subject}`, "", { timeout: 5_000 }));
        await batch(nc, { seq: 1, next_by_subj: subject, batch: DENSE });
      },
    },
    { name: "store", run: () => store.getEvents("dense-1") },
  ], full ? 5_000 : 1_000);
  const ratio = of(times, "store") / of(times, "bare");
  return {
    work: `read ${DENSE} events of one dense actor among ${ACTORS.toLocaleString("en")}`,
    figure: `${ratio.toFixed(2)} × (${of(times, "store").toFixed(2)} ms)`,
    bar: { text: "≤ 1.5 × last by subject + one batched Direct Get", met: ratio <= 1.5 },
  };
}

async function long(nc: NatsConnection, store: JetStreamEventStore, full: boolean): Promise<Row> {
  const subject = subjectOf("long-1");
  const times = await medians([
    { name: "batched Direct Get", run: () => batch(nc, { seq: 1, next_by_subj: subject, batch: LONG }) },
    { name: "push consumer", run: () => consume(nc, subject, LONG) },
    { name: "getEvents", run: () => store.getEvents("long-1") },
    { name: "readActor", run: () => drain(store, "long-1") },
  ], full ? 200 : 30);
  const [name, fastest] = [...times].slice(0, 2).sort(([, a], [, b]) => a - b)[0] as [string, number];
  const rate = (time: number): string => `${(LONG / time).toFixed(0)}`;
  const ratio = fastest / of(times, "getEvents");
  const figures = `${rate(of(times, "getEvents"))},000 a second; readActor ${rate(of(times, "readActor"))},000`;
  return {
    work: `read ${LONG.toLocaleString("en")} events of one actor`,
    figure: `${ratio.toFixed(2)} × ${name} (${figures}; bare ${rate(fastest)},000)`,
    bar: { text: "≥ 0.8 × the fastest bare way", met: ratio >= 0.8 },
  };
}

async function last(nc: NatsConnection, store: JetStreamEventStore, longest: number, full: boolean): Promise<Row> {
  const subject = subjectOf("longest-1");
  const times = await medians([
    { name: "bare", run: () => nc.request(`${GET}.${subject}`, "", { timeout: 5_000 }) },
    { name: "store", run: () => store.getEvents("longest-1", 0, { last: 10 }) },
  ], full ? 5_000 : 1_000);
  const ratio = of(times, "store") / of(times, "bare");
  return {
    work: `last 10 events of an actor with ${longest.toLocaleString("en")}`,
    figure: `${ratio.toFixed(1)} × (${of(times, "store").toFixed(2)} ms)`,
    bar: { text: "≤ 12 × one Direct Get", met: ratio <= 12 },
  };
}

/** How much the process grows while it reads the longest history commit by commit. */
async function memory(store: JetStreamEventStore, longest: number): Promise<Row> {
  const before = process.memoryUsage().rss;
  let peak = before;
  let count = 0;
  const start = performance.now();
  for await (const _ of store.readActor("longest-1")) {
    if (++count % 1_000 === 0) peak = Math.max(peak, process.memoryUsage().rss);
  }
  const seconds = (performance.now() - start) / 1_000;
  const figure = `${((peak - before) / 1_048_576).toFixed(0)} MB over ${(before / 1_048_576).toFixed(0)} MB`;
  return {
    work: `peak RSS while ${count.toLocaleString("en")} events of one actor are read`,
    figure: `${figure} (${(longest / seconds / 1_000).toFixed(0)},000 a second)`,
  };
}

/** Two far messages while another connection writes, each time from a server that was started again: its memory is empty. */
async function ends(server: NatsServer, messages: number): Promise<Row[]> {
  const at = (nc: NatsConnection, seq: number): Promise<Msg> =>
    nc.request(GET, JSON.stringify({ seq }), { timeout: 30_000 });
  const both = async (nc: NatsConnection): Promise<void> => {
    parse(await at(nc, messages));
    parse(await at(nc, 1));
  };
  const scan = (nc: NatsConnection): Promise<void> =>
    batch(nc, { seq: 1, next_by_subj: subjectOf("ends-1"), batch: 2 });
  const read = async (_: NatsConnection, store: JetStreamEventStore): Promise<void> => {
    if ((await store.getEvents("ends-1")).length !== 2) throw new Error("an end is missing");
  };
  const seen: Record<"gets" | "scan" | "store", Cold[]> = { gets: [], scan: [], store: [] };
  for (let start = 0; start < STARTS; start++) {
    seen.gets.push(await cold(server, both));
    seen.scan.push(await cold(server, scan));
    seen.store.push(await cold(server, read));
  }
  const time = (name: keyof typeof seen): number => median(seen[name].map(({ time }) => time));
  const stall = (name: keyof typeof seen): number => Math.max(...seen[name].map(({ stall }) => stall));
  const ratio = time("store") / time("gets");
  return [{
    work: `2 events at the two ends of ${messages.toLocaleString("en")} messages, server restarted`,
    figure: `${ratio.toFixed(2)} × (${time("store").toFixed(0)} ms; bare scan ${time("scan").toFixed(0)} ms)`,
    bar: { text: "≤ 3 × two gets by sequence", met: ratio <= 3 },
  }, {
    work: "… longest append meanwhile",
    figure: `${stall("store").toFixed(0)} ms (bare scan ${stall("scan").toFixed(0)} ms)`,
    bar: { text: "≤ 100 ms", met: stall("store") <= 100 },
  }];
}

/** Milliseconds of a read, and of the longest append under way during it. */
interface Cold {
  readonly time: number;
  readonly stall: number;
}

async function cold(
  server: NatsServer,
  read: (nc: NatsConnection, store: JetStreamEventStore) => Promise<unknown>,
): Promise<Cold> {
  await server.restart();
  const [nc, other] = await Promise.all([connect({ servers: server.url }), connect({ servers: server.url })]);
  const store = await JetStreamEventStore.open(nc, { namespace: NAMESPACE });
  const appends: { start: number; end: number }[] = [];
  let over = false;
  const writing = (async () => {
    while (!over) {
      const start = performance.now();
      await other.request(subjectOf("writer-1"), "[]", { timeout: 30_000 });
      appends.push({ start, end: performance.now() });
    }
  })();
  while (appends.length < 100) await nc.flush(); // the first ones load what they need
  const start = performance.now();
  await read(nc, store);
  const time = performance.now() - start;
  over = true;
  await writing;
  await Promise.all([nc.close(), other.close()]);
  const meanwhile = appends.filter((append) => append.end >= start && append.start <= start + time);
  return { time, stall: Math.max(...meanwhile.map((append) => append.end - append.start)) };
}

async function drain(store: JetStreamEventStore, actorId: string): Promise<void> {
  for await (const _ of store.readActor(actorId));
}

function batch(nc: NatsConnection, request: object): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const reply = createInbox();
  const subscription = nc.subscribe(reply, {
    callback: (error, message) => {
      if (error === null && message.data.length > 0) return void parse(message);
      subscription.unsubscribe(); // the end has no payload
      if (error) reject(error);
      else resolve();
    },
  });
  nc.publish(GET, JSON.stringify(request), { reply });
  return promise;
}

async function consume(nc: NatsConnection, filter: string, count: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const inbox = createInbox();
  let left = count;
  const subscription = nc.subscribe(inbox, {
    callback: (error, message) => {
      if (error) reject(error);
      else if (message.data.length === 0) nc.publish(message.reply ?? ""); // flow control
      else {
        parse(message);
        if (--left === 0) resolve();
      }
    },
  });
  const name = crypto.randomUUID();
  const config = {
    name,
    deliver_subject: inbox,
    deliver_policy: "all",
    ack_policy: "none",
    filter_subject: filter,
    flow_control: true,
    idle_heartbeat: 5_000_000_000,
    mem_storage: true,
  };
  const body = JSON.stringify({ stream_name: STREAM, config, action: "create" });
  await nc.request(`$JS.API.CONSUMER.CREATE.${STREAM}.${name}.${filter}`, body, { timeout: 5_000 });
  await promise;
  subscription.unsubscribe();
  await nc.request(`$JS.API.CONSUMER.DELETE.${STREAM}.${name}`, "", { timeout: 5_000 });
}

function parse({ data }: Msg): unknown {
  return JSON.parse(utf8.decode(data));
}

function subjectOf(actorId: string): string {
  return subjects.ofActor(encodeToken(actorId), shardOf(actorId, 64));
}

function of(times: ReadonlyMap<string, number>, name: string): number {
  return times.get(name) ?? NaN;
}
