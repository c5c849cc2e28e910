import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { defineEvents, type EventCatalogue, type StandardSchema } from "../../mod.ts";
import { lateSchema, money, schema, stored } from "./schemas.ts";

const any = schema((value) => value);

const Order = defineEvents("order", {
  Placed: {
    schema: schema(money),
    schemaVersion: 3,
    upcast: {
      1: (old: { sum: string }) => ({ total: old.sum }),
      2: (old: { total: string }) => ({ total: Number(old.total) }),
    },
    formerly: ["Created", "Opened"],
  },
  Paid: schema(money),
});

describe("a catalogue", () => {
  it("knows its names, of today and of before", () => {
    assert.equal(Order.actorType, "order");
    assert.deepEqual([Order.actorTypes, Order.eventTypes], [["order"], ["Placed", "Paid"]]);
    assert.equal(Order.id("1"), "order-1");
    for (const key of ["", undefined, null, 1] as string[]) {
      assert.throws(() => Order.id(key), { code: "INVALID_ARGUMENT", argument: "key" });
    }
    assert.deepEqual(Order.storedTypes(["Paid", "Placed"]), ["Paid", "Placed", "Created", "Opened"]);
    assert.deepEqual(Order.storedTypes(["Created", "Lost"]), []);
    assert.equal(Order.includes(stored("Placed", {})), true);
    assert.equal(Order.includes(stored("Created", {})), false);
    assert.equal(Order.includes(stored("Placed", {}, { actorId: "account-1" })), false);
  });

  it("of definitions that make no sense is an InvalidArgumentError that names them", () => {
    const refuse = (argument: string, definition: unknown, more: object = {}, type: unknown = "order"): void => {
      const define = (): unknown => defineEvents(type as "order", { Placed: definition, ...more } as never);
      assert.throws(define, { code: "INVALID_ARGUMENT", argument });
    };
    for (const type of ["", "sales-order", "-", "-x", 7, null, "x".repeat(600), "\ud800"]) {
      refuse("actorType", any, {}, type);
    }
    const wrong = { "~standard": { version: 2, vendor: "x", validate: () => ({ value: 1 }) } };
    for (const definition of [undefined, null, {}, 7, { schema: {} }, wrong, { "~standard": { version: 1 } }]) {
      refuse("definitions.Placed", definition);
    }
    for (const schemaVersion of [0, -1, 1.5, NaN, "2", null]) {
      refuse("definitions.Placed.schemaVersion", { schema: any, schemaVersion });
    }
    const step = (data: unknown): unknown => data;
    refuse("definitions.Placed.upcast.1", { schema: any, schemaVersion: 2 });
    refuse("definitions.Placed.upcast.2", { schema: any, schemaVersion: 3, upcast: { 1: step } });
    refuse("definitions.Placed.upcast.1", { schema: any, schemaVersion: 2, upcast: { 1: "step" } });
    refuse("definitions.Placed.upcast.2", { schema: any, schemaVersion: 2, upcast: { 1: step, 2: step } });
    refuse("definitions.Placed.upcast.0", { schema: any, schemaVersion: 2, upcast: { 0: step, 1: step } });
    refuse("definitions.Placed.upcast.1", { schema: any, upcast: { 1: step } });
    refuse("definitions.Placed.upcast", { schema: any, upcast: step });
    const says = (definition: unknown, message: RegExp): void =>
      assert.throws(() => defineEvents("order", { Placed: definition } as never), { message });
    says({ schema: any, schemaVersion: 2 }, /^Placed: upcast\[1\], a function from version 1 to 2, is missing$/);
    says({ schema: any, upcast: { 1: step } }, /^Placed: upcast\[1\] leads to version 2, and schemaVersion is 1$/);
    refuse("schemaversion", { schema: any, schemaversion: 2 });
    refuse("definitions.Placed.upcast.1", { schema: any, schemaVersion: 20_261_127 });
    refuse("definitions.Placed.formerly", { schema: any, formerly: "Created" });
    refuse("definitions.Placed.formerly", { schema: any, formerly: [""] });
    refuse("definitions.Placed.formerly", { schema: any, formerly: ["Paid"] }, { Paid: any });
    refuse("definitions.Placed.formerly", { schema: any, formerly: ["Placed"] });
    refuse("definitions.Placed.formerly", { schema: any, formerly: ["Created", "Created"] });
    const paid = { schema: any, formerly: ["Created"] };
    refuse("definitions.Paid.formerly", { schema: any, formerly: ["Created"] }, { Paid: paid });
    refuse("definitions.", any, { "": any });
    const options = { unknown: "ignore" as "skip" };
    assert.throws(() => defineEvents("order", {}, options), { code: "INVALID_ARGUMENT", argument: "unknown" });
    assert.throws(() => defineEvents("order", null as never), { code: "INVALID_ARGUMENT", argument: "definitions" });
  });
});

describe("encode", () => {
  it("gives the schema's output, sets the version and keeps all else", () => {
    const event = { eventType: "Placed", data: { total: 1, more: 2 }, id: "i", timestamp: "t", metadata: { x: "y" } };
    const encoded = Order.encode(event);
    const metadata = { x: "y", schemaVersion: "3" };
    assert.deepEqual(encoded, { ...event, data: { total: 1 }, metadata });
    assert.deepEqual(event.data, { total: 1, more: 2 });
    assert.equal(Order.encode(encoded as never), encoded);
  });

  it("leaves version 1 out, also where the caller says one", () => {
    const data = { total: 1 };
    assert.deepEqual(Order.encode({ eventType: "Paid", data, metadata: { schemaVersion: "7" } }), {
      eventType: "Paid",
      data,
    });
    const metadata = { schemaVersion: "1", x: "y" };
    assert.deepEqual(Order.encode({ eventType: "Paid", data, metadata }), {
      eventType: "Paid",
      data,
      metadata: { x: "y" },
    });
    const placed = Order.encode({ eventType: "Placed", data, metadata: { schemaVersion: "1" } });
    assert.deepEqual(placed, { eventType: "Placed", data, metadata: { schemaVersion: "3" } });
  });

  it("of what does not fit is a SchemaError with the issues", () => {
    const issues = [{ message: "is no number", path: ["total"] }];
    const fields = { code: "SCHEMA", eventType: "Paid", actorId: "order-1", issues };
    assert.throws(() => Order.encode({ eventType: "Paid", data: {} }, "order-1"), fields);
    assert.throws(() => Order.encode({ eventType: "Paid", data: {} }, "order-1"), {
      message: /data\.total: is no number/,
    });
    for (const eventType of ["Lost", "Created", "__proto__", undefined]) {
      const event = { eventType: eventType as string, data: { total: 1 } };
      assert.throws(() => Order.encode(event, "order-1"), { code: "SCHEMA", actorId: "order-1" });
    }
    const threw = defineEvents("order", { Paid: throwing(new Error("oops")) });
    assert.throws(() => threw.encode({ eventType: "Paid", data: {} }), { code: "SCHEMA", cause: new Error("oops") });
  });

  it("refuses a schema that changes its own output, and takes one that settles", () => {
    const adds = defineEvents("order", { Paid: schema((value) => (value as number) + 1) });
    assert.throws(() => adds.encode({ eventType: "Paid", data: 1 }), {
      code: "SCHEMA",
      message: /changes its own output/,
    });
    const quotes = defineEvents("order", { Paid: schema((value) => textOnly(Number(value))) });
    assert.throws(() => quotes.encode({ eventType: "Paid", data: 1 }), { code: "SCHEMA" });
    const turns = defineEvents("order", {
      Paid: schema((value) => typeof value === "string" ? String(value.length) : fail()),
    });
    assert.throws(() => turns.encode({ eventType: "Paid", data: "abc" }), { code: "SCHEMA", message: /changes/ });
    const refuses = defineEvents("order", { Paid: schema((value) => value === 1 ? [value] : fail()) });
    assert.throws(() => refuses.encode({ eventType: "Paid", data: 1 }), {
      code: "SCHEMA",
      message: /changes.*; data\.total: no/,
    });
    const trims = defineEvents("order", { Paid: schema((value) => (value as string).trim()) });
    assert.equal((trims.encode({ eventType: "Paid", data: " x " }) as { data: string }).data, "x");
    // What JSON leaves out must not be missed when it is read.
    const needs = defineEvents("order", {
      Paid: schema((value) => "note" in (value as object) ? value as { note?: string } : fail()),
    });
    assert.throws(() => needs.encode({ eventType: "Paid", data: { note: undefined } }), { code: "SCHEMA" });
    const adding = defineEvents("order", { Paid: schema((value) => ({ ...value as object, note: undefined })) });
    assert.deepEqual(adding.encode({ eventType: "Paid", data: { total: 1 } }), {
      eventType: "Paid",
      data: { total: 1 },
    });
  });

  it("is at once with a schema that is, and else takes the data as it was at the call", async () => {
    const late = defineEvents("order", { Paid: lateSchema(money, 5) });
    for (const _ of [1, 2]) {
      const data = { total: 1 };
      const metadata = { x: "y" };
      const encoding = late.encode({ eventType: "Paid", data, metadata });
      assert.ok(encoding instanceof Promise);
      data.total = 2;
      metadata.x = "z";
      assert.deepEqual(await encoding, { eventType: "Paid", data: { total: 1 }, metadata: { x: "y" } });
    }
    const bad = late.encode({ eventType: "Paid", data: {} }, "order-1");
    await assert.rejects(Promise.resolve(bad), { code: "SCHEMA", eventType: "Paid", actorId: "order-1" });
    const adds = defineEvents("order", { Paid: lateSchema((value) => (value as number) + 1) });
    const changing = adds.encode({ eventType: "Paid", data: 1 });
    await assert.rejects(Promise.resolve(changing), { code: "SCHEMA", message: /changes/ });
    const rejecting = defineEvents("order", { Paid: throwing(Promise.reject(new Error("oops"))) });
    const rejected = rejecting.encode({ eventType: "Paid", data: 1 });
    await assert.rejects(Promise.resolve(rejected), { code: "SCHEMA", cause: new Error("oops") });
  });

  it("refuses metadata that is none", () => {
    for (const metadata of ["text", ["text"], { x: 1 }, null]) {
      const event = { eventType: "Placed", data: { total: 1 }, metadata: metadata as never };
      assert.throws(() => Order.encode(event), { code: "INVALID_EVENT" });
    }
  });
});

describe("decode", () => {
  const decoded = (event: ReturnType<typeof stored>): unknown => Order.decode(event);

  it("upcasts step by step, by any of its names", () => {
    const event = stored("Created", { sum: "42" }, { metadata: { x: "y" } });
    const today = { ...event, eventType: "Placed", data: { total: 42 }, metadata: { x: "y", schemaVersion: "3" } };
    assert.deepEqual(decoded(event), today);
    assert.deepEqual(decoded({ ...event, metadata: { x: "y", schemaVersion: "1" } }), today);
    assert.deepEqual(
      decoded({ ...event, eventType: "Opened", data: { total: "42" }, metadata: { x: "y", schemaVersion: "2" } }),
      today,
    );
    assert.deepEqual(decoded({ ...today, eventType: "Placed" }), today);
    assert.deepEqual(event.data, { sum: "42" });
  });

  it("twice is once, and the second costs nothing", () => {
    const once = decoded(stored("Created", { sum: "42" })) as ReturnType<typeof stored>;
    assert.equal(decoded(once), once);
    const copy = structuredClone(once);
    assert.notEqual(decoded(copy), copy);
    assert.deepEqual(decoded(copy), once);
    const paid = stored("Paid", { total: 1 }, { metadata: { schemaVersion: "1" } });
    assert.ok(!("metadata" in (decoded(paid) as object)));
  });

  it("gives an upcast a copy, so that it changes nothing that anyone else has", () => {
    const Mutating = defineEvents("order", {
      Placed: {
        schema: schema(money),
        schemaVersion: 2,
        upcast: { 1: (old: { total: number }) => Object.assign(old, { total: old.total * 100 }) },
      },
    });
    const event = stored("Placed", { total: 1 });
    for (const _ of [1, 2]) assert.deepEqual((Mutating.decode(event) as typeof event).data, { total: 100 });
    assert.deepEqual(event.data, { total: 1 });
  });

  it("of a version that is none or newer than the code's is a SchemaError that says so", () => {
    const fields = { code: "SCHEMA", eventType: "Placed", actorId: "order-1", version: 1 };
    for (const schemaVersion of ["0", "01", "-1", "1.5", "two", "", "9".repeat(20), " 1", 2 as unknown as string]) {
      const event = stored("Created", { total: 1 }, { metadata: { schemaVersion } });
      assert.throws(() => decoded(event), { ...fields, message: /is .*no version/ });
    }
    const newer = stored("Placed", { total: 1 }, { metadata: { schemaVersion: "4" } });
    assert.throws(() => decoded(newer), { ...fields, message: /version 4, newer than version 3/ });
    const paid = stored("Paid", { total: 1 }, { metadata: { schemaVersion: "2" } });
    assert.throws(() => decoded(paid), { code: "SCHEMA", eventType: "Paid", message: /newer/ });
  });

  it("of what does not fit, or cannot be upcast, is a SchemaError", () => {
    const fields = { code: "SCHEMA", actorId: "order-1", version: 7 };
    assert.throws(() => decoded(stored("Paid", { total: "1" }, { version: 7 })), { ...fields, eventType: "Paid" });
    const broken = stored("Created", null, { version: 7 });
    assert.throws(() => decoded(broken), (error: Error) => {
      assert.ok(error.cause instanceof TypeError);
      assert.match(error.message, /upcasting from version 1 to 2 threw/);
      assert.throws(() => {
        throw error;
      }, { ...fields, eventType: "Placed" });
      return true;
    });
    const account = stored("Paid", { total: 1 }, { actorId: "account-1" });
    assert.throws(() => decoded(account), { code: "SCHEMA", actorId: "account-1", message: /actor type order/ });
    const adds = defineEvents("order", { Paid: schema((value) => (value as number) + 1) });
    assert.throws(() => adds.decode(stored("Paid", 1)), { code: "SCHEMA", message: /changes/ });
  });

  it("of an unknown type is a SchemaError, or nothing where that is wanted", () => {
    const lost = stored("Lost", 1);
    assert.throws(() => decoded(lost), { code: "SCHEMA", eventType: "Lost", actorId: "order-1", version: 1 });
    const Skipping: EventCatalogue = defineEvents("order", { Paid: schema(money) }, { unknown: "skip" });
    assert.equal(Skipping.decode(lost), undefined);
    assert.equal(Skipping.decode(stored("Lost", 1, { metadata: { schemaVersion: "x" } })), undefined);
    assert.throws(() => Skipping.decode(stored("Paid", {})), { code: "SCHEMA" });
    assert.throws(() => Skipping.encode({ eventType: "Lost", data: 1 }), { code: "SCHEMA" });
  });

  it("waits for a schema that answers later", async () => {
    const late = defineEvents("order", { Paid: lateSchema(money) });
    const decoding = late.decode(stored("Paid", { total: 1, more: 2 }));
    assert.ok(decoding instanceof Promise);
    const event = await decoding;
    assert.deepEqual(event?.data, { total: 1 });
    assert.equal(late.decode(event as never), event);
    await assert.rejects(Promise.resolve(late.decode(stored("Paid", {}))), { code: "SCHEMA", version: 1 });
  });
});

function textOnly(value: number): string {
  return Number.isInteger(value) ? `${value + 0.5}` : fail();
}

function fail(): never {
  throw new Error("no");
}

function throwing(what: Error | Promise<never>): StandardSchema<unknown, unknown> {
  const validate = (): Promise<never> => {
    if (what instanceof Error) throw what;
    return what;
  };
  return { "~standard": { version: 1, vendor: "tests", validate } };
}
