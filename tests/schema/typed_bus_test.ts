import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type AetherError,
  createEvent,
  defineEvents,
  type Event,
  type EventBus,
  type EventSubscription,
  InMemoryEventStore,
  LocalEventBus,
  type SubscribeOptions,
  typed,
} from "../../mod.ts";
import { inTime, take } from "../../testing/event_bus/scene.ts";
import { all, rejects, upTo } from "../../testing/event_store/scene.ts";
import { lateSchema, money, schema } from "./schemas.ts";

const Order = defineEvents("order", {
  Placed: {
    schema: schema(money),
    schemaVersion: 2,
    upcast: { 1: (old: number) => ({ total: old }) },
    formerly: ["Created"],
  },
  Paid: schema(money),
}, { unknown: "skip" });
/** `Created` is a name of today here; one type is validated a while later. */
const Account = defineEvents("account", { Created: schema(money), Late: lateSchema(money, 20) });

let version = 0;
const event = (actorId: string, eventType: string, data: unknown = { total: 1 }): Event =>
  createEvent({ actorId, eventType, version: ++version, data });
const outline = (events: readonly Event[]): string[] =>
  events.map(({ actorId, eventType }) => `${actorId} ${eventType}`);

/** Keeps what each subscription was asked for; it need not fit together. */
class AskedBus extends LocalEventBus {
  readonly options: SubscribeOptions<Event, string, string>[] = [];

  override subscribe(options: SubscribeOptions<Event, string, string> = {}): EventSubscription<never> {
    this.options.push(options);
    return super.subscribe() as EventSubscription<never>;
  }
}

/** As it came from the store: of all versions and actor types, and some of it wrong. */
async function announce(bus: EventBus): Promise<void> {
  await bus.publish(event("order-1", "Created", 7));
  await bus.publish(event("account-1", "Created"));
  await bus.publish(event("person-1", "Created"));
  await bus.publish(event("order-1", "Forgotten"));
  await bus.publish(event("order-1", "Paid", null));
  await bus.publish(event("account-1", "Late"));
  await bus.publish(event("account-1", "Created"));
  await bus.publish(event("order-1", "Paid"));
}

describe("a typed view of a bus", () => {
  it("gives events of its actor types, by their names of today, in order; skipped ones it leaves out", async () => {
    await using bus = new LocalEventBus();
    const view = typed(bus, Order, Account);
    const errors: AetherError[] = [];
    const onUndecodable = (error: AetherError): void => void errors.push(error);
    const everything = view.subscribe({ onUndecodable });
    const placed = view.subscribe({ eventTypes: ["Placed"] });
    const created = view.subscribe({ eventTypes: ["Created"] });
    const accounts = view.subscribe({ actorTypes: ["account"] });
    const one = typed(bus, Order).subscribe();
    const both = typed(view, Account).subscribe({ eventTypes: ["Late", "Created"] });
    await everything.ready;
    await announce(bus);
    const read = async (subscription: typeof everything): Promise<Event[]> => {
      await subscription.drain();
      return await all(subscription);
    };
    const events = await read(everything);
    assert.deepEqual(outline(events), [
      "order-1 Placed",
      "account-1 Created",
      "account-1 Late",
      "account-1 Created",
      "order-1 Paid",
    ]);
    assert.deepEqual([events[0]?.data, events[0]?.metadata], [{ total: 7 }, { schemaVersion: "2" }]);
    assert.deepEqual(errors.map(({ code }) => code), ["SCHEMA"]);
    assert.match(errors[0]?.message ?? "", /^Paid of order-1/);
    assert.deepEqual(outline(await read(placed as never)), ["order-1 Placed"]);
    assert.deepEqual(outline(await read(created as never)), ["account-1 Created", "account-1 Created"]);
    assert.deepEqual(outline(await read(accounts as never)), [
      "account-1 Created",
      "account-1 Late",
      "account-1 Created",
    ]);
    assert.deepEqual(outline(await read(one as never)), ["order-1 Placed", "order-1 Paid"]);
    assert.deepEqual(outline(await read(both as never)), ["account-1 Created", "account-1 Late", "account-1 Created"]);
    // What nobody was told of is counted.
    assert.deepEqual([everything.dropped, one.dropped, accounts.dropped], [0, 1, 0]);
  });

  it("ends by break, also while events wait", async () => {
    await using bus = new LocalEventBus();
    const subscription = typed(bus, Order).subscribe();
    await bus.publish(event("order-1", "Paid"));
    await bus.publish(event("order-1", "Paid"));
    for await (const { data } of subscription) {
      assert.equal(data.total, 1);
      break;
    }
    await rejects(all(subscription), "INVALID_ARGUMENT"); // it is read once
  });

  it("hands handlers and onError decoded events, one after the other", async () => {
    await using bus = new LocalEventBus();
    const seen: string[] = [];
    const failed: unknown[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const view = typed(bus, Order, Account);
    await using subscription = view.on({
      onUndecodable: ({ code }) => seen.push(code),
      onError: (error, event) => failed.push([error, event.eventType, event.data]),
    }, async (event) => {
      if (event.eventType === "Placed") throw new Error("oops");
      await Promise.resolve();
      seen.push(event.eventType);
      if (event.eventType === "Paid") resolve();
    });
    await subscription.ready;
    await announce(bus);
    await promise;
    assert.deepEqual(seen, ["Created", "SCHEMA", "Late", "Created", "Paid"]);
    assert.deepEqual(failed, [[new Error("oops"), "Placed", { total: 7 }]]);
  });

  it("publishes what the schema gives, in the order of the calls, and nothing that does not fit", async () => {
    await using bus = new LocalEventBus();
    const view = typed(bus, Order, Account);
    const raw = bus.subscribe();
    const late = event("account-1", "Late", { total: 1, more: 2 }) as Event<"Late", { total: number }, "account-1">;
    const soon = event("account-1", "Created") as Event<"Created", { total: number }, "account-1">;
    const placed = event("order-1", "Placed", { total: 3 }) as Event<"Placed", { total: number }, "order-1">;
    const publishing = [view.publish(late), view.publish(soon), view.publish(placed)];
    await Promise.all(publishing);
    await rejects(view.publish({ ...placed, data: {} as { total: number } }), "SCHEMA", { actorId: "order-1" });
    await rejects(view.publish(event("person-1", "Paid") as never), "INVALID_ARGUMENT", { argument: "actorId" });
    await rejects(view.publish(null as never), "INVALID_EVENT");
    await raw.drain();
    const metadata = { schemaVersion: "2" };
    assert.deepEqual(await all(raw), [{ ...placed, metadata }, { ...late, data: { total: 1 } }, soon]);
  });

  it("passes all other options on, and fills gaps with what is stored", async () => {
    await using bus = new AskedBus();
    await using store = new InMemoryEventStore();
    const view = typed(bus, Order, Account);
    assert.equal(view.namespace, bus.namespace);
    const onGap = (): void => {};
    const { signal } = new AbortController();
    const options = {
      group: "g",
      buffer: 7,
      overflow: "drop-oldest",
      shards: [3],
      actorId: "order-1",
      onGap,
      signal,
    } as const;
    view.subscribe({ ...options, eventTypes: ["Placed"], fill: typed(store, Order) });
    const [asked] = bus.options;
    const behind = { actorTypes: ["order", "account"], eventTypes: ["Placed", "Created"], fill: store };
    assert.deepEqual(asked, { ...options, ...behind });
    assert.throws(() => view.subscribe({ actorId: "person-1" }), { code: "INVALID_ARGUMENT", argument: "actorId" });
    assert.throws(() => view.subscribe({ eventTypes: "Paid" as never }), { code: "INVALID_ARGUMENT" });
    // @ts-expect-error no such event type
    view.subscribe({ eventTypes: ["OrderLost"] });
    // @ts-expect-error no such actor type
    view.subscribe({ actorTypes: ["ordr"] });
  });

  it("lets go of the events when the iteration is left before it began", async () => {
    const bus = new LocalEventBus();
    const subscription = typed(bus, Order).subscribe({ buffer: 1, overflow: "drop-newest" });
    await subscription[Symbol.asyncIterator]().return?.();
    for (const _ of upTo(3)) await bus.publish(event("order-1", "Paid", { total: 1 }));
    assert.equal(subscription.dropped, 0);
    await subscription.drain();
  });

  it("waits with drain for callbacks that are not done, and rejects with what the subscription ended with", async () => {
    await using bus = new LocalEventBus();
    let done = 0;
    const onUndecodable = async (): Promise<void> => {
      await new Promise((resolve) => setTimeout(resolve, 0));
      done++;
    };
    const view = typed(bus, Order);
    const handled = view.on({ onUndecodable }, () => {});
    const failing = view.subscribe({ buffer: 1 });
    for (const _ of upTo(2)) void bus.publish(event("order-1", "Paid", { total: "much" }));
    await handled.drain();
    assert.equal(done, 2);
    await rejects(failing.drain(), "OVERFLOW");
  });

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
      const seen: string[] = [];
      const handled = view.on({ onUndecodable, onError: (error) => void errors.push(error) }, ({ eventType }) => {
        seen.push(eventType);
      });
      const read = view.subscribe({ onUndecodable });
      await bus.publish(event("order-1", "Paid", { total: "much" }));
      await bus.publish(event("order-1", "Paid"));
      assert.deepEqual(outline(await take(read[Symbol.asyncIterator](), 1)), ["order-1 Paid"]);
      await handled.drain();
      assert.deepEqual([seen, errors], [["Paid"], []]);
    }
  });

  it("publishes no more once the signal is aborted, whatever the schema waits for", async () => {
    const Slow = defineEvents("order", {
      Paid: { "~standard": { version: 1, vendor: "test", validate: () => new Promise<never>(() => {}) } },
    });
    const view = typed(new LocalEventBus(), Slow);
    const abort = new AbortController();
    const reason = new Error("no more");
    const published = view.publish(event("order-1", "Paid") as never, { signal: abort.signal });
    abort.abort(reason);
    await assert.rejects(inTime(published, () => "the end of publish"), reason);
  });
});
