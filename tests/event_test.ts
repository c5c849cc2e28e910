import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { causedBy, createEvent, isAetherError } from "../mod.ts";

const fields = { actorId: "order-1", version: 1, eventType: "OrderPlaced", data: { total: 42 } } as const;

describe("createEvent", () => {
  it("fills in a UUID and the time, and has the keys in the order in which they are stored", () => {
    const before = new Date().toISOString();
    const event = createEvent({ ...fields, metadata: { note: "x" } });
    assert.deepEqual(Object.keys(event), ["id", "eventType", "actorId", "version", "data", "timestamp", "metadata"]);
    assert.match(event.id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    assert.ok(event.timestamp >= before && event.timestamp <= new Date().toISOString());
    assert.notEqual(createEvent(fields).id, event.id);
    assert.ok(!("metadata" in createEvent(fields)));
  });

  it("keeps what is given, a Date too", () => {
    const at = new Date("2026-01-31T12:00:00.000Z");
    assert.equal(createEvent({ ...fields, timestamp: at }).timestamp, at.toISOString());
    assert.equal(createEvent({ ...fields, timestamp: at.toISOString(), id: "mine" }).id, "mine");
  });

  it("copies its data: what is changed later does not change the event", () => {
    const data = { items: [1] };
    const event = createEvent({ ...fields, data });
    data.items.push(2);
    assert.deepEqual(event.data, { items: [1] });
  });

  it("refuses what no event can be, naming the place", () => {
    const refused = (change: object, code: string, path?: string): void => {
      try {
        createEvent({ ...fields, ...change });
      } catch (error) {
        assert.ok(isAetherError(error));
        assert.deepEqual([error.code, "path" in error ? error.path : undefined], [code, path]);
        return;
      }
      assert.fail(`${JSON.stringify(change)} was taken`);
    };
    refused({ data: { at: new Date() } }, "INVALID_EVENT", "data.at");
    refused({ data: undefined }, "INVALID_EVENT", "data");
    refused({ timestamp: new Date(NaN) }, "INVALID_EVENT", "timestamp");
    refused({ timestamp: "2026-01-31" }, "INVALID_EVENT", "timestamp");
    refused({ version: 0 }, "INVALID_EVENT", "version");
    refused({ id: "" }, "INVALID_EVENT", "id");
    refused({ eventType: "" }, "INVALID_EVENT", "eventType");
    refused({ metadata: { a: { b: 1 } } }, "INVALID_EVENT", "metadata.a");
    refused({ actorId: "" }, "INVALID_ACTOR_ID");
    refused({ actorId: "ü".repeat(100) }, "INVALID_ACTOR_ID");
  });

  it("takes plain values of another realm", () => {
    const foreign = structuredClone({ list: [{ a: 1 }] });
    assert.deepEqual(createEvent({ ...fields, data: foreign }).data, foreign);
    class Base {
      declare readonly hasOwnProperty: never;
    }
    assert.throws(() => createEvent({ ...fields, data: new Base() }));
    assert.throws(() => createEvent({ ...fields, data: Object.create({ inherited: 1 }) }));
  });
});

describe("causedBy", () => {
  it("says what caused it, and hands on the correlation, which begins with the first event", () => {
    const first = createEvent({ ...fields, metadata: { traceparent: "00-a-b-01", note: "own" } });
    assert.deepEqual(causedBy(first), { correlationId: first.id, causationId: first.id, traceparent: "00-a-b-01" });
    const second = createEvent({ ...fields, metadata: causedBy(first) });
    const third = causedBy(second);
    assert.deepEqual([third.correlationId, third.causationId], [first.id, second.id]);
    assert.ok(!("traceparent" in causedBy(createEvent(fields))));
  });
});
