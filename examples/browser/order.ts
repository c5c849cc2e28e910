import type { ActorEvents } from "../../mod.ts";

/** What happens to an order. */
export type OrderEvent = ActorEvents<"order", { OrderPlaced: { total: number; note: string }; OrderPaid: object }>;

/** An event in one line. */
export function lineOf({ actorId, version, eventType, data }: OrderEvent): string {
  return `${actorId} ${version} ${eventType} ${JSON.stringify(data)}`;
}
