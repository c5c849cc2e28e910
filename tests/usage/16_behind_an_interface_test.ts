import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { it } from "node:test";
import {
  type EventStore,
  execute,
  InMemorySnapshotStore,
  JetStreamEventStore,
  load,
  type SnapshotStore,
  typed,
} from "../../mod.ts";
import { NatsServer } from "../../testing/mod.ts";
import { Account, Order, orderDecider } from "./shop.ts";

function services(store: EventStore, snapshots: SnapshotStore): { place(id: string, total: number): Promise<number> } {
  return {
    place: async (id, total) =>
      (await execute(store, orderDecider, Order.id(id), { type: "Place", total }, { snapshots })).version,
  };
}

it("program 16: any of it behind an interface of one's own", async () => {
  await using server = await NatsServer.start();
  await using nc = await connect({ servers: server.url });
  await using raw = await JetStreamEventStore.open(nc, { namespace: "shop" });
  const shop = typed(raw, Order, Account);
  const snapshots = new InMemorySnapshotStore();

  assert.equal(await services(shop, snapshots).place("1", 3), 1);
  assert.equal((await load(shop, orderDecider, "order-1")).state.total, 3);
});
