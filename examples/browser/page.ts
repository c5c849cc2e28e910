/** The live page: what is stored, then what is committed by whomever, and a button that commits something itself. */
import { wsconnect } from "@nats-io/nats-core";
import { JetStreamEventStore, NatsEventBus } from "../../mod.ts";
import { lineOf, type OrderEvent } from "./order.ts";

const query = new URLSearchParams(location.search);
const namespace = query.get("namespace") ?? "browser";
const status = document.querySelector("#status") as HTMLElement;
const button = document.querySelector("button") as HTMLButtonElement;

main().catch(failed);

async function main(): Promise<void> {
  const servers = query.get("nats");
  if (servers === null) throw new Error("the address of this page lacks ?nats=ws://…");
  const nc = await wsconnect({ servers });
  const store = await JetStreamEventStore.open<OrderEvent>(nc, { namespace });
  const bus = await NatsEventBus.open<OrderEvent>(nc, { namespace });

  // Live first: what is committed while the stored events are read waits here, and none falls between the two.
  const live = bus.subscribe();
  await live.ready;
  const stored = new Set<string>();
  for await (const { events } of store.readAll()) {
    for (const event of events) {
      stored.add(event.id);
      show("#stored", event);
    }
  }

  button.onclick = () => void order(store).catch(failed);
  button.disabled = false;
  status.textContent = "live";
  for await (const event of live) if (!stored.has(event.id)) show("#live", event);
}

/** It shows when it comes back, as everybody's events do. */
async function order(store: JetStreamEventStore<OrderEvent>): Promise<void> {
  const data = { total: 9.99, note: "from this page" };
  await store.append(`order-${crypto.randomUUID()}`, [{ eventType: "OrderPlaced", data }], { expectedVersion: 0 });
}

/** Why a browser cannot connect, it tells to nobody but its console. */
function failed(error: Error): void {
  status.textContent = `failed: ${error.message || error.name}`;
}

function show(list: "#stored" | "#live", event: OrderEvent): void {
  const item = document.createElement("li");
  item.textContent = lineOf(event);
  document.querySelector(list)?.append(item);
}
