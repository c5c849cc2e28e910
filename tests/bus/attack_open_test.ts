/** What an attack on the buses found, and what is not mended yet. */
import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, it } from "node:test";
import {
  defineEvents,
  InMemoryEventStore,
  isAetherError,
  LocalEventBus,
  NatsEventBus,
  shardOf,
  typed,
} from "../../mod.ts";
import { Collected } from "../../testing/event_bus/scene.ts";
import { added, eventOf, upTo, versions } from "../../testing/event_store/scene.ts";
import { NatsServer } from "../../testing/mod.ts";
import { money, schema } from "../schema/schemas.ts";
import { headersOf } from "../support/jetstream.ts";

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));
const hang = (): Promise<void> => new Promise(() => {});

describe("what an attack on the buses found, and is not mended", () => {
  it("waits with drain for callbacks that are not done", async () => {
    const bus = new LocalEventBus();
    const store = new InMemoryEventStore({ bus });
    const done: string[] = [];
    const late = (name: string) => async (): Promise<void> => {
      await turn();
      done.push(name);
    };
    const subscription = bus.on({ onDeleted: late("onDeleted"), onError: late("onError") }, () => {
      throw new Error("handler");
    });
    await store.append("order-1", [added()]);
    await store.deleteActor("order-1");
    await subscription.drain();
    assert.deepEqual(done.toSorted(), ["onDeleted", "onError"]);
  });

  it("tells onError of an overflow at once, also where a deletion has no room", async () => {
    const bus = new LocalEventBus();
    const store = new InMemoryEventStore({ bus });
    const errors: unknown[] = [];
    bus.on({ buffer: 1, onDeleted: () => {}, onError: (error) => void errors.push(error) }, hang);
    for (const _ of upTo(2)) {
      await store.append("order-1", [added()]);
      await turn();
    }
    await store.deleteActor("order-1");
    await turn();
    assert.ok(errors.length === 1 && isAetherError(errors[0], "OVERFLOW"));
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
    bus.on({ buffer: 1, overflow: "drop-newest" }, hang);
    bus.on({}, ({ version }) => void seen.push(version));
    for (const version of upTo(4)) {
      await bus.publish(eventOf("order-1", version));
      await turn();
    }
    assert.deepEqual(seen, [1, 2, 3, 100, 4]);
  });

  it("lets go of the events when the iteration is left before it began", async () => {
    const bus = new LocalEventBus();
    const Order = defineEvents("order", { Paid: schema(money) });
    const subscription = typed(bus, Order).subscribe({ buffer: 1, overflow: "drop-newest" });
    await subscription[Symbol.asyncIterator]().return?.();
    for (const version of upTo(3)) {
      await bus.publish(eventOf("order-1", version, { eventType: "Paid", data: { total: 1 } }));
    }
    assert.equal(subscription.dropped, 0);
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

  it("takes one listener of a signal, whatever the number of its subscriptions", () => {
    const bus = new LocalEventBus();
    const abort = new AbortController();
    for (const _ of upTo(3)) bus.on({ signal: abort.signal }, () => {});
    // Runtimes walk all listeners of a signal to add one: 100,000 subscriptions of one signal take a minute.
    assert.equal(getEventListeners(abort.signal, "abort").length, 1);
  });
});
