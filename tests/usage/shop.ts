/** What several programs share: a catalogue of two actor types, and a decider. */
import * as v from "valibot";
import { z } from "zod";
import { defineDecider, defineEvents, type EventOf } from "../../mod.ts";

export const Order = defineEvents("order", {
  OrderPlaced: {
    schema: z.object({ total: z.number(), currency: z.enum(["EUR", "USD"]) }),
    schemaVersion: 2,
    upcast: { 1: (old: { total: number }) => ({ ...old, currency: "EUR" }) },
    formerly: ["OrderCreated"],
  },
  OrderPaid: z.object({ accountId: z.string() }),
  OrderShipped: z.object({ carrier: z.string() }),
  Closed: z.object({ reason: z.literal("done") }),
});
export const Account = defineEvents("account", {
  Deposited: v.object({ amount: v.number() }), // another schema library beside it
  Withdrawn: v.object({ amount: v.number() }),
  Closed: v.object({ closedBy: v.string() }), // the same event type with other data
});
export type OrderEvent = EventOf<typeof Order>;
export type AccountEvent = EventOf<typeof Account>;

export type OrderCommand = { type: "Place"; total: number } | { type: "Ship"; carrier: string };
export interface OrderState {
  status: "none" | "placed" | "shipped";
  total: number;
}
export const orderDecider = defineDecider({
  events: Order,
  initialState: (): OrderState => ({ status: "none", total: 0 }),
  evolve(state, event) {
    switch (event.eventType) {
      case "OrderPlaced":
        return { status: "placed", total: event.data.total };
      case "OrderShipped":
        return { ...state, status: "shipped" };
      default:
        return state;
    }
  },
  decide(command: OrderCommand, state) {
    switch (command.type) {
      case "Place":
        return state.status === "none"
          ? { eventType: "OrderPlaced", data: { total: command.total, currency: "EUR" } }
          : [];
      case "Ship":
        if (state.status !== "placed") throw new Error("not placed");
        return [{ eventType: "OrderShipped", data: { carrier: command.carrier } }];
    }
  },
  snapshot: { schemaVersion: 1, every: 100 },
});
