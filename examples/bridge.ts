/**
 * A bridge between two namespaces: what the warehouse is to know of the shop's orders, and nothing else.
 * `deno run -A examples/bridge.ts`
 */
import { type ActorEvents, causedBy, type EventStore, InMemoryEventStore } from "../mod.ts";

export type ShopEvent = ActorEvents<"order", {
  OrderPlaced: { customer: string; items: number };
  OrderPaid: { card: string };
}>;
export type WarehouseEvent =
  | ActorEvents<"parcel", { ParcelRequested: { items: number } }>
  | ActorEvents<"bridge", { Carried: { position: number } }>;

/** Options of `carry`. */
export interface CarryOptions {
  /** Goes on with what comes, until the signal is aborted. */
  readonly live?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Stores for each placed order a parcel, once, however often it is stopped, killed or started twice: the mark of how far
 * it has come is an event of the warehouse, stored together with what it carries or not at all.
 */
export async function carry(
  shop: EventStore<ShopEvent>,
  warehouse: EventStore<WarehouseEvent>,
  options: CarryOptions = {},
): Promise<void> {
  const mark = `bridge-${shop.namespace}` as const;
  const [last] = await warehouse.getEvents(mark, 0, { last: 1, consistency: "leader" });
  let version = last?.version ?? 0;
  const after = last?.data.position ?? 0;
  const filter = { actorTypes: ["order"], eventTypes: ["OrderPlaced"] } as const;
  for await (const commit of shop.readAll({ ...options, ...filter, after })) {
    const { actorId, events, position, deleted } = commit;
    const parcel = actorId.replace("order", "parcel") as `parcel-${string}`;
    if (deleted) { // passes every filter of event types, and may be done twice
      await warehouse.deleteActor(parcel);
      continue;
    }
    const requests = events.map((event) => ({
      id: event.id, // it stays the same, whoever looks for it
      eventType: "ParcelRequested" as const,
      data: { items: event.data.items }, // the customer stays in the shop
      metadata: causedBy(event),
    }));
    const carried = [{ eventType: "Carried" as const, data: { position } }];
    // Of two bridges at once one has VERSION_CONFLICT here.
    const [, marked] = await warehouse.transact([
      { actorId: parcel, events: requests },
      { actorId: mark, events: carried, expectedVersion: version },
    ]);
    version = marked.version;
  }
}

/** Over any two stores. */
export async function bridge(shop: EventStore<ShopEvent>, warehouse: EventStore<WarehouseEvent>): Promise<string> {
  const lines: string[] = [];
  const parcels = async (): Promise<string> => {
    const ids: string[] = [];
    for await (const { events } of warehouse.readAll({ eventTypes: ["ParcelRequested"] })) {
      for (const { actorId, data } of events) ids.push(`${actorId} with ${data.items}`);
    }
    return ids.join(", ");
  };
  await shop.append("order-1", [{ eventType: "OrderPlaced", data: { customer: "Ada", items: 2 } }]);
  await shop.append("order-1", [{ eventType: "OrderPaid", data: { card: "4242" } }]);
  await shop.append("order-2", [{ eventType: "OrderPlaced", data: { customer: "Bob", items: 1 } }]);
  await carry(shop, warehouse);
  lines.push(`Carried: ${await parcels()}`);
  await carry(shop, warehouse);
  lines.push(`After a restart: ${await parcels()}`);

  const stop = new AbortController();
  const running = carry(shop, warehouse, { live: true, signal: stop.signal });
  await shop.append("order-3", [{ eventType: "OrderPlaced", data: { customer: "Cleo", items: 7 } }]);
  for await (const { actorId } of warehouse.readAll({ actorTypes: ["parcel"], live: true })) {
    if (actorId === "parcel-3") break;
  }
  stop.abort();
  await running.catch((error: unknown) => {
    if (error !== stop.signal.reason) throw error;
  });
  lines.push(`Live: ${await parcels()}`);
  return lines.join("\n");
}

if (import.meta.main) {
  const shop = new InMemoryEventStore<ShopEvent>({ namespace: "shop" });
  console.log(await bridge(shop, new InMemoryEventStore<WarehouseEvent>({ namespace: "warehouse" })));
}
