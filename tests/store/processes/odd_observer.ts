/** A store with an observer that throws: `odd_observer.ts URL`; prints what was stored and what went unhandled. */
import { connect } from "@nats-io/transport-node";
import process from "node:process";
import { JetStreamEventStore, type Observer } from "../../../mod.ts";

const unhandled: string[] = [];
process.on("unhandledRejection", (error: Error) => void unhandled.push(error.message));
const fail = (): never => {
  throw new Error("odd observer");
};
const observer: Observer = { event: fail, start: () => ({ end: fail }) };
const nc = await connect({ servers: process.argv[2] ?? "" });
const store = await JetStreamEventStore.open(nc, { namespace: "odd", observer });
const versions: number[] = [];
for (let count = 0; count < 2; count++) {
  versions.push((await store.append("order-1", [{ eventType: "Added", data: {} }])).version);
}
for await (const _ of store.readAll()) { /* told too */ }
await nc.close();
console.log(JSON.stringify({ versions, unhandled }));
