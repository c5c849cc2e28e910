import assert from "node:assert/strict";
import type { SubscribeOptions } from "../../bus/event_bus.ts";
import { isAetherError } from "../../errors.ts";
import type { Event } from "../../event.ts";
import { InMemoryEventStore } from "../../store/in_memory.ts";
import { shardOf } from "../../store/shard.ts";
import { eventOf } from "../event_store/scene.ts";
import { Collected, outline, type Promises, publishAll } from "./scene.ts";

type Options = SubscribeOptions<Event, string, string>;

const ACTORS = ["order-1", "order-2", "order", "account-1", "-x", "a.b-1", "*", ">", "a b", "ü-1", "=2E", "order-1.x"];
const TYPES = ["Added", "Removed", "a.b", "*", ">"];

/** Which events a subscription gets. */
export const filters: Promises = {
  async "a filter lets through what meets all its parts, whatever the ids look like"({ bus, another }) {
    const shards = [shardOf("order-1", 64), shardOf("ü-1", 64)];
    const list: [Options, (event: Event) => boolean][] = [
      [{}, () => true],
      [{ eventTypes: ["Added"] }, (event) => event.eventType === "Added"],
      [{ eventTypes: ["*", "a.b"] }, (event) => ["*", "a.b"].includes(event.eventType)],
      [{ actorTypes: ["order"] }, ({ actorId }) => /^order(-|$)/.test(actorId)],
      [{ actorTypes: ["a.b", "-x", "*"] }, ({ actorId }) => ["a.b-1", "-x", "*"].includes(actorId)],
      [{ shards }, ({ actorId }) => shards.includes(shardOf(actorId, 64))],
      [
        { eventTypes: [">"], actorTypes: ["order", "ü"], shards },
        ({ actorId, eventType }) =>
          eventType === ">" && /^(order|ü)(-|$)/.test(actorId) && shards.includes(shardOf(actorId, 64)),
      ],
      [{ actorId: "order-1", actorTypes: ["account"] }, () => false],
      [{ eventTypes: [] }, () => false],
      ...ACTORS.map((id): [Options, (event: Event) => boolean] => [{ actorId: id }, ({ actorId }) => actorId === id]),
    ];
    const other = await another();
    const all = list.map(([options, means], index) => {
      const seen = new Collected();
      return { seen, means, subscription: (index % 2 ? other : bus).on(options, seen.take) };
    });
    await Promise.all(all.map(({ subscription }) => subscription.ready));
    const events: Event[] = [];
    for (const version of [1, 2]) { // the second round finds what came too much in the first
      for (const actorId of ACTORS) {
        events.push(...TYPES.map((eventType, index) => eventOf(actorId, version * 10 + index, { eventType })));
      }
      await publishAll(bus, events.slice(-ACTORS.length * TYPES.length));
      for (const { seen, means } of all) {
        const meant = outline(events.filter(means));
        assert.deepEqual(outline(await seen.atLeast(meant.length)).toSorted(), meant.toSorted());
      }
    }
    for (const { subscription } of all) await subscription[Symbol.asyncDispose]();
  },

  // deno-lint-ignore require-await -- what is thrown is thrown at once, and a case is async
  async "options that make no sense are refused at once"({ bus }) {
    const store = new InMemoryEventStore();
    const bad: [argument: string, options: unknown][] = [
      ["shards", { shards: [64] }],
      ["shards", { shards: [-1] }],
      ["shards", { shards: [0.5] }],
      ["eventTypes", { eventTypes: "Added" }],
      ["actorTypes", { actorTypes: "order" }],
      ["buffer", { buffer: 0 }],
      ["buffer", { buffer: -1 }],
      ["buffer", { buffer: 1.5 }],
      ["overflow", { overflow: "block" }],
      ["group", { group: "" }],
      ["group", { group: "\ud800" }],
      ["onGap", { group: "mailer", onGap: () => {} }],
      ["fill", { group: "mailer", fill: store }],
      ["onDeleted", { onDeleted: "yes" }],
    ];
    for (const [argument, options] of bad) {
      for (const call of [() => bus.subscribe(options as Options), () => bus.on(options as Options, () => {})]) {
        assert.throws(call, (error) => isAetherError(error, "INVALID_ARGUMENT") && error.argument === argument);
      }
    }
    assert.throws(() => bus.subscribe({ actorId: "" }), (error) => isAetherError(error, "INVALID_ACTOR_ID"));
    assert.throws(() => bus.on({}, undefined as never), (error) => isAetherError(error, "INVALID_ARGUMENT"));
  },
};
