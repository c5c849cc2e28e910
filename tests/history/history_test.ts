import { connect, type NatsConnection } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type EventStore, JetStreamEventStore } from "../../mod.ts";
import { run, type Runtime } from "../../tasks/runtimes.ts";
import { FaultyNetwork, NatsCluster, NatsServer } from "../../testing/mod.ts";
import { numbers } from "../support/random.ts";
import { check } from "./checker.ts";
import { type Entry, now, recordedCommit } from "./history.ts";
import { Storm } from "./storm.ts";
import type { WorkerOptions } from "./worker.ts";

const ONCE = { skip: "Deno" in globalThis ? false : "its workers are on all runtimes", timeout: 200_000 };
const THOROUGH = Boolean(process.env.CI || process.env.AETHER_TEST_DOWNLOAD);
const SEED = Number(process.env.AETHER_SEED || Date.now() % 1_000_000);
const NAMESPACE = "history";
const RUNTIMES: readonly Runtime[] = ["deno", "bun", "node", "bun"];
/** Seconds, if a process does not end. */
const LIMIT = 180;

describe("what processes on Deno, Bun and Node were told agrees with what is stored", () => {
  it("through lost and late messages, cut connections, and a crash of the server", ONCE, async () => {
    const seconds = THOROUGH ? 60 : 10;
    const server = await NatsServer.start();
    const network = await FaultyNetwork.between(server.url);
    const nc = await clientOf([server.url]);
    try {
      const store = await JetStreamEventStore.open(nc, { namespace: NAMESPACE });
      const storm = new Storm(network, numbers(SEED));
      const entries = await work([[server.url], [network.url], [network.url], [network.url]], seconds, async () => {
        await storm.rage(seconds / 2);
        await server.kill();
        await server.restart();
        await storm.rage(seconds / 2);
      });
      await verify(entries, store);
      const counts = outcomes(entries);
      console.log(`seed ${SEED}: ${storm.met} messages met a fault;`, JSON.stringify(counts));
      assert.ok(storm.met > 2 * seconds);
      assert.ok(counts.acknowledged > 10 * seconds);
      assert.ok(counts.conflicts > seconds);
      assert.ok(counts.settled > seconds / 2);
    } finally {
      await nc.close();
      await network.close();
      await server.stop();
    }
  });

  it("through replicas that lag and the loss of their leader, and all go on by themselves", ONCE, async () => {
    const seconds = THOROUGH ? 30 : 20;
    const cluster = await NatsCluster.start();
    const nc = await clientOf(cluster.urls);
    try {
      const store = await JetStreamEventStore.open(nc, { namespace: NAMESPACE, replicas: 3 });
      let killed = Infinity;
      const entries = await work(RUNTIMES.map(() => cluster.urls), seconds, async () => {
        const leader = await leaderOf(cluster, nc, store.stream);
        for (const follower of cluster.servers.filter((server) => server !== leader)) {
          await delay(50 * seconds);
          await follower.pause();
          await delay(1_000);
          await follower.resume();
        }
        await delay(50 * seconds);
        await leader.kill();
        killed = now();
        await delay(500 * seconds);
        await leader.restart();
      });
      await cluster.ready();
      await verify(entries, store);
      console.log(`seed ${SEED}:`, JSON.stringify(outcomes(entries)));
      for (const [name, own] of Map.groupBy(entries, (entry) => entry.process)) {
        const { acknowledged } = outcomes(own.filter(({ invoked }) => invoked > killed));
        assert.ok(acknowledged > 0, `nothing of ${name} was acknowledged after the leader was lost`);
      }
    } finally {
      await nc.close();
      await cluster.stop();
    }
  });
});

/** What workers do, one on each list of servers, while something happens. */
async function work(
  servers: readonly (readonly string[])[],
  seconds: number,
  meanwhile: () => Promise<void>,
): Promise<Entry[]> {
  const entries: Entry[] = [];
  const workers = servers.map((servers, index) => {
    const runtime = RUNTIMES[index % RUNTIMES.length] as Runtime;
    const options: WorkerOptions = {
      process: `${runtime}-${index}`,
      servers,
      namespace: NAMESPACE,
      seed: SEED + index,
      seconds,
    };
    const { promise: ready, resolve } = Promise.withResolvers<void>();
    const line = (text: string): void => text === "ready" ? resolve() : void entries.push(JSON.parse(text));
    const args = [...(runtime === "deno" ? ["run", "-A", "--no-check"] : []), "tests/history/worker.ts"];
    const ended = run(runtime, [...args, JSON.stringify(options)], { line, seconds: LIMIT })
      .then((code) => assert.equal(code, 0, `exit code of ${options.process}, seed ${SEED}`));
    return { ready, ended };
  });
  const ended = workers.map((worker) => worker.ended);
  const started = Promise.race([Promise.all(workers.map((worker) => worker.ready)), ...ended]);
  // All of them, so that none is left behind.
  for (const one of await Promise.allSettled([...ended, started.then(meanwhile)])) {
    if (one.status === "rejected") throw one.reason;
  }
  return entries;
}

/** Keeps the history where something is wrong with it. */
async function verify(entries: readonly Entry[], store: EventStore): Promise<void> {
  const stored = (await Array.fromAsync(store.readAll())).map(recordedCommit);
  const violations = check(entries, stored);
  if (violations.length === 0) return;
  const file = join(await mkdtemp(join(tmpdir(), "aether-history-")), "history.json");
  await writeFile(file, JSON.stringify({ entries, stored }));
  const some = violations.slice(0, 10).map(({ rule, what }) => `${rule}: ${what}`);
  assert.fail([`${violations.length} violations, seed ${SEED}, all in ${file}`, ...some].join("\n"));
}

/** How writes ended; settled: stored, and known only by asking again. */
function outcomes(entries: readonly Entry[]): Record<"acknowledged" | "conflicts" | "settled" | "unknown", number> {
  const writes = entries.flatMap(({ call }) => call.kind === "write" ? [call] : []);
  const acknowledged = writes.flatMap(({ outcome }) => outcome.kind === "acknowledged" ? [outcome] : []);
  return {
    acknowledged: acknowledged.length,
    conflicts: writes.filter(({ outcome }) => outcome.kind === "refused" && outcome.conflict).length,
    settled: acknowledged.filter(({ commits }) => commits.some(({ duplicate }) => duplicate)).length,
    unknown: writes.filter(({ outcome }) => outcome.kind === "unknown").length,
  };
}

async function leaderOf(cluster: NatsCluster, nc: NatsConnection, stream: string): Promise<NatsServer> {
  const info = (await nc.request(`$JS.API.STREAM.INFO.${stream}`)).json<{ cluster: { leader: string } }>();
  const leader = cluster.servers.find(({ name }) => name === info.cluster.leader);
  assert.ok(leader);
  return leader;
}

function clientOf(servers: readonly string[]): Promise<NatsConnection> {
  return connect({ servers: [...servers], reconnectTimeWait: 50, maxReconnectAttempts: -1 });
}
