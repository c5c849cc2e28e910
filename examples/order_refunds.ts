/** An order, its refunds, and events that an older version of the code has stored. `deno run -A examples/order_refunds.ts` */
import {
  defineDecider,
  defineEvents,
  type EventStore,
  execute,
  InMemoryEventStore,
  InMemorySnapshotStore,
  load,
  typed,
} from "../mod.ts";
import { z } from "zod";

export const Order = defineEvents("order", {
  // Once it was called OrderCreated, had no currency, and a total in euros where there are cents now.
  OrderPlaced: {
    schema: z.object({ total: z.number().int(), currency: z.enum(["EUR", "USD"]) }),
    schemaVersion: 3,
    upcast: {
      1: (old: { total: number }) => ({ ...old, currency: "EUR" }),
      2: (old: { total: number; currency: string }) => ({ ...old, total: Math.round(old.total * 100) }),
    },
    formerly: ["OrderCreated"],
  },
  OrderPaid: z.object({ paid: z.number().int() }),
  Refunded: z.object({ refund: z.number().int().positive(), reason: z.string() }),
});

type OrderCommand =
  | { type: "Place"; total: number; currency: "EUR" | "USD" }
  | { type: "Pay"; paid: number }
  | { type: "Refund"; refund: number; reason: string };
interface OrderState {
  readonly status: "none" | "placed" | "paid" | "refunded";
  readonly total: number;
  readonly refunded: number;
  readonly currency: string;
}

export const order = defineDecider({
  events: Order,
  initialState: (): OrderState => ({ status: "none", total: 0, refunded: 0, currency: "" }),
  evolve(state, event) {
    switch (event.eventType) {
      case "OrderPlaced":
        return { ...state, status: "placed", ...event.data };
      case "OrderPaid":
        return { ...state, status: "paid" };
      case "Refunded": {
        const refunded = state.refunded + event.data.refund;
        return { ...state, refunded, status: refunded === state.total ? "refunded" : "paid" };
      }
    }
  },
  decide(command: OrderCommand, { status, total, refunded }) {
    switch (command.type) {
      case "Place":
        if (status !== "none") throw new Error("It is placed already");
        return { eventType: "OrderPlaced", data: { total: command.total, currency: command.currency } };
      case "Pay":
        if (status !== "placed" || command.paid !== total) throw new Error("That is not what is to be paid");
        return { eventType: "OrderPaid", data: { paid: command.paid } };
      case "Refund":
        if (status !== "paid") throw new Error(`Nothing to refund: it is ${status}`);
        if (command.refund > total - refunded) throw new Error(`${total - refunded} cents are left to refund`);
        return { eventType: "Refunded", data: { refund: command.refund, reason: command.reason } };
    }
  },
  snapshot: { schemaVersion: 1, every: 3 },
});

/** On any store. */
export async function orderRefunds(store: EventStore): Promise<string> {
  const lines: string[] = [];
  // What the code of last year has stored stays as it is.
  await store.append("order-1", [{ eventType: "OrderCreated", data: { total: 99.5 } }]);

  const shop = typed(store, Order);
  const [placed] = await shop.getEvents("order-1");
  lines.push(`Stored as OrderCreated, read as ${placed?.eventType} ${JSON.stringify(placed?.data)}`);

  const snapshots = new InMemorySnapshotStore();
  await execute(shop, order, "order-1", { type: "Pay", paid: 99_50 }, { snapshots });
  const broken = { type: "Refund", refund: 40_00, reason: "one cup was broken" } as const;
  await execute(shop, order, "order-1", broken, { snapshots, commandId: "refund-1" });
  // The answer got lost, so the client sends the command again: nobody is paid twice.
  const again = await execute(shop, order, "order-1", broken, { snapshots, commandId: "refund-1" });
  lines.push(`Refund repeated: duplicate ${again.duplicate}, ${again.state.refunded} cents refunded`);
  try {
    await execute(shop, order, "order-1", { type: "Refund", refund: 60_00, reason: "greed" }, { snapshots });
  } catch (error) {
    lines.push(`Refund of too much: ${(error as Error).message}`);
  }
  await execute(shop, order, "order-1", { type: "Refund", refund: 59_50, reason: "all are broken" }, { snapshots });
  const { state, version } = await load(shop, order, "order-1", { snapshots });
  lines.push(`In the end it is ${state.status}, at version ${version}`);

  // A filter on the name of today finds what was stored under the old one.
  for await (const { events } of shop.readAll({ eventTypes: ["OrderPlaced"] })) {
    lines.push(`Orders placed: ${events.map(({ actorId }) => actorId).join(", ")}`);
  }
  return lines.join("\n");
}

if (import.meta.main) console.log(await orderRefunds(new InMemoryEventStore()));
