import assert from "node:assert/strict";
import type { Event } from "../../event.ts";
import { upTo, versions } from "../event_store/scene.ts";
import { ADDED, Collected, type Promises, publishAll, stretch } from "./scene.ts";

/** Handlers that take their time, hang or fail. */
export const handlers: Promises = {
  async "a handler is given one event after the other"({ bus }) {
    let running = 0;
    const seen = new Collected();
    await using subscription = bus.on(ADDED, async (event) => {
      assert.equal(++running, 1);
      await new Promise((resolve) => setTimeout(resolve, event.version % 3));
      running--;
      seen.take(event);
    });
    await subscription.ready;
    await publishAll(bus, stretch("order-1", 1, 20));
    assert.deepEqual(versions(await seen.atLeast(20)), upTo(20));
  },

  async "a handler that hangs delays neither the publisher nor any other subscriber"({ bus, another }) {
    const hanging: Event[] = [];
    const seen = new Collected();
    await using hangs = bus.on(ADDED, (event) => {
      hanging.push(event);
      return new Promise<void>(() => {});
    });
    await using goes = bus.on(ADDED, seen.take);
    await using afar = (await another()).on(ADDED, seen.take);
    await Promise.all([hangs.ready, goes.ready, afar.ready]);
    await publishAll(bus, stretch("order-1", 1, 100));
    await seen.atLeast(200);
    assert.deepEqual(versions(hanging), [1]);
  },

  async "a handler that throws or rejects goes on, its onError has each error with its event"({ bus }) {
    const seen = new Collected();
    const errors = new Collected<[unknown, number]>();
    const onError = (error: unknown, event: Event): void => errors.take([error, event.version]);
    await using throws = bus.on({ ...ADDED, onError }, ({ version }) => {
      throw new Error(`thrown ${version}`);
    });
    await using rejecting = bus.on({ ...ADDED, onError }, ({ version }) => Promise.reject(`rejected ${version}`));
    await using goes = bus.on(ADDED, seen.take);
    await Promise.all([throws.ready, rejecting.ready, goes.ready]);
    await publishAll(bus, stretch("order-1", 1, 10));
    assert.deepEqual(versions(await seen.atLeast(10)), upTo(10));
    const told = (await errors.atLeast(20)).map(([error, version]) => [String(error), version]);
    const of = (text: string): unknown[] => told.filter(([error]) => String(error).startsWith(text));
    assert.deepEqual(of("Error"), upTo(10).map((version) => [`Error: thrown ${version}`, version]));
    assert.deepEqual(of("rejected"), upTo(10).map((version) => [`rejected ${version}`, version]));
  },
};
