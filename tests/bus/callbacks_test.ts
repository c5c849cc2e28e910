/** What a subscriber and its store do wrong fails nothing else; and what is still to be told when it ends. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type Commit,
  type Event,
  type EventStore,
  InMemoryEventStore,
  isAetherError,
  LocalEventBus,
} from "../../mod.ts";
import { Collected, inTime } from "../../testing/event_bus/scene.ts";
import { added, eventOf, rejects, upTo, versions } from "../../testing/event_store/scene.ts";

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

describe("the callbacks of a subscriber", () => {
  it("goes on behind a handler that throws, or rejects with, what cannot be made a text of", async () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const nameless = [Object.create(null), { toString: (): string => assert.fail() }, proxy];
    for (const [thrown, observes] of nameless.flatMap((each) => [[each, true], [each, false]])) {
      const told: unknown[] = [];
      const observer = { event: (name: string): void => void told.push(name) };
      const bus = new LocalEventBus(observes ? { observer } : {});
      const seen: number[] = [];
      const throws = bus.on({}, ({ version }) => {
        seen.push(version);
        throw thrown;
      });
      const rejects = bus.on({}, ({ version }) => {
        seen.push(version);
        return Promise.reject(thrown);
      });
      for (const version of upTo(2)) await bus.publish(eventOf("order-1", version));
      await inTime(Promise.all([throws.drain(), rejects.drain()]), () => "the end of both");
      assert.deepEqual(seen.toSorted(), [1, 1, 2, 2]);
      assert.deepEqual(told, observes ? Array(4).fill("subscriberError") : []);
    }
  });

  it("goes on behind a handler whose promise throws when it is waited for", async () => {
    const bus = new LocalEventBus();
    const seen: number[] = [];
    const errors: unknown[] = [];
    const subscription = bus.on({ onError: (error) => void errors.push(error) }, ({ version }) => {
      seen.push(version);
      return Object.defineProperty(Promise.resolve(), "constructor", {
        get: () => {
          throw version;
        },
      });
    });
    for (const version of upTo(2)) await bus.publish(eventOf("order-1", version));
    await inTime(subscription.drain(), () => "the end");
    assert.deepEqual([seen, errors], [[1, 2], [1, 2]]);
  });

  /** Two commits of which the first is dropped: the second has a gap before it. */
  const withGap = async (fill: (store: InMemoryEventStore) => Partial<EventStore>) => {
    const failed: unknown[] = [];
    const observer = {
      event: (name: string, { callback }: Readonly<Record<string, unknown>>): void => {
        if (name === "subscriberError") failed.push(callback);
      },
    };
    const bus = new LocalEventBus({ observer });
    const store = new InMemoryEventStore({ bus });
    const seen = new Collected();
    const options = {
      fill: { namespace: "default", ...fill(store) } as EventStore,
      buffer: 1,
      overflow: "drop-oldest",
    } as const;
    const abort = new AbortController();
    const subscription = bus.on({ ...options, signal: abort.signal }, seen.take);
    const appended = upTo(2).map(() => store.append("order-1", [added()]));
    await Promise.all(appended);
    return { failed, seen, subscription, abort };
  };

  it("goes on behind a store that throws when a gap is to be filled", async () => {
    const { failed, seen, subscription } = await withGap(() => ({
      readActor: () => {
        throw new Error("closed");
      },
    }));
    await inTime(subscription.drain(), () => "the end");
    assert.deepEqual(versions(seen.items), [2]);
    assert.deepEqual(failed, ["fill"]);
  });

  it("ends the reading of a gap that it lets go of", async () => {
    let ended = false;
    const { seen, abort } = await withGap((store) =>
      ({
        async *readActor(...args: Parameters<EventStore["readActor"]>): AsyncGenerator<Commit> {
          try {
            for await (
              const commit of store.readActor(args[0], { afterPosition: args[1]?.afterPosition ?? 0 })
            ) yield commit;
          } finally {
            ended = true;
          }
        },
      }) as never
    );
    await seen.atLeast(1);
    abort.abort();
    await turn();
    assert.equal(ended, true);
  });

  it("waits with drain for every callback that is not done", async () => {
    const bus = new LocalEventBus();
    const store = new InMemoryEventStore({ bus });
    const done: string[] = [];
    const late = (name: string) => async (): Promise<void> => {
      await turn();
      done.push(name);
    };
    const callbacks = { onDeleted: late("onDeleted"), onGap: late("onGap"), onError: late("onError") };
    const subscription = bus.on({ ...callbacks, buffer: 1, overflow: "drop-newest" }, () => {
      throw new Error("handler");
    });
    const appended = upTo(2).map(() => store.append("order-1", [added()]));
    await Promise.all(appended);
    await store.append("order-1", [added()]);
    await store.deleteActor("order-1");
    await subscription.drain();
    assert.deepEqual(done.toSorted(), ["onDeleted", "onError", "onError", "onGap"]);
  });

  it("waits with drain for an onError of the overflow that was only just found", async () => {
    const bus = new LocalEventBus();
    const told: string[] = [];
    const onError = (error: unknown): void => void told.push(isAetherError(error, "OVERFLOW") ? "overflow" : "other");
    const subscription = bus.on({ buffer: 1, onError }, () => {});
    for (const version of upTo(2)) void bus.publish(eventOf("order-1", version));
    await rejects(subscription.drain(), "OVERFLOW").finally(() => told.push("drained"));
    assert.deepEqual(told, ["overflow", "drained"]);
  });

  it("tells onError of an overflow at once, also where a deletion has no room: with the next that waits", async () => {
    const bus = new LocalEventBus();
    const store = new InMemoryEventStore({ bus });
    const errors: unknown[] = [];
    const onError = (error: unknown, { version }: Event): void => {
      errors.push([isAetherError(error, "OVERFLOW"), version]);
    };
    bus.on({ buffer: 1, onDeleted: () => {}, onError }, () => new Promise(() => {}));
    for (const _ of upTo(2)) {
      await store.append("order-1", [added()]);
      await turn();
    }
    await store.deleteActor("order-1");
    await turn();
    assert.deepEqual(errors, [[true, 2]]);
  });

  it("tells onError of it with the event that the handler is at, where none waits", async () => {
    const bus = new LocalEventBus();
    const store = new InMemoryEventStore({ bus });
    const seen: number[] = [];
    const onError = (_error: unknown, { version }: Event): void => void seen.push(version);
    const options = { buffer: 1, eventTypes: ["Added"], onDeleted: () => {}, onError };
    bus.on(options, () => new Promise(() => {}));
    await store.append("order-1", [added()]);
    await turn();
    for (const id of ["a", "b"]) {
      await store.append(id, [added(1, { eventType: "Removed" })]);
      await store.deleteActor(id);
    }
    await turn();
    assert.deepEqual(seen, [1]);
  });

  it("reports an overflow of which there is no event", async () => {
    const told: unknown[] = [];
    const observer = {
      event: (name: string, { callback }: Readonly<Record<string, unknown>>): void => void told.push(callback ?? name),
    };
    const bus = new LocalEventBus({ observer });
    const store = new InMemoryEventStore({ bus });
    const onError = (): void => assert.fail();
    for (const id of ["a", "b"]) await store.append(id, [added()]);
    const subscription = bus.on({ buffer: 1, onDeleted: () => {}, onError }, () => {});
    await Promise.all(["a", "b"].map((id) => store.deleteActor(id)));
    await rejects(subscription.drain(), "OVERFLOW");
    assert.deepEqual(told, ["overflow", "subscription"]);
  });
});
