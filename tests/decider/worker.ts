/** A process that executes commands on one actor: some of its own, and some that all processes execute by the same ids. */
import { connect } from "@nats-io/transport-node";
import process from "node:process";
import { execute, JetStreamEventStore } from "../../mod.ts";
import { counter } from "../support/counter.ts";

const [url = "", commands = ""] = process.argv.slice(2);
await using nc = await connect({ servers: url });
await using store = await JetStreamEventStore.open(nc, { namespace: "processes" });
let first = 0;
let retries = 0;
for (let index = 0; index < Number(commands); index++) {
  const shared = await execute(store, counter, "counter-1", { add: 1 }, { retries: 64, commandId: `shared-${index}` });
  const own = await execute(store, counter, "counter-1", { add: 1 }, { retries: 64 });
  if (!shared.duplicate) first++;
  retries += shared.retries + own.retries;
}
console.log(JSON.stringify({ first, retries }));
