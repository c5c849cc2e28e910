/**
 * A shop over HTTP: commands in, events stored, server-sent events out of the bus. In memory, or with `NATS_URL` on
 * JetStream, where any number of these processes share the orders and their events:
 *
 * ```sh
 * deno run -A examples/order_shop.ts       # or: bun, node; PORT=8080
 * curl -N localhost:8080/events &
 * curl -X POST localhost:8080/orders/1 -d '{"type":"Place","total":4200,"currency":"EUR"}'
 * curl localhost:8080/orders/1
 * ```
 * @module
 */
import { connect } from "@nats-io/transport-node";
import { Hono } from "hono";
import { streamSSE } from "hono/streaming";
import process from "node:process";
import { z } from "zod";
import {
  type EventBus,
  type EventStore,
  execute,
  InMemoryEventStore,
  isAetherError,
  JetStreamEventStore,
  load,
  LocalEventBus,
  NatsEventBus,
  typed,
} from "../mod.ts";
import { Order, order } from "./order_refunds.ts";
import { serve } from "./order_shop/serve.ts";

const Command = z.discriminatedUnion("type", [
  z.object({ type: z.literal("Place"), total: z.number().int().positive(), currency: z.enum(["EUR", "USD"]) }),
  z.object({ type: z.literal("Pay"), paid: z.number().int() }),
  z.object({ type: z.literal("Refund"), refund: z.number().int().positive(), reason: z.string() }),
]);

/** The shop, on any store and any bus that announces what is stored there. */
export function orderShop(store: EventStore, bus: EventBus): Hono {
  const orders = typed(store, Order);
  const announcements = typed(bus, Order);
  const app = new Hono();

  app.post("/orders/:key", async (context) => {
    const command = Command.safeParse(await context.req.json().catch(() => undefined));
    if (!command.success) return context.json({ error: "no such command", issues: command.error.issues }, 400);
    // Sent again with the same key, a command is executed once.
    const commandId = context.req.header("Idempotency-Key");
    try {
      const id = Order.id(context.req.param("key"));
      const { state, version, duplicate } = await execute(orders, order, id, command.data, { commandId });
      return context.json({ ...state, version, duplicate });
    } catch (error) {
      if (isAetherError(error)) return context.json({ error: error.code, message: error.message }, 503);
      return context.json({ error: "refused", message: (error as Error).message }, 409);
    }
  });

  app.get("/orders/:key", async (context) => {
    const { state, version } = await load(orders, order, Order.id(context.req.param("key")));
    return version === 0 ? context.json({ error: "no such order" }, 404) : context.json({ ...state, version });
  });

  app.get("/events", (context) =>
    streamSSE(context, async (stream) => {
      const left = new AbortController();
      stream.onAbort(() => left.abort());
      const subscription = announcements.subscribe({ signal: left.signal, overflow: "drop-oldest" });
      await subscription.ready;
      await stream.writeSSE({ event: "ready", data: "" });
      try {
        for await (const { id, eventType, actorId, version, data } of subscription) {
          await stream.writeSSE({ id, event: eventType, data: JSON.stringify({ actorId, version, data }) });
        }
      } catch (error) {
        if (error !== left.signal.reason && !isAetherError(error, "CLOSED")) throw error; // the client, or the shop
      }
    }));

  return app;
}

/** Until the process is ended. */
async function main(): Promise<void> {
  const { NATS_URL, PORT = "8080" } = process.env;
  const namespace = "order-shop";
  let store: EventStore;
  let bus: EventBus;
  if (NATS_URL === undefined) {
    bus = new LocalEventBus({ namespace });
    store = new InMemoryEventStore({ namespace, bus: bus as LocalEventBus });
  } else {
    const nc = await connect({ servers: NATS_URL });
    store = await JetStreamEventStore.open(nc, { namespace });
    bus = await NatsEventBus.open(nc, { namespace });
  }
  const { url } = await serve(orderShop(store, bus).fetch, Number(PORT));
  console.log(`The shop listens on ${url}, ${NATS_URL === undefined ? "in memory" : `on JetStream at ${NATS_URL}`}`);
}

if (import.meta.main) await main();
