/** Appends against bare publishes of the same bytes, which make their JSON and headers for each message too. */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { type EventStore, JetStreamEventStore } from "../mod.ts";
import { NatsServer } from "../testing/mod.ts";
import { BareActor } from "./bare_actor.ts";
import { best, medians, type Row } from "./measure.ts";

const DATA = { total: 99.99, items: 3, customer: "customer-0815", note: "leave it at the door please!", ok: true };
const EVENT = { eventType: "OrderPlaced", data: DATA };
const TEN = Array.from({ length: 10 }, () => EVENT);
const IN_FLIGHT = 256;

export async function append(full: boolean): Promise<Row[]> {
  const server = await NatsServer.start();
  const nc = await connect({ servers: server.url });
  try {
    const store = await JetStreamEventStore.open(nc, { namespace: "bench" });
    return [...await oneByOne(nc, store, full), ...await inFlight(nc, store, full)];
  } finally {
    await nc.close();
    await server.stop();
  }
}

async function oneByOne(nc: NatsConnection, store: EventStore, full: boolean): Promise<Row[]> {
  const bare = new BareActor(nc, "bare-1", store.shards, EVENT);
  let version = 0;
  const times = await medians([
    { name: "bare", run: () => bare.publish() },
    { name: "append", run: () => store.append("order-1", [EVENT]) },
    {
      name: "expecting",
      run: async () => ({ version } = await store.append("order-3", [EVENT], { expectedVersion: version })),
    },
    { name: "append 10", run: () => store.append("order-2", TEN) },
  ], full ? 30_000 : 3_000);
  const [nothing = NaN, any = NaN, one = NaN, ten = NaN] = ["bare", "append", "expecting", "append 10"].map((name) =>
    times.get(name)
  );
  const rate = await best(5, () => tens(store, full ? 2_000 : 500), Math.max);
  return [
    ratio("append 1 event with an expectation, against a bare publish", one / nothing, 1.15, one),
    ratio('… with "any"', any / nothing, 1.15, any),
    ratio("append 10 events, against an append of 1", ten / one, 1.3, ten),
    {
      work: "… 10 at a time, one after another",
      figure: `${thousands(rate)} events/s`,
      bar: { text: "≥ 25,000 events/s, best of five", met: rate >= 25_000 },
    },
  ];
}

/** Events a second. */
async function tens(store: EventStore, count: number): Promise<number> {
  const start = performance.now();
  for (let done = 0; done < count; done++) await store.append("order-4", TEN);
  return 10 * count / (performance.now() - start) * 1_000;
}

async function inFlight(nc: NatsConnection, store: EventStore, full: boolean): Promise<Row[]> {
  const ids = Array.from({ length: IN_FLIGHT }, (_, index) => `order-${1_000 + index}`);
  const bare = ids.map((id) => new BareActor(nc, `bare-${id}`, store.shards, EVENT));
  const times = await medians([
    { name: "bare", run: () => Promise.all(bare.map((actor) => actor.publish())) },
    { name: "append", run: () => Promise.all(ids.map((id) => store.append(id, [EVENT]))) },
  ], full ? 1_000 : 150);
  const [nothing = NaN, some = NaN] = ["bare", "append"].map((name) => times.get(name));
  const rate = IN_FLIGHT / some * 1_000;
  return [{
    work: `${IN_FLIGHT} appends in flight to different actors, against bare publishes`,
    figure: `${(nothing / some).toFixed(2)} × (${thousands(rate)} events/s)`,
    bar: { text: "≥ 0.85 ×", met: nothing / some >= 0.85 },
  }];
}

function ratio(work: string, value: number, bar: number, milliseconds: number): Row {
  const figure = `${value.toFixed(2)} × (${(milliseconds * 1_000).toFixed(0)} µs)`;
  return { work, figure, bar: { text: `≤ ${bar} ×`, met: value <= bar } };
}

function thousands(rate: number): string {
  return (Math.round(rate / 100) * 100).toLocaleString("en");
}
