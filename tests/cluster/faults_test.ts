import { connect, type NatsConnection } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { JetStreamEventStore, shardOf } from "../../mod.ts";
import { NatsServer } from "../../testing/mod.ts";
import { now } from "../history/history.ts";
import { until } from "../support/jetstream.ts";
import { Fleet } from "./fleet.ts";
import { readLedger, storedCommands, violations } from "./ledger.ts";
import { Load, Sender } from "./load.ts";

const ONCE = { skip: "Deno" in globalThis ? false : "its nodes are on all runtimes", timeout: 200_000 };
const NAMESPACE = "faults";
const SHARDS = 32;
/** Milliseconds: a lease, twice. */
const TWO_TTLS = 9_000;

describe("nodes on Deno, Bun and Node", () => {
  it(
    "lose nothing to crashes, pauses and an outage of NATS, and store nothing of an owner of before",
    ONCE,
    async () => {
      await using server = await NatsServer.start();
      await using nc = await clientOf(server.url);
      await using _store = await JetStreamEventStore.open(nc, { namespace: NAMESPACE, shards: SHARDS });
      await using fleet = new Fleet({ servers: [server.url], namespace: NAMESPACE, fenced: true }, SHARDS);
      const [first, second, third] = await Promise.all(["a", "b", "c"].map((nodeId) => fleet.start(nodeId)));
      await Promise.all(fleet.nodes.map((node) => node.ready()));
      await fleet.settled();
      const load = new Load(nc, { namespace: NAMESPACE, shards: SHARDS });

      await outage(server, fleet);
      assert.ok(first && second && third);
      await pauseOfTwo(nc, fleet);
      await crashOfTheLeader(fleet);

      const sent = await load.stop();
      assert.deepEqual(load.failed, []);
      const ledger = await readLedger(nc, NAMESPACE);
      assert.deepEqual(violations(ledger, { fenced: true }), []);
      const stored = storedCommands(ledger);
      assert.deepEqual(sent.filter(({ commandId }) => stored.get(commandId) !== 1), []);
      await Promise.all(fleet.living.map((node) => node.leave()));
    },
  );
});

/** NATS stands still for longer than a lease lasts: nothing moves, and who led goes on with the same token. */
async function outage(server: NatsServer, fleet: Fleet): Promise<void> {
  const [before, began] = [await fleet.leader(), now()];
  await server.pause();
  await until(() => now() > began + 6_000);
  await server.resume();
  const taken = fleet.steps().length;
  await Promise.all(fleet.living.map((node) => until(async () => (await node.status()).channels.store === "ok")));
  assert.equal((await fleet.leader()).token, before.token);
  assert.equal(fleet.steps().length, taken);
  assert.deepEqual(fleet.steps(began), []);
}

/**
 * A node stands still for two leases, with a handler in it that looks at nothing but its fence, and an actor that nobody
 * else has touched: what it appends afterwards is refused.
 */
async function pauseOfTwo(nc: NatsConnection, fleet: Fleet): Promise<void> {
  const { node: leader } = await fleet.leader();
  const victim = fleet.living.find((node) => node !== leader);
  assert.ok(victim);
  const actorId = actorOf([...victim.owned.keys()]);
  let isHeld = false;
  const sending = (async (): Promise<void> => { // it has just come back from an outage, and may not listen yet
    while (!isHeld) await send(nc, actorId);
  })();
  const epoch = await victim.child.heard((said) => said.kind === "holding" ? said.epoch : undefined);
  isHeld = true;
  assert.equal(epoch, victim.owned.get(shardOf(actorId, SHARDS)));
  const lost = [...victim.owned.keys()];
  const began = now();
  victim.child.signal("SIGSTOP");
  await until(() => now() > began + TWO_TTLS);
  await until(() => lost.every((shard) => fleet.nodes.some((node) => node !== victim && node.owned.has(shard))));
  victim.child.signal("SIGCONT");
  await victim.go();
  const code = await victim.child.heard((said) => said.kind === "appended" ? said.code : undefined);
  assert.equal(code, "FENCED");
  // It comes back as another life of the same node.
  await fleet.settled();
  await sending;
}

/** The others take exactly what it had, and one of them leads. */
async function crashOfTheLeader(fleet: Fleet): Promise<void> {
  const { node, token } = await fleet.leader();
  const lost = [...node.owned.keys()].sort();
  const began = now();
  await node.kill();
  await fleet.settled();
  const taken = fleet.steps(began).filter(({ type }) => type === "shardAcquired").map(({ shard }) => shard).sort();
  assert.deepEqual(taken, lost);
  assert.ok((await fleet.leader()).token > token);
}

/** Of one of these shards. */
function actorOf(shards: readonly number[]): string {
  for (let count = 0;; count++) if (shards.includes(shardOf(`held-${count}`, SHARDS))) return `held-${count}`;
}

/** Nobody waits for the answer. */
async function send(nc: NatsConnection, actorId: string): Promise<void> {
  using sender = new Sender(nc, NAMESPACE, SHARDS);
  await sender.send(actorId, {}, { timeout: 1_000 }).catch(() => {});
}

function clientOf(url: string): Promise<NatsConnection> {
  return connect({ servers: url, reconnectTimeWait: 50, maxReconnectAttempts: -1 });
}
