import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { it } from "node:test";
import { z } from "zod";
import { Cluster, JetStreamEventStore, KvSnapshotStore, typed } from "../../mod.ts";
import { NatsServer } from "../../testing/mod.ts";
import { Account, Order, orderDecider, type OrderEvent } from "./shop.ts";

it("program 11: actors live where their shard is; commands find them", async () => {
  await using server = await NatsServer.start();
  await using nc = await connect({ servers: server.url });
  await using shop = typed(await JetStreamEventStore.open(nc, { namespace: "shop" }), Order, Account);
  const snapshots = await KvSnapshotStore.open(nc, { namespace: "shop" });
  // Put there first: what can be shipped.
  await shop.append("order-123", [{ eventType: "OrderPlaced", data: { total: 5, currency: "EUR" } }]);
  const positions: number[] = [];
  const answers: unknown[] = [];
  const epochs: number[] = [];
  let seen = false;
  const console = {
    log: (...values: unknown[]): void => {
      if (values.length === 3) answers.push(...values);
      else if (values.length === 2) epochs.push(values[1] as number);
      else positions.push(values[0] as number);
    },
  };

  {
    await using cluster = await Cluster.join(nc, { namespace: "shop" });
    cluster.serve(shop, orderDecider, { snapshots });
    const reply = await cluster.send(orderDecider, "order-123", { type: "Ship", carrier: "DHL" }, { timeout: 2000 });
    reply.events satisfies readonly OrderEvent[];
    assert.deepEqual(reply.events.map(({ eventType }) => eventType), ["OrderShipped"]);
    // @ts-expect-error no such command
    const lost = cluster.send(orderDecider, "order-123", { type: "Lose" });
    await assert.rejects(lost, { code: "COMMAND_REJECTED" });

    // without a decider, and with the fence in one's own hand
    cluster.handle("account", async (command, { actorId, fence, signal }) => {
      const { amount } = z.object({ amount: z.number() }).parse(command);
      const { version } = await shop.append(
        actorId as `account-${string}`,
        [{ eventType: "Deposited", data: { amount } }],
        { fence, signal },
      );
      return { version };
    });
    const answer: unknown = await cluster.send("account-1", { amount: 5 });
    assert.deepEqual(answer, { version: 1 });

    // one's own work per shard: order kept inside, parallel across
    const read = Promise.withResolvers<void>();
    cluster.onShard(async ({ shard, signal }) => {
      for await (const commit of shop.readAll({ shards: [shard], live: true, signal })) {
        console.log(commit.position);
        if (positions.length === 3) read.resolve();
      }
    });
    console.log(answer, cluster.ownedShards.size, cluster.status().leader?.nodeId);
    await read.promise;
    try {
      for await (const change of cluster.changes({ signal: AbortSignal.timeout(100) })) {
        if (change.type === "shardAcquired") console.log(change.shard, change.epoch);
      }
    } catch (error) {
      seen = error instanceof DOMException && error.name === "TimeoutError";
    }
  } // leaves: drains, hands over, says good-bye
  assert.ok(seen);
  assert.deepEqual(answers.slice(0, 2), [{ version: 1 }, 64]);
  assert.match(String(answers[2]), /^node-/);
  assert.deepEqual(positions.length, 3);
});
