import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Gap, InMemoryEventStore, LocalEventBus } from "../../mod.ts";
import { added, eventOf, several, upTo, versions } from "../../testing/event_store/scene.ts";

/** Until everything that waits in this process has had its turn. */
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

describe("what waits in a LocalEventBus", () => {
  it("is let go of when the subscription is aborted", async () => {
    const bus = new LocalEventBus();
    const stop = new AbortController();
    const seen: number[] = [];
    const subscription = bus.on({ signal: stop.signal }, ({ version }) => {
      seen.push(version);
      if (version === 2) stop.abort();
    });
    for (const version of upTo(5)) void bus.publish(eventOf("order-1", version));
    await turn();
    assert.deepEqual(seen, [1, 2]);
    await subscription.drain();
  });

  it("is finished by drain however much it is", async () => {
    const bus = new LocalEventBus();
    let count = 0;
    const subscription = bus.on({}, () => void count++);
    for (const version of upTo(1_000)) void bus.publish(eventOf("order-1", version));
    await subscription.drain();
    assert.equal(count, 1_000);
  });

  it("is shared evenly by the members of a group that have nothing to do", async () => {
    const bus = new LocalEventBus();
    const counts = [0, 0];
    for (const index of [0, 1]) bus.on({ group: "mailer" }, () => void (counts[index] = Number(counts[index]) + 1));
    for (const version of upTo(10)) await bus.publish(eventOf("order-1", version));
    assert.deepEqual(counts, [5, 5]);
  });

  it("has its gap told from the last commit that was given, or from before the first that was missed", async () => {
    const bus = new LocalEventBus();
    const store = new InMemoryEventStore({ bus });
    const gaps: Gap[] = [];
    const subscription = bus.subscribe({
      actorId: "order-1",
      buffer: 1,
      overflow: "drop-oldest",
      onGap: (gap) => void gaps.push(gap),
    });
    const iterator = subscription[Symbol.asyncIterator]();
    const append = async (actorId: string): Promise<number> => (await store.append(actorId, several(1))).position;
    await append("order-2");
    const [first, , third] = [await append("order-1"), await append("order-1"), await append("order-1")];
    await iterator.next();
    await append("order-2");
    await append("order-1");
    const last = await append("order-1");
    await iterator.next();
    assert.deepEqual(gaps, [
      { actorId: "order-1", afterPosition: first - 1, beforePosition: third },
      { actorId: "order-1", afterPosition: third, beforePosition: last },
    ]);
  });

  it("is filled up with those events only that are meant", async () => {
    const bus = new LocalEventBus();
    const store = new InMemoryEventStore({ bus });
    const options = { eventTypes: ["Added"], buffer: 1, overflow: "drop-oldest", fill: store } as const;
    const subscription = bus.subscribe(options);
    for (const _ of upTo(4)) await store.append("order-1", [added(), added(1, { eventType: "Removed" })]);
    void subscription.drain();
    assert.deepEqual(versions(await Array.fromAsync(subscription)), [1, 3, 5, 7]);
  });
});
