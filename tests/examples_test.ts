import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { bank } from "../examples/bank.ts";
import { bridge, type ShopEvent, type WarehouseEvent } from "../examples/bridge.ts";
import { orderRefunds } from "../examples/order_refunds.ts";
import { type OrderEvent, quickStart } from "../examples/quick_start.ts";
import { type EventStore, InMemoryEventStore, JetStreamEventStore } from "../mod.ts";
import { NatsServer } from "../testing/mod.ts";

const EXPECTED = `Order state after replaying 2 events:
 Status: shipped
 Total: $99.99
 Tracking: FS123456`;

describe("the quick start", () => {
  it("prints the order, in memory", async () => {
    assert.equal(await quickStart(new InMemoryEventStore<OrderEvent>()), EXPECTED);
  });

  it("prints the order, on JetStream", async () => {
    await using server = await NatsServer.start();
    await using nc = await connect({ servers: server.url });
    await using store = await JetStreamEventStore.open<OrderEvent>(nc, { namespace: "quick-start" });
    assert.equal(await quickStart(store), EXPECTED);
  });

  it("stands in the README as it is", async () => {
    const [readme, program] = await Promise.all(
      ["../README.md", "../examples/quick_start.ts"].map((path) => readFile(new URL(path, import.meta.url), "utf8")),
    );
    assert.ok(readme?.includes(program?.replace('"../mod.ts"', '"@aether/aether"') ?? "?"));
    assert.ok(readme?.includes(EXPECTED));
  });
});

describe("the bank", () => {
  const expected = `In the beginning: Ada €100.00, Bob €0.00
After a transfer of €30.00: Ada €70.00, Bob €30.00
After ten more at once: Ada €55.00, Bob €45.00
€1,000.00 from Bob: Bob has €45.00 only
In the end: Ada €55.00, Bob €45.00`;
  onBothStores(async (store) => assert.equal(await bank(store), expected));
});

describe("the fencing token", () => {
  it(
    "refuses what an owner of before sends late",
    { skip: "Bun" in globalThis && "it has no node:sqlite" },
    async () => {
      const { lateLeader } = await import("../examples/fencing_token.ts");
      await using server = await NatsServer.start();
      await using nc = await connect({ servers: server.url });
      assert.equal(
        await lateLeader(nc),
        "first: written\nsecond: written\nfirst, late: refused\nthe report is by second",
      );
    },
  );
});

describe("the order with refunds", () => {
  const expected = `Stored as OrderCreated, read as OrderPlaced {"total":9950,"currency":"EUR"}
Refund repeated: duplicate true, 4000 cents refunded
Refund of too much: 5950 cents are left to refund
In the end it is refunded, at version 4
Orders placed: order-1`;
  onBothStores(async (store) => assert.equal(await orderRefunds(store), expected));
});

describe("the bridge", () => {
  const expected = `Carried: parcel-1 with 2, parcel-2 with 1
After a restart: parcel-1 with 2, parcel-2 with 1
Live: parcel-1 with 2, parcel-2 with 1, parcel-3 with 7`;

  it("prints what it says, in memory", async () => {
    const shop = new InMemoryEventStore<ShopEvent>({ namespace: "shop" });
    assert.equal(await bridge(shop, new InMemoryEventStore<WarehouseEvent>({ namespace: "warehouse" })), expected);
  });

  it("prints what it says, on JetStream", async () => {
    await using server = await NatsServer.start();
    await using nc = await connect({ servers: server.url });
    await using shop = await JetStreamEventStore.open<ShopEvent>(nc, { namespace: "shop" });
    await using warehouse = await JetStreamEventStore.open<WarehouseEvent>(nc, { namespace: "warehouse" });
    assert.equal(await bridge(shop, warehouse), expected);
  });
});

function onBothStores(holds: (store: EventStore) => Promise<void>): void {
  it("prints what it says, in memory", () => holds(new InMemoryEventStore()));

  it("prints what it says, on JetStream", async () => {
    await using server = await NatsServer.start();
    await using nc = await connect({ servers: server.url });
    await using store = await JetStreamEventStore.open(nc, { namespace: "example" });
    await holds(store);
  });
}
