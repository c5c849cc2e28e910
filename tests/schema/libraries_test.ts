import { type } from "arktype";
import fc from "fast-check";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as v from "valibot";
import { z } from "zod";
import { type Event, InMemoryEventStore, type NewEvent, typed } from "../../mod.ts";
import { defineEvents } from "../../schema/mod.ts";

interface Placed {
  total: number;
  currency: "EUR" | "USD";
  items: string[];
  note?: string | undefined;
}

/** The same in each library; the newest of three versions. */
const schemas = {
  zod: z.object({
    total: z.number(),
    currency: z.enum(["EUR", "USD"]),
    items: z.array(z.string()),
    note: z.string().optional(),
  }),
  valibot: v.object({
    total: v.number(),
    currency: v.picklist(["EUR", "USD"]),
    items: v.array(v.string()),
    note: v.optional(v.string()),
  }),
  arktype: type({ total: "number", currency: "'EUR' | 'USD'", items: "string[]", "note?": "string | undefined" }),
  "zod, later": z.object({
    total: z.number(),
    currency: z.enum(["EUR", "USD"]),
    items: z.array(z.string()),
    note: z.string().optional(),
  }).refine(async () => (await Promise.resolve(), true)),
};

const data = fc.record<Placed>({
  total: fc.double({ noNaN: true, noDefaultInfinity: true }),
  currency: fc.constantFrom("EUR", "USD"),
  items: fc.array(fc.string()),
  note: fc.string(),
}, { requiredKeys: ["total", "currency", "items"] });

for (const [library, schema] of Object.entries(schemas)) {
  describe(`with ${library}`, () => {
    const Order = defineEvents("order", {
      OrderPlaced: {
        schema: schema as typeof schemas.zod,
        schemaVersion: 3,
        upcast: {
          1: (old: { total: number }) => ({ ...old, currency: "EUR" }),
          2: (old: { total: number; currency: string }) => ({ ...old, items: [] }),
        },
        formerly: ["OrderCreated"],
      },
    });

    it("what is saved is what is read", async () => {
      await fc.assert(fc.asyncProperty(data, fc.option(fc.string(), { nil: undefined }), async (data, note) => {
        await using store = typed(new InMemoryEventStore(), Order);
        const metadata = note === undefined ? {} : { note };
        const event = { eventType: "OrderPlaced", data, metadata } as const;
        const { events: [saved] } = await store.append("order-1", [event]);
        const [read] = await store.getEvents("order-1");
        assert.deepEqual(read, saved);
        assert.equal(JSON.stringify(sorted(read?.data)), JSON.stringify(sorted(data)));
        assert.deepEqual(read?.metadata, { ...metadata, schemaVersion: "3" });
      }));
    });

    it("decoding twice is decoding once, whatever version it was stored with", async () => {
      const version = fc.constantFrom(1, 2, 3);
      const name = fc.constantFrom("OrderPlaced", "OrderCreated");
      await fc.assert(fc.asyncProperty(data, version, name, async (data, version, eventType) => {
        const { currency, items, ...first } = data;
        const old = version === 1 ? first : version === 2 ? { ...first, currency } : { ...first, currency, items };
        const raw = new InMemoryEventStore();
        const metadata = { schemaVersion: String(version) };
        await raw.append("order-1", [{ eventType, data: old, metadata }]);
        const [stored] = await raw.getEvents("order-1");
        const before = structuredClone(stored);
        const once = await Order.decode(stored as Event);
        assert.deepEqual(stored, before);
        assert.deepEqual(await Order.decode(once as Event), once);
        assert.deepEqual(await Order.decode(JSON.parse(JSON.stringify(once))), once);
        assert.equal(once?.eventType, "OrderPlaced");
        const expected = { ...data, ...(version < 2 && { currency: "EUR" }), ...(version < 3 && { items: [] }) };
        assert.equal(JSON.stringify(sorted(once?.data)), JSON.stringify(sorted(expected)));
        const view = typed(typed(raw, Order), Order);
        assert.deepEqual(await view.getEvents("order-1"), [once]);
      }));
    });

    it("what does not fit is a SchemaError that says where", async () => {
      await using store = typed(new InMemoryEventStore(), Order);
      const wrong = { total: "1", currency: "EUR", items: [] } as unknown as Placed;
      const event: NewEvent = { eventType: "OrderPlaced", data: wrong };
      const error = await store.append("order-1", [event as never]).catch((error) => error);
      assert.equal(error.code, "SCHEMA");
      assert.match(error.message, /data\.total: /);
      assert.equal(await store.position(), 0);
    });
  });
}

/** By key: libraries put them in the order of the schema. */
function sorted(data: object | undefined): unknown {
  return Object.entries(data ?? {}).filter(([, value]) => value !== undefined).toSorted(([a], [b]) => a < b ? -1 : 1);
}
