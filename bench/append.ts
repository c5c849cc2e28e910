/** An append against a bare publish of the same bytes, which makes its JSON and headers for each message too. */
import { headers } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import { JetStreamEventStore, shardOf } from "../mod.ts";
import { Subjects } from "../store/subjects.ts";
import { NatsServer } from "../testing/mod.ts";
import { medians, type Row } from "./measure.ts";

const DATA = { total: 99.99, items: 3, customer: "customer-0815", note: "leave it at the door please!", ok: true };

export async function append(full: boolean): Promise<Row[]> {
  await using server = await NatsServer.start();
  await using nc = await connect({ servers: server.url });
  await using store = await JetStreamEventStore.open(nc, { namespace: "bench" });
  const subject = new Subjects("bench", store.shards).ofActor("bare-1", shardOf("bare-1", store.shards));
  let previous = 0;
  let version = 0;
  const times = await medians([
    {
      name: "bare",
      async run(): Promise<void> {
        const event = {
          id: crypto.randomUUID(),
          eventType: "OrderPlaced",
          actorId: "bare-1",
          version: ++version,
          data: DATA,
          timestamp: new Date().toISOString(),
        };
        const head = headers();
        head.set("Aether-Version", String(version));
        head.set("Aether-Previous", String(previous));
        head.set("Nats-Expected-Last-Subject-Sequence", String(previous));
        const answer = await nc.request(subject, JSON.stringify([event]), { headers: head, timeout: 5_000 });
        previous = answer.json<{ seq: number }>().seq;
      },
    },
    { name: "append", run: () => store.append("order-1", [{ eventType: "OrderPlaced", data: DATA }]) },
    {
      name: "append 10",
      run: () => store.append("order-2", Array.from({ length: 10 }, () => ({ eventType: "OrderPlaced", data: DATA }))),
    },
  ], full ? 30_000 : 3_000);
  const [bare = NaN, one = NaN, ten = NaN] = ["bare", "append", "append 10"].map((name) => times.get(name));
  return [
    {
      work: "append of 1 event, against a bare publish",
      figure: `${(one / bare).toFixed(2)} × (${(one * 1000).toFixed(0)} µs)`,
    },
    { work: "append of 10 events, against an append of 1", figure: `${(ten / one).toFixed(2)} ×` },
  ];
}
