/** `importEvents` against bare pipelined publishing of the same events, one a message, with the headers of the library. */
import { headers } from "@nats-io/nats-core";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { createEvent, type Event, importEvents, JetStreamEventStore, shardOf } from "../mod.ts";
import { Subjects } from "../store/subjects.ts";
import { NatsServer } from "../testing/mod.ts";
import { median, type Row } from "./measure.ts";

const DATA = { total: 99.99, items: 3, customer: "customer-0815", note: "leave it at the door please!", ok: true };
/** Of each actor. */
const LENGTH = 10;
/** Bare publishes under way: more are no faster. */
const UNDER_WAY = 256;

/** Measures imports into fresh namespaces, and the repetition of one. */
export async function imports(full: boolean): Promise<Row[]> {
  const server = await NatsServer.start();
  try {
    const nc = await connect({ servers: server.url });
    try {
      return await measure(nc, full);
    } finally {
      await nc.close();
    }
  } finally {
    await server.stop();
  }
}

async function measure(nc: NatsConnection, full: boolean): Promise<Row[]> {
  const interleaved = events(full ? 100_000 : 20_000);
  const runs = interleaved.toSorted((a, b) => a.actorId < b.actorId ? -1 : a.actorId > b.actorId ? 1 : 0);
  const rates = { bare: [] as number[], interleaved: [] as number[], runs: [] as number[], again: [] as number[] };
  for (let round = -1; round < 5; round++) { // the first one warms up
    const store = (): Promise<JetStreamEventStore> => JetStreamEventStore.open(nc, { namespace: crypto.randomUUID() });
    const [first, second, third] = [await store(), await store(), await store()];
    const times = {
      bare: await time(() => publish(nc, first, interleaved)),
      interleaved: await time(() => importEvents(second, interleaved)),
      runs: await time(() => importEvents(third, runs)),
      again: await time(() => importEvents(second, interleaved)),
    };
    if (round < 0) continue;
    for (const [name, milliseconds] of Object.entries(times)) {
      rates[name as keyof typeof rates].push(interleaved.length / milliseconds * 1_000);
    }
  }
  const bare = median(rates.bare);
  const row = (work: string, rate: number, bar: number): Row => ({
    work,
    figure: `${(rate / bare).toFixed(2)} × (${Math.round(rate).toLocaleString("en")} events/s)`,
    bar: { text: `≥ ${bar} × bare publishing`, met: rate >= bar * bare },
  });
  return [
    row("import of 10 events each of interleaved actors", median(rates.interleaved), 0.6),
    row("… actor by actor", median(rates.runs), 1),
    row("… repeated: all are there", median(rates.again), 0.6),
  ];
}

/** Version by version, of one actor after another. */
function events(count: number): Event[] {
  const actors = count / LENGTH;
  return Array.from({ length: count }, (_, index) =>
    createEvent({
      actorId: `order-${index % actors}`,
      version: Math.floor(index / actors) + 1,
      eventType: "OrderPlaced",
      data: DATA,
    }));
}

async function publish(nc: NatsConnection, store: JetStreamEventStore, events: readonly Event[]): Promise<void> {
  const subjects = new Subjects(store.namespace, store.shards);
  const last = new Map<string, number>();
  let next = 0;
  await Promise.all(Array.from({ length: UNDER_WAY }, async () => {
    for (let event = events[next++]; event !== undefined; event = events[next++]) {
      const { actorId, version } = event;
      const previous = String(last.get(actorId) ?? 0);
      const head = headers();
      head.set("Aether-Version", String(version));
      head.set("Aether-Previous", previous);
      head.set("Nats-Expected-Last-Subject-Sequence", previous);
      const subject = subjects.ofActor(actorId, shardOf(actorId, store.shards));
      const answer = await nc.request(subject, JSON.stringify([event]), { headers: head, timeout: 30_000 });
      last.set(actorId, answer.json<{ seq: number }>().seq);
    }
  }));
}

/** Milliseconds. */
async function time(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
