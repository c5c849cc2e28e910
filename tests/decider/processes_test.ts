import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { it } from "node:test";
import { JetStreamEventStore, load } from "../../mod.ts";
import { NatsServer } from "../../testing/mod.ts";
import { counter } from "../support/counter.ts";
import { runScript } from "../support/process.ts";

const PROCESSES = 4;
const COMMANDS = 40;

it("four processes on one actor: with 64 retries every command succeeds, and those with one id once", async () => {
  await using server = await NatsServer.start();
  const script = new URL("worker.ts", import.meta.url);
  const outputs = await Promise.all(
    Array.from({ length: PROCESSES }, () => runScript(script, [server.url, String(COMMANDS)])),
  );
  const counts = outputs.map((output) => JSON.parse(output) as { first: number; retries: number });
  assert.equal(counts.reduce((sum, { first }) => sum + first, 0), COMMANDS);
  assert.ok(counts.some(({ retries }) => retries > 0), "they never met");
  await using nc = await connect({ servers: server.url });
  await using store = await JetStreamEventStore.open(nc, { namespace: "processes" });
  const { state, version } = await load(store, counter, "counter-1");
  const all = COMMANDS + PROCESSES * COMMANDS;
  assert.deepEqual([state.sum, version], [all, all]);
});
