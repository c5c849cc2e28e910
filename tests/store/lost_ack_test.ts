import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type AppendResult, type Event, type EventStore, JetStreamEventStore, type NewEvent } from "../../mod.ts";
import { FaultyNetwork, type NetworkMessage } from "../../testing/mod.ts";
import { added, rejects, upTo } from "../../testing/event_store/scene.ts";
import { ON_DENO, ON_DENO_ONLY } from "../support/once.ts";
import { type Started, startOne, startThree } from "../support/servers.ts";

/** A write of some shape onto `a` (and more), its events named by the caller; what it gives, of `a`. */
interface Shape {
  readonly options?: { readonly messageSize: number };
  write(store: EventStore, ids: readonly string[]): Promise<AppendResult>;
  /** How many events `a` gets. */
  readonly events: number;
}

const named = (ids: readonly string[]): NewEvent[] => ids.map((id, index) => added("x".repeat(100) + index, { id }));
const timestamp = "2026-01-31T12:00:00.000Z";
/** Version 1 is there already. */
const SHAPES: Readonly<Record<string, Shape>> = {
  "an event": { events: 1, write: (store, ids) => store.append("a", named(ids), { expectedVersion: 1 }) },
  "an event that brings its version": {
    events: 1,
    write: (store, [id = ""]) =>
      store.saveEvent({ id, eventType: "Added", actorId: "a", version: 2, data: 1, timestamp }),
  },
  "ten events in one message": {
    events: 10,
    write: (store, ids) => store.append("a", named(ids), { expectedVersion: 1 }),
  },
  "ten events in a batch of messages": {
    events: 10,
    options: { messageSize: 500 },
    write: (store, ids) => store.append("a", named(ids), { expectedVersion: 1 }),
  },
  "a transaction with a check": {
    events: 2,
    write: async (store, ids) => {
      const [, result] = await store.transact([
        { actorId: "b", events: [added(1, { id: ids[0] as string })], expectedVersion: 1 }, // the same ids on two actors
        { actorId: "a", events: named(ids), expectedVersion: 1 },
        { actorId: "c", events: [], expectedVersion: 1 },
      ]);
      return result as AppendResult;
    },
  },
};

const isPublish = ({ to, subject }: NetworkMessage): boolean => to === "server" && subject.startsWith("aether.");

for (const [servers, start] of [["one server", startOne], ["three servers", startThree]] as const) {
  // How answers get lost differs by runtime, what the server does with a write does not.
  const skip = start === startThree && ON_DENO_ONLY;
  describe(`a lost answer, on ${servers}`, { skip }, () => {
    let started: Started;
    const ends: (() => Promise<void>)[] = [];

    before(async () => {
      started = await start();
    });
    after(async () => {
      for (const end of ends) await end();
      await started.stop();
    });

    /** A store behind a faulty network and one beside it; `a`, `b` and `c` are at version 1. */
    async function scene(options: Shape["options"], timeout: number): Promise<Scene> {
      const namespace = crypto.randomUUID();
      const network = await FaultyNetwork.between(started.url);
      const nc = await connect({ servers: network.url });
      const direct = await connect({ servers: started.url });
      ends.push(() => nc.close(), () => direct.close(), () => network.close());
      const beside = await JetStreamEventStore.open(direct, { namespace, replicas: started.replicas });
      for (const actorId of ["a", "b", "c"]) await beside.append(actorId, [added(0, { id: "first" })]);
      const store = await JetStreamEventStore.open(nc, { namespace, timeout, ...options });
      return { network, store, beside, fresh: () => JetStreamEventStore.open(direct, { namespace, ...options }) };
    }

    /** A situation, for every shape of write at once: most of the time passes in waiting for an answer. */
    function promises(
      name: string,
      keep: (scene: Scene, write: Shape["write"], ids: readonly string[]) => Promise<void>,
      { timeout = 5_000 } = {},
    ): void {
      it(name, async () => {
        await Promise.all(
          Object.entries(SHAPES).map(async ([shape, { events, write, options }]) => {
            try {
              await keep(await scene(options, timeout), write, upTo(events).map((number) => `ours-${number}`));
            } catch (cause) {
              throw new Error(`${shape}: ${cause instanceof Error ? cause.message : cause}`, { cause });
            }
          }),
        );
      });
    }

    promises("of a write that is stored: success, once, a duplicate", async (scene, write, ids) => {
      const { network, store, beside, fresh } = scene;
      const lost = network.swallow(({ isPubAck }) => isPubAck, { times: 1 });
      const result = await write(store, ids);
      assert.deepEqual([lost.count, result.duplicate, result.version], [1, true, 1 + ids.length]);
      assert.deepEqual(await idsOf(beside, "a"), ["first", ...ids]);
      // And by another process, later.
      await beside.append("a", [added()]);
      const again = await write(await fresh(), ids);
      assert.deepEqual({ ...again, events: [] }, { ...result, events: [] });
      assert.deepEqual(again.events.map(({ id }) => id), ids);
    });

    const others = ON_DENO ? 500 : 100;
    promises(
      `of a write that is stored, and ${others} other commits of the actor behind it`,
      async (scene, write, ids) => {
        const { network, store, beside, fresh } = scene;
        const lost = network.swallow(({ isPubAck }) => isPubAck, { times: 1 });
        const writing = write(store, ids);
        await lost.met();
        await Promise.all(upTo(others).map((count) => beside.append("a", [added(count)])));
        const result = await writing;
        assert.deepEqual([result.duplicate, result.version], [true, 1 + ids.length]);
        const again = await write(await fresh(), ids);
        assert.deepEqual([again.duplicate, again.version, again.position], [true, 1 + ids.length, result.position]);
        const stored = await idsOf(beside, "a");
        assert.deepEqual(stored.slice(0, 1 + ids.length), ["first", ...ids]);
        assert.equal(stored.length, 1 + others + ids.length);
      },
      { timeout: 10_000 },
    );

    promises("of a write that never arrived: it is sent again", async ({ network, store, beside }, write, ids) => {
      const lost = network.swallow(isPublish, { times: 1 });
      const result = await write(store, ids);
      assert.deepEqual([lost.count, result.duplicate, result.version], [1, false, 1 + ids.length]);
      assert.deepEqual(await idsOf(beside, "a"), ["first", ...ids]);
    });

    promises("of a write that never arrived, and another was first: a conflict", async (scene, write, ids) => {
      const { network, store, beside } = scene;
      const lost = network.swallow(isPublish, { times: 1 });
      const writing = write(store, ids);
      await lost.met();
      await beside.append("a", [added(1, { id: "theirs" })]);
      await rejects(writing, "VERSION_CONFLICT", { actorId: "a", expectedVersion: 1, actualVersion: 2 });
      assert.deepEqual(await idsOf(beside, "a"), ["first", "theirs"]);
      assert.deepEqual(await idsOf(beside, "b"), ["first"]);
    });

    promises("of a write that arrives late, long after it was sent again: stored once", async (scene, write, ids) => {
      const { network, store, beside } = scene;
      const late = network.hold(isPublish, { times: 1 });
      const result = await write(store, ids);
      await beside.append("a", [added(1, { id: "later" })]);
      late.release();
      assert.deepEqual([result.duplicate, result.version], [false, 1 + ids.length]);
      await store.append("a", [added(1, { id: "last" })]); // behind it on the same connection
      assert.deepEqual(await idsOf(beside, "a"), ["first", ...ids, "later", "last"]);
    });

    it("of a write that expects nothing and names nothing: only its own store can tell, and does", async () => {
      for (const messageSize of [16_384, 500]) {
        const { network, store, beside } = await scene({ messageSize }, 5_000);
        const ten = upTo(10).map((number) => added("x".repeat(100) + number));
        const lost = network.swallow(({ isPubAck }) => isPubAck, { times: 1 });
        const writing = store.append("a", ten);
        await lost.met();
        for (let count = 0; count < 5; count++) await beside.append("a", [added(count)]);
        const result = await writing;
        assert.deepEqual([result.duplicate, result.version], [true, 11]);
        const never = network.swallow(isPublish, { times: 1 });
        const behind = store.append("a", ten);
        await never.met();
        const { position } = await beside.append("a", [added()]);
        const late = await behind;
        assert.deepEqual([late.duplicate, late.version, late.position > position], [false, 27, true]);
        const stored = await beside.getEvents("a", 0, { consistency: "leader" });
        assert.equal(new Set(stored.map(({ id }) => id)).size, 27);
        assert.deepEqual(stored.slice(1, 11), result.events);
        assert.deepEqual(stored.slice(17), late.events);
      }
    });

    promises("until the deadline: unknown, and another process finds out", async (scene, write, ids) => {
      const { network, store, beside, fresh } = scene;
      network.swallow(({ to, answerTo = "" }) => to === "client" && !answerTo.includes("DIRECT.GET"));
      const error = await rejects(write(store, ids), "UNKNOWN_OUTCOME");
      assert.deepEqual(new Set(error.eventIds), new Set(ids));
      assert(error.actorIds.includes("a"));
      const result = await write(await fresh(), ids);
      assert.deepEqual([result.duplicate, result.version], [true, 1 + ids.length]);
      assert.deepEqual(await idsOf(beside, "a"), ["first", ...ids]);
    }, { timeout: 500 });

    it("until the deadline, of appends that expect no version: the error says what to repeat them with", async () => {
      for (const expectedVersion of ["any", "exists"] as const) {
        for (const arrives of [true, false]) {
          const { network, store, beside, fresh } = await scene(undefined, 500);
          network.swallow(
            arrives ? ({ to, answerTo = "" }) => to === "client" && !answerTo.includes("DIRECT.GET") : isPublish,
          );
          const events = upTo(3).map((number) => added(number));
          const error = await rejects(store.append("a", events, { expectedVersion }), "UNKNOWN_OUTCOME");
          assert.equal(error.expectedVersion, 1);
          assert.match(String(error), /with the event ids of this error and expectedVersion: 1$/);
          const named = events.map((event, index) => ({ ...event, id: error.eventIds[index] as string }));
          const again = async (): Promise<AppendResult> =>
            await (await fresh()).append("a", named, { expectedVersion: error.expectedVersion as number });
          assert.deepEqual([(await again()).duplicate, (await again()).duplicate], [arrives, true]);
          assert.deepEqual(await idsOf(beside, "a"), ["first", ...error.eventIds]);
        }
      }
    });
  });
}

interface Scene {
  readonly network: FaultyNetwork;
  readonly store: EventStore;
  readonly beside: EventStore;
  /** A store that knows nothing, as in another process. */
  fresh(): Promise<EventStore>;
}

async function idsOf(store: EventStore, actorId: string): Promise<string[]> {
  return (await store.getEvents(actorId, 0, { consistency: "leader" })).map(({ id }: Event) => id);
}
