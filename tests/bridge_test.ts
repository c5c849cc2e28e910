import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { carry, type ShopEvent, type WarehouseEvent } from "../examples/bridge.ts";
import { type Event, isAetherError, JetStreamEventStore, NatsEventBus } from "../mod.ts";
import { Collected } from "../testing/event_bus/scene.ts";
import { upTo } from "../testing/event_store/scene.ts";
import { NatsServer } from "../testing/mod.ts";

describe("a bridge between two namespaces", () => {
  it("is the only way across, and carries each event once, whatever becomes of it meanwhile", async () => {
    await using server = await NatsServer.start();
    await using nc = await connect({ servers: server.url });
    await using shop = await JetStreamEventStore.open<ShopEvent>(nc, { namespace: "shop" });
    await using warehouse = await JetStreamEventStore.open<WarehouseEvent>(nc, { namespace: "warehouse" });
    await using shopBus = await NatsEventBus.open<ShopEvent>(nc, { namespace: "shop" });
    await using warehouseBus = await NatsEventBus.open<WarehouseEvent>(nc, { namespace: "warehouse" });
    const [here, there] = [new Collected<Event>(), new Collected<Event>()];
    const deleted = new Collected<string>();
    await using inShop = shopBus.on({}, here.take);
    await using inWarehouse = warehouseBus.on({ onDeleted: deleted.take }, there.take);
    await Promise.all([inShop.ready, inWarehouse.ready]);

    const placed: string[] = [];
    const sell = async (from: number, to: number): Promise<void> => {
      for (const number of upTo(to).slice(from - 1)) {
        const id = crypto.randomUUID();
        placed.push(id);
        const data = { customer: "Ada", items: number };
        await shop.append(`order-${number}`, [{ eventType: "OrderPlaced", data, id }, {
          eventType: "OrderPaid",
          data: { card: "4242" },
        }]);
      }
    };
    const parcels = (): Event[] => there.items.filter(({ eventType }) => eventType !== "Carried");
    await sell(1, 20);
    assert.equal(there.items.length, 0);

    // Ended anywhere, and begun anew.
    for (const enough of [3, 9]) {
      const stop = new AbortController();
      const running = carry(shop, warehouse, { live: true, signal: stop.signal });
      await there.atLeast(2 * enough);
      stop.abort();
      await assert.rejects(running, (error) => error === stop.signal.reason || isAetherError(error, "UNKNOWN_OUTCOME"));
    }
    // Two at once: one stores what the other then cannot.
    const both = await Promise.allSettled([carry(shop, warehouse), carry(shop, warehouse)]);
    for (const result of both) {
      if (result.status === "rejected") assert.ok(isAetherError(result.reason, "VERSION_CONFLICT"), result.reason);
    }
    await sell(21, 25);
    await shop.deleteActor("order-25");
    await warehouse.append("parcel-99", [{ eventType: "ParcelRequested", data: { items: 1 } }]);
    await carry(shop, warehouse);
    await there.atLeast(2 * 24 + 1);

    assert.deepEqual(parcels().map(({ id }) => id).slice(0, 20), placed.slice(0, 20));
    const items = parcels().map(({ actorId, data }) => `${actorId} ${JSON.stringify(data)}`);
    const expected = upTo(24).map((number) => `parcel-${number} {"items":${number}}`);
    expected.splice(20, 0, 'parcel-99 {"items":1}');
    assert.deepEqual(items.toSorted(), expected.toSorted());
    // And the shop has nothing but its own.
    assert.equal((await here.atLeast(50)).length, 50);
    assert.ok(here.items.every(({ actorId }) => actorId.startsWith("order-")));
    await shop.deleteActor("order-1");
    await carry(shop, warehouse);
    assert.deepEqual(await deleted.atLeast(1), ["parcel-1"]);
  });
});
