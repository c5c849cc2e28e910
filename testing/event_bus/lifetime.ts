import assert from "node:assert/strict";
import { isAetherError } from "../../errors.ts";
import { all, eventOf, rejects, upTo, versions } from "../event_store/scene.ts";
import { ADDED, Collected, inTime, outline, type Promises, publishAll, stretch, take } from "./scene.ts";

/** Walls, and the ends of subscriptions and of a bus. */
export const lifetime: Promises = {
  async "namespaces are walls, for groups too"({ bus, elsewhere, settled }) {
    const other = await elsewhere();
    const here = new Collected();
    const there = new Collected();
    const subscriptions = [undefined, "mailer"].flatMap((group) => {
      const named = group === undefined ? {} : { group };
      return [bus.on({ ...ADDED, ...named }, here.take), other.on({ ...ADDED, ...named }, there.take)];
    });
    await Promise.all(subscriptions.map(({ ready }) => ready));
    await publishAll(other, stretch("there-1", 1, 3));
    await publishAll(bus, stretch("here-1", 1, 3));
    await publishAll(other, stretch("there-1", 4, 4));
    await Promise.all([here.atLeast(6), there.atLeast(8)]);
    await settled();
    const twice = (texts: string[]): string[] => texts.flatMap((text) => [text, text]);
    assert.deepEqual(outline(here.items).toSorted(), twice(outline(stretch("here-1", 1, 3))));
    assert.deepEqual(outline(there.items).toSorted(), twice(outline(stretch("there-1", 1, 4))));
    for (const subscription of subscriptions) await subscription[Symbol.asyncDispose]();
  },

  async "an iteration that waits rejects with the reason of its signal, and lets go of what waits"({ bus, settled }) {
    const reason = new Error("no more");
    const stop = new AbortController();
    const waits = bus.subscribe({ ...ADDED, signal: stop.signal });
    const holds = bus.subscribe({ ...ADDED, signal: stop.signal });
    await Promise.all([waits.ready, holds.ready]);
    await publishAll(bus, stretch("order-1", 1, 3));
    await settled();
    const iterator = waits[Symbol.asyncIterator]();
    await take(iterator, 3);
    const next = assert.rejects(iterator.next(), reason);
    stop.abort(reason);
    await inTime(next, () => "the rejection");
    assert.equal((await iterator.next()).done, true);
    await assert.rejects(all(holds), reason);
    await assert.rejects(all(bus.subscribe({ signal: AbortSignal.abort(reason) })), reason);
  },

  async "a handler whose signal is aborted is given nothing more"({ bus, settled }) {
    const stop = new AbortController();
    const seen = new Collected();
    const failed: unknown[] = [];
    const options = { ...ADDED, onError: (error: unknown): void => void failed.push(error) };
    const subscription = bus.on({ ...options, signal: stop.signal }, (event) => {
      seen.take(event);
      if (event.version === 2) stop.abort(new Error("no more"));
    });
    const never = bus.on({ ...options, signal: AbortSignal.abort() }, seen.take);
    await Promise.all([subscription.ready, never.ready]);
    await publishAll(bus, stretch("order-1", 1, 5));
    await seen.atLeast(2);
    await settled();
    await inTime(Promise.all([subscription.drain(), never.drain()]), () => "drain of what has ended");
    assert.deepEqual(versions(seen.items), [1, 2]);
    assert.deepEqual(failed, []);
  },

  async "who breaks out of an iteration has unsubscribed"({ bus, settled }) {
    const subscription = bus.subscribe({ ...ADDED, buffer: 1, overflow: "drop-oldest" });
    await subscription.ready;
    const reading = (async () => {
      for await (const event of subscription) return event.version;
    })();
    await bus.publish(eventOf("order-1", 1));
    assert.equal(await inTime(reading, () => "the first event"), 1);
    await publishAll(bus, stretch("order-1", 2, 9));
    await settled();
    assert.equal(subscription.dropped, 0);
    await inTime(subscription.drain(), () => "drain of what has ended");
  },

  async "a subscription is read once, and not at all beside a handler"({ bus }) {
    const subscription = bus.subscribe();
    await using handled = bus.on({}, () => {});
    await Promise.all([subscription.ready, handled.ready]);
    const refused = (error: unknown): boolean => isAetherError(error, "INVALID_ARGUMENT");
    const iterator = subscription[Symbol.asyncIterator]();
    assert.throws(() => subscription[Symbol.asyncIterator](), refused);
    assert.throws(() => handled[Symbol.asyncIterator](), refused);
    await iterator.return?.();
    assert.throws(() => subscription[Symbol.asyncIterator](), refused);
  },

  async "several that are asked for at once come in order"({ bus }) {
    const subscription = bus.subscribe(ADDED);
    await subscription.ready;
    const iterator = subscription[Symbol.asyncIterator]();
    const asked = upTo(5).map(() => iterator.next());
    await publishAll(bus, stretch("order-1", 1, 3));
    const results = await inTime(Promise.all(asked.slice(0, 3)), () => "three events");
    assert.deepEqual(results.map(({ value }) => value?.version), upTo(3));
    void subscription.drain();
    const ends = await inTime(Promise.all(asked.slice(3)), () => "the end");
    assert.deepEqual(ends.map(({ done }) => done), [true, true]);
  },

  async "drain finishes what a handler has; nothing runs after it"({ bus, settled }) {
    const seen = new Collected();
    const subscription = bus.on(ADDED, async (event) => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      seen.take(event);
    });
    await subscription.ready;
    await publishAll(bus, stretch("order-1", 1, 10));
    await settled();
    const draining = subscription.drain();
    await publishAll(bus, stretch("order-1", 11, 20));
    await inTime(draining, () => "drain");
    assert.deepEqual(versions(seen.items), upTo(10));
    await settled();
    await inTime(subscription.drain(), () => "a second drain");
    assert.deepEqual(versions(seen.items), upTo(10));
  },

  async "drain waits for an onError that is not done"({ bus, settled }) {
    let done = 0;
    const onError = async (): Promise<void> => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      done++;
    };
    const subscription = bus.on({ ...ADDED, onError }, () => {
      throw new Error("on purpose");
    });
    await subscription.ready;
    await publishAll(bus, stretch("order-1", 1, 3));
    await settled();
    await inTime(subscription.drain(), () => "drain");
    assert.equal(done, 3);
  },

  async "drain of an iteration gives what waits, ends it, and resolves with its end"({ bus, settled }) {
    const subscription = bus.subscribe(ADDED);
    await subscription.ready;
    const iterator = subscription[Symbol.asyncIterator]();
    await publishAll(bus, stretch("order-1", 1, 3));
    await settled();
    await take(iterator, 1);
    let drained = false;
    const draining = subscription.drain().then(() => drained = true);
    await publishAll(bus, stretch("order-1", 4, 6));
    await settled();
    assert.deepEqual(versions(await take(iterator, 2)), [2, 3]);
    assert.equal(drained, false);
    assert.equal((await inTime(iterator.next(), () => "the end")).done, true);
    await inTime(draining, () => "drain");
  },

  async "drain of a subscription that nobody reads waits for nobody, and what waits may still be read"(scene) {
    const { bus, settled } = scene;
    const subscription = bus.subscribe(ADDED);
    await subscription.ready;
    await publishAll(bus, stretch("order-1", 1, 3));
    await settled();
    await inTime(subscription.drain(), () => "drain");
    assert.deepEqual(versions(await all(subscription)), upTo(3));
  },

  async "a subscription ends with its scope"({ bus, settled }) {
    const seen = new Collected();
    const reading = await (async () => {
      await using handled = bus.on(ADDED, seen.take);
      await using read = bus.subscribe(ADDED);
      await Promise.all([handled.ready, read.ready]);
      await bus.publish(eventOf("order-1", 1));
      await seen.atLeast(1);
      await settled();
      const iterator = read[Symbol.asyncIterator]();
      await take(iterator, 1);
      return [iterator.next()];
    })();
    assert.deepEqual(await inTime(Promise.all(reading), () => "the end"), [{ done: true, value: undefined }]);
    await publishAll(bus, stretch("order-1", 2, 9));
    await settled();
    assert.equal(seen.items.length, 1);
  },

  async "a bus that was disposed of refuses every call with CLOSED, and ends its iterations with it"({ bus }) {
    const seen = new Collected();
    const subscription = bus.subscribe();
    const handled = bus.on({}, seen.take);
    await Promise.all([subscription.ready, handled.ready]);
    const reading = rejects(all(subscription), "CLOSED");
    await bus[Symbol.asyncDispose]();
    await inTime(reading, () => "the end of the iteration");
    await inTime(handled.drain(), () => "drain of what has ended");
    const closed = (error: unknown): boolean => isAetherError(error, "CLOSED");
    await rejects(bus.publish(eventOf("order-1", 1)), "CLOSED");
    assert.throws(() => bus.subscribe(), closed);
    assert.throws(() => bus.on({}, seen.take), closed);
    await bus[Symbol.asyncDispose]();
    assert.deepEqual(seen.items, []);
  },
};
