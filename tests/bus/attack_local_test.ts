/** What an attack on the bus within a process found. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Commit, type Event, type EventStore, InMemoryEventStore, LocalEventBus } from "../../mod.ts";
import { Collected, inTime } from "../../testing/event_bus/scene.ts";
import { added, eventOf, upTo, versions } from "../../testing/event_store/scene.ts";

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));
const hang = (): Promise<void> => new Promise(() => {});

describe("a LocalEventBus under attack", () => {
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
    const options = { fill: fill(store) as EventStore, buffer: 1, overflow: "drop-oldest" } as const;
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

  it("gives the events of a group to members that have room, whatever their buffers", async () => {
    for (const overflow of ["fail", "drop-newest", "drop-oldest"] as const) {
      const bus = new LocalEventBus();
      const hanging: Event[] = [];
      const small = bus.on({ group: "g", buffer: 1, overflow }, (event) => {
        hanging.push(event);
        return hang();
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
});
