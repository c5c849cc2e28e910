/** What an attack on the typed view of a bus found. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { defineEvents, LocalEventBus, typed } from "../../mod.ts";
import { inTime, take } from "../../testing/event_bus/scene.ts";
import { eventOf, versions } from "../../testing/event_store/scene.ts";
import { money, schema } from "../schema/schemas.ts";

const Order = defineEvents("order", { Paid: schema(money) });
const paid = (version: number, total: unknown = 1) =>
  eventOf("order-1", version, { eventType: "Paid", data: { total } }) as never;

describe("a typed view of a bus under attack", () => {
  it("goes on behind an onUndecodable that throws or rejects", async () => {
    const failures = [
      (): void => {
        throw new Error("callback");
      },
      (): Promise<void> => Promise.reject(new Error("callback")), // unhandled, it would fail the test
    ];
    for (const onUndecodable of failures) {
      await using bus = new LocalEventBus();
      const view = typed(bus, Order);
      const errors: unknown[] = [];
      const seen: number[] = [];
      const handled = view.on({ onUndecodable, onError: (error) => void errors.push(error) }, ({ version }) => {
        seen.push(version);
      });
      const read = view.subscribe({ onUndecodable });
      await bus.publish(paid(1, "much"));
      await bus.publish(paid(2));
      assert.deepEqual(versions(await take(read[Symbol.asyncIterator](), 1)), [2]);
      await handled.drain();
      assert.deepEqual([seen, errors], [[2], []]);
    }
  });

  it("publishes no more once the signal is aborted, whatever the schema waits for", async () => {
    const Slow = defineEvents("order", {
      Paid: { "~standard": { version: 1, vendor: "test", validate: () => new Promise<never>(() => {}) } },
    });
    const view = typed(new LocalEventBus(), Slow);
    const abort = new AbortController();
    const reason = new Error("no more");
    const published = view.publish(paid(1), { signal: abort.signal });
    abort.abort(reason);
    await assert.rejects(inTime(published, () => "the end of publish"), reason);
  });
});
