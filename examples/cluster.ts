/**
 * Counters that never go back, on nodes that come and go. With a `nats-server -js`, or one that is started for it, which
 * prints its `NATS_URL`:
 *
 * ```sh
 * deno run -A examples/cluster/server.ts
 * NATS_URL=… deno run -A examples/cluster.ts   # in three terminals; or: bun, node
 * ```
 *
 * Each node serves the counters whose shards it is given, and increases all of them by commands that find their owners.
 * Kill a node, with Ctrl+C or with `kill -9`: the others take its counters over, and each goes on where it was.
 * @module
 */
import { connect } from "@nats-io/transport-node";
import process from "node:process";
import { Cluster, isAetherError, JetStreamEventStore, statusTable, typed } from "../mod.ts";
import { Counter, counter } from "./cluster/counter.ts";

/** Milliseconds between two rounds, and how many counters there are. */
const ROUND = 500;
const COUNTERS = 12;

/** Increases all counters, one after another, and says where each is; throws if one ever went back. */
export async function round(cluster: Cluster, known: Map<string, number>): Promise<string> {
  for (let index = 1; index <= COUNTERS; index++) {
    const id = Counter.id(String(index));
    try {
      // Every event is one step: a counter's version is its value.
      const { version: value } = await cluster.send(counter, id, { increase: 1 }, { timeout: 20_000 });
      const before = known.get(id) ?? 0;
      if (value <= before) throw new Error(`${id} went back from ${before} to ${value}`);
      known.set(id, value);
    } catch (error) {
      if (!isAetherError(error)) throw error;
      console.log(`${id}: ${error.message}`);
    }
  }
  return [...known].map(([id, value]) => `${id} ${value}`).join("  ");
}

if (import.meta.main) {
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  await using nc = await connect({ servers: process.env["NATS_URL"] ?? "localhost:4222", maxReconnectAttempts: -1 });
  await using store = typed(await JetStreamEventStore.open(nc, { namespace: "counters" }), Counter);
  await using cluster = await Cluster.join(nc, { namespace: "counters", ...nodeId() });
  cluster.serve(store, counter);
  const known = new Map<string, number>();
  while (!stop.signal.aborted) {
    console.log(`\n${await round(cluster, known)}\n${statusTable(cluster.status())}`);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ROUND);
      stop.signal.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
  console.log("leaving: drains, hands over, says good-bye");
}

/** `NODE_ID=a`, or a made-up one. */
function nodeId(): { readonly nodeId?: string } {
  const id = process.env["NODE_ID"];
  return id === undefined ? {} : { nodeId: id };
}
