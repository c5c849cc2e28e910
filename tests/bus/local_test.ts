import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, it } from "node:test";
import { type Commit, type Event, InMemoryEventStore, isAetherError, LocalEventBus, type Observer } from "../../mod.ts";
import { added, eventOf, rejects, several, upTo, versions } from "../../testing/event_store/scene.ts";

type Told = [name: string, attributes: Record<string, unknown>];

/** What an observer was told. */
function witness(): { told: Told[]; observer: Observer } {
  const told: Told[] = [];
  return { told, observer: { event: (name, attributes) => void told.push([name, attributes]) } };
}

/** Until everything that waits in this process has had its turn. */
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

describe("LocalEventBus", () => {
  it("refuses a namespace and shards that are none", () => {
    assert.throws(() => new LocalEventBus({ namespace: "a.b" }), { code: "INVALID_NAMESPACE" });
    assert.throws(() => new LocalEventBus({ shards: 0 }), { code: "INVALID_ARGUMENT" });
    assert.equal(new LocalEventBus().namespace, "default");
  });

  it("runs nothing of a subscriber before publish has returned, and what keeps up before it is awaited", async () => {
    const bus = new LocalEventBus();
    const seen: number[] = [];
    bus.on({}, ({ version }) => void seen.push(version));
    for (const version of upTo(3)) {
      const published = bus.publish(eventOf("order-1", version));
      assert.equal(seen.length, version - 1);
      await published;
      assert.equal(seen.length, version);
    }
  });

  it("gives every subscriber the object itself", async () => {
    const bus = new LocalEventBus();
    const event = eventOf("order-1", 1);
    const seen: Event[] = [];
    for (const _ of upTo(2)) bus.on({}, (event) => void seen.push(event));
    await bus.publish(event);
    assert.ok(seen.length === 2 && seen.every((each) => each === event));
  });

  it("gives each subscription its turn while another has much to do", async () => {
    const bus = new LocalEventBus();
    const order: string[] = [];
    for (const name of ["a", "b"]) bus.on({}, () => void order.push(name));
    for (const version of upTo(1_000)) void bus.publish(eventOf("order-1", version));
    await turn();
    assert.equal(order.length, 2_000);
    assert.ok(order.indexOf("b") < 500, `b came after ${order.indexOf("b")}`);
  });

  it("gives the next event of a group to a member that has nothing to do", async () => {
    const bus = new LocalEventBus();
    const hanging: Event[] = [];
    const seen: Event[] = [];
    bus.on({ group: "mailer" }, (event) => {
      hanging.push(event);
      return new Promise(() => {});
    });
    bus.on({ group: "mailer" }, (event) => void seen.push(event));
    for (const version of upTo(50)) await bus.publish(eventOf("order-1", version));
    assert.deepEqual([hanging.length, seen.length], [1, 49]);
  });

  it("reports drops, and that a subscription ended by them", async () => {
    const { told, observer } = witness();
    const bus = new LocalEventBus({ namespace: "shop", observer });
    const dropping = bus.subscribe({ buffer: 1, overflow: "drop-oldest" });
    const failing = bus.subscribe({ buffer: 2 });
    for (const version of upTo(3)) await bus.publish(eventOf("order-1", version));
    const dropped = ["dropped", { namespace: "shop", actorId: "order-1", count: 1, overflow: "drop-oldest" }];
    assert.deepEqual(told, [dropped, dropped, ["overflow", { namespace: "shop", buffer: 2 }]]);
    assert.deepEqual([dropping.dropped, failing.dropped], [2, 1]);
  });

  it("drops a commit as a whole, and counts its events", async () => {
    const bus = new LocalEventBus();
    const store = new InMemoryEventStore({ bus });
    const subscription = bus.subscribe({ buffer: 4, overflow: "drop-oldest" });
    for (const count of [3, 2, 1]) await store.append("order-1", several(count));
    assert.equal(subscription.dropped, 3);
    void subscription.drain();
    assert.deepEqual(versions(await Array.fromAsync(subscription)), [4, 5, 6]);
  });

  it("reports the errors of subscribers that no onError takes, those of onError, onDeleted and onGap too", async () => {
    const { told, observer } = witness();
    const bus = new LocalEventBus({ namespace: "shop", observer });
    const store = new InMemoryEventStore({ namespace: "shop", bus });
    const fail = (text: string) => (): never => {
      throw new Error(text);
    };
    bus.on({ eventTypes: ["Sync"] }, fail("sync"));
    bus.on({ eventTypes: ["Async"] }, () => Promise.reject("async"));
    bus.on({ eventTypes: ["Both"], onError: fail("onError") }, fail("unseen"));
    bus.on({ eventTypes: ["Both"], onError: () => Promise.reject("async onError") as never }, fail("unseen"));
    bus.on({ eventTypes: [], onDeleted: fail("onDeleted") }, () => {});
    for (const eventType of ["Sync", "Async", "Both"]) {
      await bus.publish(eventOf("order-1", 1, { eventType }));
      await turn();
    }
    await store.append("account-1", several(1));
    await store.deleteActor("account-1");
    await turn();
    const of = (eventType: string): object => ({ actorId: "order-1", eventType });
    assert.deepEqual(told, [
      ["subscriberError", { namespace: "shop", callback: "handler", ...of("Sync"), error: "Error: sync" }],
      ["subscriberError", { namespace: "shop", callback: "handler", ...of("Async"), error: "async" }],
      ["subscriberError", { namespace: "shop", callback: "onError", error: "Error: onError" }],
      ["subscriberError", { namespace: "shop", callback: "onError", error: "async onError" }],
      ["subscriberError", { namespace: "shop", callback: "onDeleted", error: "Error: onDeleted" }],
    ]);
  });

  it("writes them to the console where there is no observer", async () => {
    const bus = new LocalEventBus({ namespace: "shop" });
    bus.on({}, () => Promise.reject(new Error("on purpose")));
    const written: unknown[][] = [];
    const { error } = console;
    console.error = (...texts: unknown[]): void => void written.push(texts);
    try {
      await bus.publish(eventOf("order-1", 1));
      await turn();
    } finally {
      console.error = error;
    }
    assert.deepEqual(written.map(([text]) => text), ["Bus shop: handler failed at Added of order-1:"]);
    assert.match(String(written[0]?.[1]), /on purpose/);
  });

  it("lets a subscriber unsubscribe and dispose from within its own callbacks", async () => {
    const bus = new LocalEventBus();
    const store = new InMemoryEventStore({ bus });
    const seen: number[] = [];
    const once = bus.on({}, async ({ version }) => {
      seen.push(version);
      await once[Symbol.asyncDispose]();
    });
    const gone = bus.on({ onDeleted: () => void gone[Symbol.asyncDispose]() }, ({ actorId }) => {
      seen.push(actorId.length);
    });
    await store.append("order-1", several(3));
    await store.append("a", several(1));
    await store.deleteActor("a");
    await store.append("b", several(1));
    await turn();
    assert.deepEqual(seen.toSorted(), [1, 1, 7, 7, 7]);
    await Promise.all([once.drain(), gone.drain()]);
  });

  it("does not let an overflow run anything of its subscriber before every other has the event", async () => {
    const bus = new LocalEventBus();
    const seen: number[] = [];
    const onError = (): void => void bus.publish(eventOf("order-1", 9));
    bus.on({ buffer: 1, onError }, () => {});
    bus.on({}, ({ version }) => void seen.push(version));
    for (const version of [1, 2]) void bus.publish(eventOf("order-1", version));
    await turn();
    assert.deepEqual(seen, [1, 2, 9]);
  });

  it("announces nothing more once it was disposed of, and the store goes on", async () => {
    const bus = new LocalEventBus();
    const store = new InMemoryEventStore({ bus });
    await bus[Symbol.asyncDispose]();
    assert.equal((await store.append("order-1", several(1))).version, 1);
  });

  it("tells a group's deletion to one member", async () => {
    const bus = new LocalEventBus();
    const store = new InMemoryEventStore({ bus });
    const told: string[] = [];
    for (const _ of upTo(3)) bus.on({ group: "mailer", onDeleted: (id) => void told.push(id) }, () => {});
    await store.append("order-1", several(1));
    await store.deleteActor("order-1");
    await turn();
    assert.deepEqual(told, ["order-1"]);
  });

  it("keeps no listener on the signal of a subscription that has ended", async () => {
    const bus = new LocalEventBus();
    const signal = new AbortController().signal;
    const listeners = new Set<unknown>();
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = ((...args: Parameters<typeof addEventListener>): void => {
      listeners.add(args[1]);
      addEventListener.apply(signal, args);
    }) as typeof addEventListener;
    signal.removeEventListener = ((...args: Parameters<typeof removeEventListener>): void => {
      listeners.delete(args[1]);
      removeEventListener.apply(signal, args);
    }) as typeof removeEventListener;
    await bus.on({ signal }, () => {}).drain();
    await bus.on({ signal }, () => {})[Symbol.asyncDispose]();
    const read = bus.subscribe({ signal });
    const next = read[Symbol.asyncIterator]().next();
    await read[Symbol.asyncDispose]();
    assert.equal((await next).done, true);
    await turn();
    assert.equal(listeners.size, 0);
  });

  it("rejects fill that fails to nobody: it is reported, and what is behind the gap is given", async () => {
    const { told, observer } = witness();
    const bus = new LocalEventBus({ observer });
    const store = new InMemoryEventStore({ bus });
    const broken = new InMemoryEventStore();
    await broken[Symbol.asyncDispose]();
    const options = { buffer: 1, overflow: "drop-oldest", fill: broken } as const;
    const subscription = bus.subscribe(options);
    for (const _ of upTo(3)) await store.append("order-1", [added()]);
    void subscription.drain();
    assert.deepEqual(versions(await Array.fromAsync(subscription)), [3]);
    const errors = told.filter(([name]) => name === "subscriberError");
    assert.deepEqual(errors.map(([, { callback }]) => callback), ["fill"]);
  });

  it("takes a commit's word for nothing but its events: one without any is told to nobody", async () => {
    const bus = new LocalEventBus();
    const seen: Event[] = [];
    bus.on({}, (event) => void seen.push(event));
    bus.committed({ actorId: "order-1", version: 1, position: 1, events: [] } as Commit);
    await turn();
    assert.deepEqual(seen, []);
  });

  it("leaves to a reader that comes late what waits in a subscription that was drained before", async () => {
    const bus = new LocalEventBus();
    const drained = bus.subscribe();
    await bus.publish(eventOf("order-1", 1));
    await drained.drain();
    await bus[Symbol.asyncDispose]();
    assert.deepEqual(versions(await Array.fromAsync(drained)), [1]);
  });

  it("refuses an id that is too long once it is encoded", async () => {
    const bus = new LocalEventBus();
    await bus.publish(eventOf("é".repeat(85), 1));
    await rejects(bus.publish(eventOf("é".repeat(86), 1)), "INVALID_ACTOR_ID");
  });

  it("refuses an event after it was disposed of before it looks at it", async () => {
    const bus = new LocalEventBus();
    await bus[Symbol.asyncDispose]();
    await rejects(bus.publish(undefined as never), "CLOSED", { what: "The bus of default" });
  });

  it("takes one listener of a signal, whatever the number of its subscriptions, and none once all have ended", async () => {
    const bus = new LocalEventBus();
    const abort = new AbortController();
    const subscriptions = upTo(3).map(() => bus.on({ signal: abort.signal }, () => {}));
    // Runtimes walk all listeners of a signal to add one: 100,000 subscriptions of one signal take a minute.
    const count = (): number => getEventListeners(abort.signal, "abort").length;
    assert.equal(count(), 1);
    await subscriptions[0]?.drain();
    assert.equal(count(), 1);
    abort.abort(); // which ends the others
    await Promise.all(subscriptions.map((subscription) => subscription.drain()));
    assert.equal(count(), 0);
  });

  it("gives what an observer publishes behind the event that it was told at", async () => {
    let published = false;
    const bus: LocalEventBus = new LocalEventBus({
      observer: {
        event: (): void => {
          if (published) return;
          published = true;
          void bus.publish(eventOf("audit-1", 100));
        },
      },
    });
    const seen: number[] = [];
    bus.on({ buffer: 1, overflow: "drop-newest" }, () => new Promise(() => {}));
    bus.on({}, ({ version }) => void seen.push(version));
    for (const version of upTo(4)) {
      await bus.publish(eventOf("order-1", version));
      await turn();
    }
    assert.deepEqual(seen, [1, 2, 3, 100, 4]);
  });

  it("tells a member of a group that has onDeleted of a deletion, where another has none", async () => {
    const bus = new LocalEventBus();
    const store = new InMemoryEventStore({ bus });
    const deleted: string[] = [];
    bus.on({ group: "g", onDeleted: (id) => void deleted.push(id) }, () => {});
    bus.on({ group: "g" }, () => {}); // whose turn it is when one is deleted
    const ids = upTo(4).map((number) => `order-${number}`);
    for (const id of ids) {
      await store.append(id, [added()]);
      await store.deleteActor(id);
      await turn();
    }
    assert.deepEqual(deleted, ids);
  });

  it("fills from a store of its namespace, whatever the events of that, and refuses any other", async () => {
    type CounterEvent = Event<"Added", { by: number }>;
    const bus = new LocalEventBus<CounterEvent>({ namespace: "shop" });
    const store = new InMemoryEventStore<CounterEvent>({ namespace: "shop", bus });
    const other = new InMemoryEventStore<Event<"Renamed", string, `person-${string}`>>({ namespace: "shop" });
    const elsewhere = new InMemoryEventStore();
    for (const fill of [store, other]) await bus.subscribe({ fill })[Symbol.asyncDispose]();
    for (const fill of [elsewhere, {} as never, null as never]) {
      const refused = (error: unknown): boolean =>
        isAetherError(error, "INVALID_ARGUMENT") && error.argument === "fill";
      assert.throws(() => bus.subscribe({ fill }), refused);
    }
  });

  it("gives the events of a group to members that have room, whatever their buffers", async () => {
    for (const overflow of ["fail", "drop-newest", "drop-oldest"] as const) {
      const bus = new LocalEventBus();
      const hanging: Event[] = [];
      const small = bus.on({ group: "g", buffer: 1, overflow }, (event) => {
        hanging.push(event);
        return new Promise(() => {});
      });
      const seen: number[] = [];
      const large = bus.on({ group: "g", buffer: 100, overflow }, async ({ version }) => {
        await turn();
        seen.push(version);
      });
      for (const version of upTo(20)) void bus.publish(eventOf("order-1", version));
      await large.drain();
      assert.deepEqual([small.dropped, large.dropped], [0, 0], overflow);
      assert.equal(seen.length, 19); // one hangs
    }
  });

  it("refuses an option that there is not by name, and says which is near", () => {
    const bus = new LocalEventBus();
    for (
      const [argument, text, work] of [
        [
          "eventType",
          "no option of subscribe: did you mean eventTypes?",
          () => bus.subscribe({ eventType: [] } as never),
        ],
        ["onEror", "no option of on: did you mean onError?", () => bus.on({ onEror: () => {} } as never, () => {})],
        ["observe", "no option of new LocalEventBus: did", () => new LocalEventBus({ observe: {} } as never)],
        ["options", "The options of subscribe are an object", () => bus.subscribe(null as never)],
      ] as const
    ) {
      assert.throws(
        work,
        (error) =>
          isAetherError(error, "INVALID_ARGUMENT") && error.argument === argument && error.message.includes(text),
      );
    }
  });
});
