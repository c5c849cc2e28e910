/**
 * `node examples/browser/commit.ts nats://… NAMESPACE [COUNT]`: places and pays as many orders, each in one commit, and
 * prints their events; without a number one a second, until the server ends.
 */
import { connect } from "@nats-io/transport-node";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { JetStreamEventStore } from "../../mod.ts";
import { lineOf, type OrderEvent } from "./order.ts";

const [servers = "nats://localhost:4222", namespace = "browser", count] = process.argv.slice(2);
const runtime = process.versions.bun ? "Bun" : process.versions.deno ? "Deno" : "Node";
const nc = await connect({ servers, reconnect: false });
const store = await JetStreamEventStore.open<OrderEvent>(nc, { namespace });
for (let n = 1; count === undefined || n <= Number(count); n++) {
  const { events } = await store.append(`order-${crypto.randomUUID()}`, [
    { eventType: "OrderPlaced", data: { total: n * 10, note: `from ${runtime} · 注文 🛒` } },
    { eventType: "OrderPaid", data: {} },
  ], { expectedVersion: 0 });
  for (const event of events) console.log(lineOf(event));
  if (count === undefined) await delay(1000);
}
await nc.close();
