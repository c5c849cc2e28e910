import assert from "node:assert/strict";
import type { Event } from "../../event.ts";
import { eventOf, rejects, upTo, versions } from "../event_store/scene.ts";
import { ADDED, Collected, outline, type Promises, publishAll, stretch, take } from "./scene.ts";

/** Publishing, and the order of what arrives. */
export const publishing: Promises = {
  async "an event arrives as it was published"({ bus, another }) {
    const event = eventOf("order-1", 7, { data: { "a b": [1, null, "ü"] }, metadata: { correlationId: "c" } });
    const seen = new Collected();
    await using subscription = (await another()).on({}, seen.take);
    await subscription.ready;
    await bus.publish(event);
    assert.deepEqual(await seen.atLeast(1), [event]);
  },

  async "an event reaches every subscriber, those of other buses of the namespace too"({ bus, another }) {
    const other = await another();
    const seen = [new Collected(), new Collected(), new Collected()];
    const buses = [bus, other, bus];
    const subscriptions = seen.map(({ take }, index) => (buses[index] ?? bus).on(ADDED, take));
    const read = other.subscribe(ADDED);
    await Promise.all([...subscriptions, read].map(({ ready }) => ready));
    await publishAll(bus, stretch("order-1", 1, 5));
    for (const each of seen) assert.deepEqual(versions(await each.atLeast(5)), upTo(5));
    assert.deepEqual(versions(await take(read[Symbol.asyncIterator](), 5)), upTo(5));
    for (const subscription of [...subscriptions, read]) await subscription[Symbol.asyncDispose]();
  },

  async "the events of each actor arrive in order, and each once"({ bus, another, settled }) {
    const actors = ["order-1", "order-2", "account-1", "x", "-"];
    const here = new Collected();
    const there = new Collected();
    const subscriptions = [bus.on(ADDED, here.take), (await another()).on(ADDED, there.take)];
    await Promise.all(subscriptions.map(({ ready }) => ready));
    for (const version of upTo(100)) {
      await Promise.all(actors.map((actorId) => bus.publish(eventOf(actorId, version))));
    }
    for (const seen of [here, there]) {
      await seen.atLeast(500);
      await settled();
      assert.equal(seen.items.length, 500);
      for (const actorId of actors) {
        assert.deepEqual(versions(seen.items.filter((event) => event.actorId === actorId)), upTo(100));
      }
    }
    for (const subscription of subscriptions) await subscription[Symbol.asyncDispose]();
  },

  async "what a handler publishes comes after the current event, for every subscriber"({ bus }) {
    const seen = [new Collected(), new Collected(), new Collected()];
    const subscriptions = seen.map(({ take }, index) =>
      bus.on({ eventTypes: ["First", "Second"] }, async (event) => {
        take(event);
        if (index === 1 && event.eventType === "First") {
          await bus.publish(eventOf("order-1", event.version + 1, { eventType: "Second" }));
        }
      })
    );
    await Promise.all(subscriptions.map(({ ready }) => ready));
    const expected: string[] = [];
    for (const version of [1, 3, 5]) {
      await bus.publish(eventOf("order-1", version, { eventType: "First" }));
      expected.push(`First order-1@${version}`, `Second order-1@${version + 1}`);
      for (const each of seen) assert.deepEqual(outline(await each.atLeast(version + 1)), expected);
    }
    for (const subscription of subscriptions) await subscription[Symbol.asyncDispose]();
  },

  async "publish refuses what is no event, and nobody is told of it"({ bus, settled }) {
    const seen = new Collected();
    await using subscription = bus.on(ADDED, seen.take);
    await subscription.ready;
    const good = eventOf("order-1", 1);
    const bad: [path: string, event: unknown][] = [
      ["event", undefined],
      ["event", null],
      ["event", "Added"],
      ["eventType", { ...good, eventType: "" }],
      ["eventType", { ...good, eventType: undefined }],
      ["id", { ...good, id: "" }],
      ["id", { ...good, id: 7 }],
      ["version", { ...good, version: 0 }],
      ["version", { ...good, version: "1" }],
    ];
    for (const [path, event] of bad) await rejects(bus.publish(event as Event), "INVALID_EVENT", { path });
    for (const actorId of ["", undefined, 7, "\ud800", "x".repeat(513)]) {
      await rejects(bus.publish({ ...good, actorId } as Event), "INVALID_ACTOR_ID");
    }
    await settled();
    assert.deepEqual(seen.items, []);
  },

  async "publishing that is aborted rejects with the reason of its signal"({ bus }) {
    const reason = new Error("no more");
    await assert.rejects(bus.publish(eventOf("order-1", 1), { signal: AbortSignal.abort(reason) }), reason);
  },
};
