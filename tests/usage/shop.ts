/** The catalogues of program 2, which other programs use. */
import * as v from "valibot";
import { z } from "zod";
import { defineEvents, type EventOf } from "../../mod.ts";

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
