import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { it } from "node:test";
import { z } from "zod";
import {
  type ActorEvents,
  defineDecider,
  defineEvents,
  execute,
  InMemorySnapshotStore,
  isAetherError,
  JetStreamEventStore,
  load,
  typed,
} from "../../mod.ts";
import { NatsServer } from "../../testing/mod.ts";
import { Account, Order, type OrderCommand, orderDecider, type OrderState } from "./shop.ts";

it("program 6: a decider, its types inferred", async () => {
  await using server = await NatsServer.start();
  await using nc = await connect({ servers: server.url });
  await using raw = await JetStreamEventStore.open(nc, { namespace: "shop" });
  const shop = typed(raw, Order, Account);
  const snapshots = new InMemorySnapshotStore();
  await execute(shop, orderDecider, "order-123", { type: "Place", total: 42 });

  const done = await execute(shop, orderDecider, "order-123", { type: "Ship", carrier: "DHL" }, {
    snapshots,
    commandId: "c-1",
  });
  assert.equal(done.state.status satisfies "none" | "placed" | "shipped", "shipped");
  const { state, version } = await load(raw, orderDecider, `order-${done.version}`, { snapshots }); // any store that holds them
  assert.deepEqual([state.total, version], [0, 0]);
  assert.equal((await load(raw, orderDecider, "order-123")).state.total, 42);
  // @ts-expect-error no such command
  await execute(shop, orderDecider, "order-123", { type: "Lose" }).catch((error) => assert.ok(error));
  const foreign = (error: unknown): void => assert.ok(isAetherError(error, "INVALID_ARGUMENT"));
  // @ts-expect-error an order's decider on an account
  await execute(shop, orderDecider, "account-1", { type: "Ship", carrier: "DHL" }).then(
    () => assert.fail("it was executed"),
    foreign,
  );
  // @ts-expect-error an order's decider on a store of accounts
  await execute(typed(raw, Account), orderDecider, "order-1", { type: "Ship", carrier: "DHL" }).then(
    () => assert.fail("it was executed"),
    foreign,
  );
});

it("program 6: a decider without a catalogue", async () => {
  await using server = await NatsServer.start();
  await using nc = await connect({ servers: server.url });
  await using raw = await JetStreamEventStore.open(nc, { namespace: "shop" });
  type CounterEvent = ActorEvents<"counter", { Added: { by: number } }>;
  const counterDecider = defineDecider({
    initialState: () => 0,
    evolve: (state: number, event: CounterEvent) => state + event.data.by,
    decide: (command: { add: number }) => ({ eventType: "Added", data: { by: command.add } }),
  });
  assert.equal((await execute(raw, counterDecider, "counter-1", { add: 2 })).state satisfies number, 2);
});

it("program 6: what is wrong is found where it is written", () => {
  defineDecider({
    events: Order,
    initialState: (): OrderState => ({ status: "none", total: 0 }),
    // @ts-expect-error no such status
    evolve: (state) => ({ ...state, status: "lost" }),
    // @ts-expect-error no such currency
    decide: (command: OrderCommand) => ({
      eventType: "OrderPlaced",
      data: { total: command.type.length, currency: "DM" },
    }),
  });
  // What JSON cannot carry is no event data; an actor type has no "-".
  // @ts-expect-error a Date would come back as a string
  defineEvents("order", { OrderDated: z.object({ at: z.date() }) });
  assert.throws(
    // @ts-expect-error sales-order-1 would be of the type "sales"
    () => defineEvents("sales-order", { Placed: z.object({}) }),
    (error) => isAetherError(error, "INVALID_ARGUMENT"),
  );
});
