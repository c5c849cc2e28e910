import assert from "node:assert/strict";
import { OverflowError } from "../../errors.ts";
import type { Event } from "../../event.ts";
import { all, rejects, upTo, versions } from "../event_store/scene.ts";
import { ADDED, Collected, inTime, type Promises, publishAll, stretch, take } from "./scene.ts";

/** Subscribers that are slower than their events. */
export const overflow: Promises = {
  async "by default 1,024 events may wait; then the iteration gives them and rejects with OVERFLOW"(scene) {
    const { bus, settled } = scene;
    const subscription = bus.subscribe(ADDED);
    await subscription.ready;
    await publishAll(bus, stretch("order-1", 1, 1_100));
    await settled();
    const iterator = subscription[Symbol.asyncIterator]();
    assert.deepEqual(versions(await take(iterator, 1_024)), upTo(1_024));
    await rejects(iterator.next(), "OVERFLOW", { buffer: 1_024 });
    assert.equal((await iterator.next()).done, true);
    assert.ok(subscription.dropped > 0);
  },

  async "a handler's onError is told of OVERFLOW at once, even while the handler hangs; then it has what waits"(scene) {
    const { bus, settled } = scene;
    const go = Promise.withResolvers<void>();
    const seen = new Collected();
    const errors = new Collected<[unknown, Event]>();
    const onError = (error: unknown, event: Event): void => errors.take([error, event]);
    const subscription = bus.on({ ...ADDED, buffer: 2, onError }, (event) => {
      seen.take(event);
      return go.promise;
    });
    await subscription.ready;
    await publishAll(bus, stretch("order-1", 1, 1));
    await seen.atLeast(1);
    await publishAll(bus, stretch("order-1", 2, 9));
    const [[error, event] = []] = await errors.atLeast(1);
    assert.ok(error instanceof OverflowError && error.buffer === 2);
    assert.equal(event?.version, 4);
    assert.equal(seen.items.length, 1);
    go.resolve();
    await publishAll(bus, stretch("order-1", 10, 12));
    await settled();
    await rejects(subscription.drain(), "OVERFLOW", { buffer: 2 });
    assert.deepEqual(versions(seen.items), [1, 2, 3]);
    assert.equal(errors.items.length, 1);
  },

  async "drain of a subscription that ended by OVERFLOW rejects with it, unless its reader was told"(scene) {
    const { bus, settled } = scene;
    const options = { ...ADDED, buffer: 2 };
    const unread = bus.subscribe(options);
    const read = bus.subscribe(options);
    const left = bus.subscribe(options);
    const handled = bus.on({ ...options, onError: () => {} }, () => new Promise((resolve) => setTimeout(resolve, 1)));
    await Promise.all([unread, read, left, handled].map(({ ready }) => ready));
    await publishAll(bus, stretch("order-1", 1, 200));
    await settled();
    await rejects(all(read), "OVERFLOW");
    for await (const _ of left) break;
    for (const subscription of [unread, handled]) await rejects(subscription.drain(), "OVERFLOW", { buffer: 2 });
    for (const subscription of [read, left]) await inTime(subscription.drain(), () => "drain of what was told");
    assert.deepEqual(versions(await take(unread[Symbol.asyncIterator](), 2)), [1, 2]);
  },

  async "drop-oldest keeps the newest, drop-newest the oldest, and what they drop is counted"({ bus, settled }) {
    const oldest = bus.subscribe({ ...ADDED, buffer: 3, overflow: "drop-oldest" });
    const newest = bus.subscribe({ ...ADDED, buffer: 3, overflow: "drop-newest" });
    await Promise.all([oldest.ready, newest.ready]);
    await publishAll(bus, stretch("order-1", 1, 10));
    await settled();
    for (const [subscription, kept] of [[oldest, [8, 9, 10]], [newest, [1, 2, 3]]] as const) {
      assert.equal(subscription.dropped, 7);
      void subscription.drain();
      assert.deepEqual(versions(await all(subscription)), kept);
    }
  },

  async "a subscription that drops goes on with what comes when there is room again"({ bus, settled }) {
    const subscription = bus.subscribe({ ...ADDED, buffer: 2, overflow: "drop-newest" });
    await subscription.ready;
    const iterator = subscription[Symbol.asyncIterator]();
    for (const version of [1, 11, 21]) {
      await publishAll(bus, stretch("order-1", version, version + 4));
      await settled();
      assert.deepEqual(versions(await take(iterator, 2)), [version, version + 1]);
    }
    assert.equal(subscription.dropped, 9);
    await subscription[Symbol.asyncDispose]();
  },
};
