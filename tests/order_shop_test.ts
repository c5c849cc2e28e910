import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { orderShop } from "../examples/order_shop.ts";
import { serve } from "../examples/order_shop/serve.ts";
import {
  type EventBus,
  type EventStore,
  InMemoryEventStore,
  JetStreamEventStore,
  LocalEventBus,
  NatsEventBus,
} from "../mod.ts";
import { NatsServer } from "../testing/mod.ts";

describe("the shop over HTTP", () => {
  it("takes commands, stores events and sends them out, in memory", async () => {
    await using bus = new LocalEventBus();
    await using store = new InMemoryEventStore({ bus });
    await sells(store, bus);
  });

  it("takes commands, stores events and sends them out, on JetStream", async () => {
    await using server = await NatsServer.start();
    await using nc = await connect({ servers: server.url });
    await using store = await JetStreamEventStore.open(nc, { namespace: "order-shop" });
    await using bus = await NatsEventBus.open(nc, { namespace: "order-shop" });
    await sells(store, bus);
  });
});

async function sells(store: EventStore, bus: EventBus): Promise<void> {
  const { url, close } = await serve(orderShop(store, bus).fetch, 0);
  try {
    const leave = new AbortController();
    const events = await fetch(`${url}/events`, { signal: leave.signal });
    const lines = linesOf(events);
    assert.deepEqual(await next(lines), { event: "ready", data: "" });

    const post = async (command: unknown, key = ""): Promise<[number, Record<string, unknown>]> => {
      const headers: HeadersInit = key === "" ? {} : { "Idempotency-Key": key };
      const answer = await fetch(`${url}/orders/1`, { method: "POST", body: JSON.stringify(command), headers });
      return [answer.status, await answer.json()];
    };
    const place = { type: "Place", total: 4200, currency: "EUR" };
    const placed = { status: "placed", total: 4200, currency: "EUR", refunded: 0, version: 1 };
    assert.deepEqual(await post(place, "c-1"), [200, { ...placed, duplicate: false }]);
    assert.deepEqual(await post(place, "c-1"), [200, { ...placed, duplicate: true }]);
    assert.deepEqual(await post(place), [409, { error: "refused", message: "It is placed already" }]);
    assert.equal((await post({ type: "Lose" }))[0], 400);
    assert.equal((await post({ type: "Pay", paid: 4200 }))[0], 200);
    assert.deepEqual(await (await fetch(`${url}/orders/1`)).json(), { ...placed, status: "paid", version: 2 });
    assert.equal((await fetch(`${url}/orders/2`)).status, 404);

    const first = await next(lines);
    assert.equal(first.event, "OrderPlaced");
    assert.deepEqual(JSON.parse(first.data ?? ""), {
      actorId: "order-1",
      version: 1,
      data: { total: 4200, currency: "EUR" },
    });
    assert.equal((await next(lines)).event, "OrderPaid");
    leave.abort();
  } finally {
    await close();
  }
}

/** A server-sent event, by its fields. */
async function next(lines: AsyncIterator<string>): Promise<Record<string, string>> {
  const fields: Record<string, string> = {};
  for (;;) {
    const { value, done } = await lines.next();
    if (done) throw new Error("the events have ended");
    if (value === "") {
      const { id: _, ...rest } = fields;
      return rest;
    }
    const colon = value.indexOf(":");
    fields[value.slice(0, colon)] = value.slice(colon + 1).trimStart();
  }
}

async function* linesOf({ body }: Response): AsyncGenerator<string, void, undefined> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const bytes of body as ReadableStream<Uint8Array>) {
    text += decoder.decode(bytes, { stream: true });
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    yield* lines;
  }
}
