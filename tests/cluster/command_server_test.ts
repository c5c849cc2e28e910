import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decodeAnswer, encodeCommand } from "../../cluster/command_messages.ts";
import {
  type AppendResult,
  ClosedError,
  type Event,
  type EventStore,
  FencedError,
  InMemorySnapshotStore,
  isAetherError,
  UnavailableError,
  UnknownOutcomeError,
} from "../../mod.ts";
import { serveDecider, serveHandler } from "../../cluster/serve.ts";
import { counter, type CounterCommand, wrapped } from "../support/counter.ts";
import { type House, shard, Town } from "./support/town.ts";

const ACTOR = "counter-1";
const HOME = shard(ACTOR);

/** Something that is waited for. */
function gate(): { readonly open: () => void; readonly opened: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { open: resolve, opened: promise };
}

/** Whatever was thrown. */
async function thrown(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return assert.fail("nothing was thrown");
}

function take(house: House): House {
  house.estate.take(HOME);
  return house;
}

describe("actors of a decider", () => {
  for (const where of ["here", "elsewhere"] as const) {
    describe(`whose shard is ${where}`, () => {
      const begin = (options = {}) => {
        const town = new Town();
        const house = town.house("a");
        const store = town.store();
        house.serve(store, options);
        take(house);
        const router = where === "here" ? house.router : town.visitor;
        const send = (command: unknown, options = {}): Promise<AppendResult> => {
          return town.clock.until(router.send(ACTOR, command, options)) as Promise<AppendResult>;
        };
        return { town, house, store, router, send };
      };

      it("do what they are sent, and give what was appended", async () => {
        const { town, store, send } = begin({ metadata: { traceparent: "t", correlationId: "over" } });
        const result = await send({ add: 2 }, { commandId: "one", metadata: { correlationId: "c" } });
        const events = await store.getEvents(ACTOR);
        assert.deepEqual(result, { actorId: ACTOR, version: 1, position: 1, events, duplicate: false });
        assert.deepEqual(events[0]?.metadata, { traceparent: "t", correlationId: "c", commandId: "one" });
        assert.equal(town.network.sent, where === "here" ? 0 : 1);
      });

      it("do nothing twice, and say what was done the first time", async () => {
        const { store, send } = begin();
        const first = await send({ add: 2 }, { commandId: "one" });
        await send({ add: 2 });
        assert.deepEqual(await send({ add: 2 }, { commandId: "one" }), { ...first, duplicate: true });
        assert.equal(await store.getLatestVersion(ACTOR), 2);
      });

      it("refuse: COMMAND_REJECTED, as it was thrown", async () => {
        const { send, store } = begin();
        const error = await thrown(send({ add: -1 }, { commandId: "no" }));
        assert.ok(isAetherError(error, "COMMAND_REJECTED"));
        assert.deepEqual(error.reason, { name: "RangeError", message: "0 is less than 1" });
        await send({ add: 5 });
        const again = await thrown(send({ add: -1 }, { commandId: "no" })); // a refusal is final
        assert.ok(isAetherError(again, "COMMAND_REJECTED"));
        assert.deepEqual(again.reason, error.reason);
        assert.equal(await store.getLatestVersion(ACTOR), 1);
        assert.equal((await send({ add: -1 })).version, 2);
      });

      it("remember what they refused for 20 s, or twice as long as its sender waits", async () => {
        const { town, send } = begin();
        await thrown(send({ add: -1 }, { commandId: "no" }));
        await thrown(send({ add: -1 }, { commandId: "long", timeout: 30_000 }));
        await send({ add: 5 });
        await town.clock.pass(21_000);
        assert.equal((await send({ add: -1 }, { commandId: "no" })).version, 2);
        await thrown(send({ add: -1 }, { commandId: "long" }));
      });

      it("decide nothing: no events, the current version; and the same again", async () => {
        const { send, store } = begin();
        await send({ add: 1 });
        const result = await send({ add: 0 }, { commandId: "none" });
        assert.deepEqual(result, { actorId: ACTOR, version: 1, position: 1, events: [], duplicate: false });
        await send({ add: 1 });
        assert.deepEqual(await send({ add: 3 }, { commandId: "none" }), result);
        assert.equal(await store.getLatestVersion(ACTOR), 2);
      });

      it("refuse what does not fit the schema of their commands", async () => {
        const commands = {
          "~standard": {
            version: 1,
            vendor: "test",
            validate: (value: unknown) => {
              const { add } = value as { add: unknown };
              if (add === "boom") throw new TypeError("boom");
              return typeof add === "string"
                ? { value: { add: Number(add) } }
                : { issues: [{ message: "a text", path: ["add"] }] };
            },
          },
        } as const;
        const { send } = begin({ commands });
        assert.equal((await send({ add: "4" })).events.length, 1);
        const error = await thrown(send({ add: 4 }));
        assert.ok(isAetherError(error, "COMMAND_REJECTED"));
        assert.deepEqual(error.reason, {
          name: "InvalidArgumentError",
          message: "command.add: a text",
          code: "INVALID_ARGUMENT",
        });
        const broken = await thrown(send({ add: "boom" }));
        assert.ok(isAetherError(broken, "COMMAND_REJECTED"));
        assert.equal(broken.reason.name, "TypeError");
      });

      it("are told apart from types that nobody serves", async () => {
        const { town, router } = begin();
        const other = Array.from({ length: 20 }, (_, index) => `other-${index}`).find((id) => shard(id) === HOME);
        const error = await thrown(town.clock.until(router.send(other ?? "", {})));
        assert.ok(isAetherError(error, "NO_HANDLER"));
        assert.deepEqual([error.actorType, error.nodeId], ["other", "a"]);
      });

      it("have an answer that fits into a message, or say that they have acted", async () => {
        const { town, send, store } = begin();
        town.network.maxSize = 400;
        const error = await thrown(send({ add: 1, times: 5 }, { commandId: "big" }));
        assert.ok(isAetherError(error, "UNKNOWN_OUTCOME"));
        assert.match(String(error.cause), /takes \d+ bytes, 400 are allowed/);
        await thrown(send({ add: 1, times: 5 }, { commandId: "big" }));
        assert.equal(await store.getLatestVersion(ACTOR), 5);
      });
    });
  }

  it("know nobody but the owner: NO_OWNER without one", async () => {
    const town = new Town();
    const house = town.house("a");
    house.serve(town.store());
    const error = await thrown(town.clock.until(house.router.send(ACTOR, { add: 1 }, { timeout: 500 })));
    assert.ok(isAetherError(error, "NO_OWNER"));
    assert.deepEqual(house.estate.serves, ["counter"]);
  });

  it("answer a try that comes while the same command runs with its outcome", async () => {
    const town = new Town();
    const [slow, store] = [gate(), town.store()];
    let appends = 0;
    const house = take(town.house("a"));
    house.serve(wrapped(store, {
      async append(actorId: string, events: never, options) {
        appends++;
        await slow.opened;
        return await store.append(actorId, events, options) as never;
      },
    }));
    const sending = town.visitor.send(ACTOR, { add: 1 }, { commandId: "one" });
    await town.clock.pass(4_000);
    assert.equal(town.network.sent, 5);
    slow.open();
    assert.equal((await town.clock.until(sending) as AppendResult).duplicate, false);
    assert.equal(appends, 1);
  });

  it("are loaded once however many commands come, and do one at a time, in order", async () => {
    const town = new Town();
    const [store, house] = [town.store(), town.house("a")];
    let [loads, running, most] = [0, 0, 0];
    house.serve(wrapped(store, {
      readActor(actorId: string, options) {
        loads++;
        return store.readActor(actorId, options) as never;
      },
      async append(actorId: string, events: never, options) {
        most = Math.max(most, ++running);
        await town.clock.sleep(1);
        running--;
        return await store.append(actorId, events, options) as never;
      },
    }));
    take(house);
    const sendings = Array.from({ length: 20 }, (_, add) => house.router.send(ACTOR, { add: add + 1 }));
    const results = await town.clock.until(Promise.all(sendings)) as AppendResult<Event<string, { by: number }>>[];
    assert.deepEqual(results.map(({ version }) => version), Array.from({ length: 20 }, (_, index) => index + 1));
    assert.deepEqual(results.map(({ events }) => events[0]?.data.by), results.map(({ version }) => version));
    assert.deepEqual([loads, most], [1, 1]);
  });

  it("repeat an append of unknown outcome until it is settled, before they answer anything else", async () => {
    const town = new Town();
    const [store, house] = [town.store(), take(town.house("a"))];
    let unknown = 3;
    const order: string[] = [];
    house.serve(wrapped(store, {
      async append(actorId: string, events: readonly never[], options) {
        const result = await store.append(actorId, events, options);
        if (events.length > 0 && unknown-- > 0) {
          order.push("unknown");
          throw new UnknownOutcomeError({ actorIds: [actorId], eventIds: [] });
        }
        return result as never;
      },
    }));
    const first = house.router.send(ACTOR, { add: 1 }).then((result) => order.push("first") && result);
    const second = house.router.send(ACTOR, { add: -5 }).catch(() => order.push("second"));
    const result = await town.clock.until(first) as AppendResult;
    await town.clock.until(second);
    assert.deepEqual([result.version, result.duplicate], [1, true]);
    assert.deepEqual(order, ["unknown", "first", "second"]);
    assert.equal(await store.getLatestVersion(ACTOR), 1);
  });

  it("give an unknown outcome up with the shard", async () => {
    const town = new Town();
    const [store, house] = [town.store(), take(town.house("a"))];
    const fail = () => Promise.reject(new UnknownOutcomeError({ actorIds: [ACTOR], eventIds: [] }));
    house.serve(wrapped(store, { append: fail }));
    const sending = town.visitor.send(ACTOR, { add: 1 });
    await town.clock.pass(5_000);
    house.estate.lose(HOME);
    await town.clock.pass(100);
    const next = take(town.house("b"));
    next.serve(store);
    assert.equal((await town.clock.until(sending) as AppendResult).version, 1);
  });

  it("do not wait for an outcome that a closed store will never tell", async () => {
    const town = new Town();
    const [store, house] = [town.store(), take(town.house("a"))];
    let count = 0;
    house.serve(wrapped(store, {
      append: () => {
        const unknown = new UnknownOutcomeError({ actorIds: [ACTOR], eventIds: [] });
        return Promise.reject(count++ === 0 ? unknown : new ClosedError({ what: "The store" }));
      },
    }));
    const body = encodeCommand({ actorId: ACTOR, command: { add: 1 }, commandId: "x", attempt: 1, left: 1_000 });
    assert.deepEqual(decodeAnswer(await town.clock.until(house.server.handle(HOME, body))), { kind: "unknown" });
    assert.equal(count, 2);
  });

  it("do not say that nothing was done where an append of unknown outcome was fenced", async () => {
    const town = new Town();
    const [store, house] = [town.store(), take(town.house("a"))];
    let count = 0;
    house.serve(wrapped(store, {
      async append(actorId: string, events: never, options) {
        if (count++ > 0) throw new FencedError({ shard: HOME, epoch: 2 });
        await store.append(actorId, events, options);
        throw new UnknownOutcomeError({ actorIds: [ACTOR], eventIds: [] });
      },
    }));
    const error = await thrown(town.clock.until(house.router.send(ACTOR, { add: 1 }, { timeout: 1_000 })));
    assert.ok(isAetherError(error, "UNKNOWN_OUTCOME"), String(error));
    assert.deepEqual(house.estate.shards, []);
  });

  it("let the sender wait where nothing can be stored for the moment", async () => {
    const town = new Town();
    const [store, house] = [town.store(), take(town.house("a"))];
    let failures = 5;
    house.serve(wrapped(store, {
      append(actorId: string, events: never, options) {
        if (failures-- > 0) return Promise.reject(new UnavailableError({ reason: "no leader" }));
        return store.append(actorId, events, options) as never;
      },
    }));
    assert.equal((await town.clock.until(house.router.send(ACTOR, { add: 1 })) as AppendResult).version, 1);
    assert.equal(failures, -1);
  });

  it("refuse only once nobody before them can overturn it", async () => {
    const town = new Town();
    const [store, house] = [town.store(), take(town.house("a"))];
    const errors = [new UnavailableError({ reason: "no leader" }), new FencedError({ shard: HOME, epoch: 2 })];
    const seals: unknown[] = [];
    house.serve(wrapped(store, {
      append(actorId: string, events: readonly never[], options) {
        seals.push(events.length);
        const error = errors.shift();
        return error === undefined ? store.append(actorId, events, options) as never : Promise.reject(error);
      },
    }));
    const sending = thrown(house.router.send(ACTOR, { add: -1 }));
    await town.clock.pass(1_000);
    assert.deepEqual(house.estate.shards, []);
    take(house);
    const error = await town.clock.until(sending);
    assert.ok(isAetherError(error, "COMMAND_REJECTED"));
    assert.equal(error.reason.name, "RangeError");
    assert.deepEqual(seals, [0, 0, 0]);
  });

  it("whose owner was fenced answer NOT_OWNER, give the shard up, and are found at the next one", async () => {
    const town = new Town();
    const store = town.store();
    const [old, next] = [take(town.house("a")), take(town.house("b"))];
    old.serve(store);
    next.serve(store);
    assert.equal((await town.clock.until(next.router.send(ACTOR, { add: 1 })) as AppendResult).version, 1);
    assert.deepEqual(old.estate.shards, [HOME]);
    const body = encodeCommand({ actorId: ACTOR, command: { add: 1 }, commandId: "x", attempt: 1, left: 1_000 });
    assert.deepEqual(decodeAnswer(await town.clock.until(old.server.handle(HOME, body))), { kind: "notOwner" });
    assert.deepEqual(old.estate.shards, []);
    assert.equal((await town.clock.until(old.router.send(ACTOR, { add: 1 })) as AppendResult).version, 2);
  });

  for (const [name, command] of [["a refusal", { add: -1 }], ["nothing to do", { add: 0 }]] as const) {
    it(`give no answer without a write once the lease has lapsed: ${name}`, async () => {
      const town = new Town();
      const [store, house, reading] = [town.store(), take(town.house("a")), gate()];
      house.serve(wrapped(store, {
        async *readActor(actorId: string, options) {
          await reading.opened;
          yield* store.readActor(actorId, options) as AsyncIterable<never>;
        },
      }));
      const body = encodeCommand({ actorId: ACTOR, command, commandId: "x", attempt: 1, left: 1_000 });
      const answer = house.server.handle(HOME, body);
      await town.clock.pass(10);
      house.estate.isValid = false;
      reading.open();
      assert.deepEqual(decodeAnswer(await town.clock.until(answer)), { kind: "notOwner" });
      house.estate.isValid = true;
      await store.append(ACTOR, [{ eventType: "Added", data: { by: 5 } }]);
      const later = decodeAnswer(await town.clock.until(house.server.handle(HOME, body)));
      assert.equal(later?.kind, "result", "it was not remembered either");
    });

    it(`do not repeat one either: ${name}`, async () => {
      const town = new Town();
      const [store, house] = [town.store(), take(town.house("a"))];
      house.serve(store);
      const body = encodeCommand({ actorId: ACTOR, command, commandId: "x", attempt: 1, left: 1_000 });
      const first = decodeAnswer(await town.clock.until(house.server.handle(HOME, body)));
      house.estate.isValid = false;
      assert.deepEqual(decodeAnswer(await house.server.handle(HOME, body)), { kind: "notOwner" });
      house.estate.isValid = true;
      assert.deepEqual(decodeAnswer(await house.server.handle(HOME, body)), first);
    });
  }
});

describe("a mailbox", () => {
  it("takes so many and no more: OVERLOADED, and nothing is met with silence", async () => {
    const town = new Town();
    const [store, house, slow] = [town.store(), take(town.house("a")), gate()];
    house.serve(wrapped(store, {
      async append(actorId: string, events: never, options) {
        await slow.opened;
        return await store.append(actorId, events, options) as never;
      },
    }));
    const sendings = Array.from({ length: 1_010 }, () => house.router.send(ACTOR, { add: 1 }));
    const settled = Promise.allSettled(sendings);
    await town.clock.pass(10);
    slow.open();
    const outcomes = await town.clock.until(settled);
    const errors = outcomes.flatMap((outcome) => outcome.status === "rejected" ? [outcome.reason] : []);
    assert.equal(errors.length, 9); // one is at work
    assert.ok(errors.every((error) => isAetherError(error, "OVERLOADED") && error.limit === 1_000));
    assert.equal(await store.getLatestVersion(ACTOR), 1_001);
  });

  it("drops what has waited for longer than its sender does", async () => {
    const town = new Town();
    const [store, house, slow] = [town.store(), take(town.house("a")), gate()];
    house.serve(wrapped(store, {
      async append(actorId: string, events: never, options) {
        await slow.opened;
        return await store.append(actorId, events, options) as never;
      },
    }));
    const first = house.router.send(ACTOR, { add: 1 });
    const impatient = thrown(house.router.send(ACTOR, { add: 10 }, { timeout: 1_000 }));
    await town.clock.pass(1_001);
    assert.ok(isAetherError(await impatient, "UNKNOWN_OUTCOME"));
    slow.open();
    await town.clock.until(first);
    await town.clock.pass(1_000);
    assert.equal(await store.getLatestVersion(ACTOR), 1);
  });
});

describe("actors in memory", () => {
  it("leave it after two minutes without a command, with a snapshot", async () => {
    const town = new Town();
    const [store, snapshots, house] = [town.store(), new InMemorySnapshotStore(), take(town.house("a"))];
    const decider = { ...counter, snapshot: { schemaVersion: 1, every: 1_000 } };
    const { host, actorTypes } = serveDecider(town.home, store, decider, { actorType: "counter", snapshots });
    house.server.add(actorTypes, host);
    await town.clock.until(house.router.send(ACTOR, { add: 3 }));
    await town.clock.pass(119_000);
    assert.equal(host.actors, 1);
    assert.equal(await snapshots.getLatestSnapshot(ACTOR), undefined);
    await town.clock.until(house.router.send(ACTOR, { add: 3 }));
    await town.clock.pass(119_000);
    assert.equal(host.actors, 1);
    await town.clock.pass(2_000);
    assert.equal(host.actors, 0);
    assert.deepEqual((await snapshots.getLatestSnapshot(ACTOR))?.state, { sum: 6, events: 2 });
    assert.equal(town.clock.sleepers, 0);
    await town.clock.until(house.router.send(ACTOR, { add: 3 }));
    assert.equal(await store.getLatestVersion(ACTOR), 3);
  });

  it("leave it with their shard", async () => {
    const town = new Town();
    const house = take(town.house("a"));
    house.serve(town.store());
    await town.clock.until(house.router.send(ACTOR, { add: 1 }));
    assert.equal(house.server.hosts.get("counter")?.actors, 1);
    await town.clock.until(house.estate.release(HOME));
    assert.equal(house.server.hosts.get("counter")?.actors, 0);
    assert.equal(town.clock.sleepers, 0, "nothing is left that would keep a process");
  });

  it("are so many and no more: who was idle for longest goes, and if all are busy, nobody comes", async () => {
    const town = new Town();
    const house = town.house("a");
    for (let number = 0; number < 4; number++) house.estate.take(number);
    const slow = gate();
    const store = town.store();
    let isSlow = false;
    const slowed = wrapped(store, {
      async append(actorId: string, events: never, options) {
        if (isSlow) await slow.opened;
        return await store.append(actorId, events, options) as never;
      },
    });
    const { host, actorTypes } = serveDecider(town.home, slowed, counter, { actorType: "counter", actors: 3 });
    house.server.add(actorTypes, host);
    for (let number = 0; number < 10; number++) {
      await town.clock.until(house.router.send(`counter-${number}`, { add: 1 }));
    }
    assert.equal(host.actors, 3);
    isSlow = true;
    const sendings = [1, 2, 3].map((number) => house.router.send(`counter-${number}`, { add: 1 }));
    await town.clock.pass(10);
    const error = await thrown(town.clock.until(house.router.send("counter-4", { add: 1 })));
    assert.ok(isAetherError(error, "OVERLOADED"));
    assert.equal(error.limit, 3);
    slow.open();
    await town.clock.until(Promise.all(sendings));
  });

  it("are at work as many at once as is allowed", async () => {
    const town = new Town();
    const house = town.house("a");
    for (let number = 0; number < 4; number++) house.estate.take(number);
    const store = town.store();
    let [running, most] = [0, 0];
    house.serve(
      wrapped(store, {
        async append(actorId: string, events: never, options) {
          most = Math.max(most, ++running);
          await town.clock.sleep(5);
          running--;
          return await store.append(actorId, events, options) as never;
        },
      }),
      { concurrency: 3 },
    );
    const ids = Array.from({ length: 30 }, (_, number) => `counter-${number}`);
    await town.clock.until(Promise.all(ids.map((id) => house.router.send(id, { add: 1 }))));
    assert.equal(most, 3);
  });

  it("are served once, by what there is", () => {
    const town = new Town();
    const house = town.house("a");
    const invalid = (work: () => unknown): void => {
      assert.throws(work, (error) => isAetherError(error, "INVALID_ARGUMENT"));
    };
    const store: EventStore = town.store();
    house.serve(store);
    invalid(() => house.serve(store));
    invalid(() => house.handle("counter", () => Promise.resolve()));
    for (const type of ["", "sales-order", 1 as unknown as string]) {
      invalid(() => house.handle(type, () => Promise.resolve()));
    }
    invalid(() => serveDecider(town.home, store, counter));
    invalid(() => serveDecider({ ...town.home, shards: 5 }, store, counter, { actorType: "counter" }));
    invalid(() => serveDecider({ ...town.home, namespace: "x" }, store, counter, { actorType: "counter" }));
    for (const count of [0, -1, 1.5, NaN]) {
      invalid(() => serveDecider(town.home, store, counter, { actorType: "counter", concurrency: count }));
      invalid(() => serveDecider(town.home, store, counter, { actorType: "counter", actors: count }));
    }
    invalid(() => serveHandler(town.home, "account", undefined as never));
  });
});

describe("handing a shard over", () => {
  it("lets what runs end, sends what waits to the next owner, and loses no command", async () => {
    const town = new Town();
    const [store, old, next, slow] = [town.store(), take(town.house("a")), town.house("b"), gate()];
    let appends = 0;
    const counting: EventStore = wrapped(store, {
      async append(actorId: string, events: never, options) {
        if (appends++ === 0) await slow.opened;
        return await store.append(actorId, events, options) as never;
      },
    });
    old.serve(counting);
    next.serve(counting);
    const sendings = Array.from({ length: 10 }, (_, number) => {
      const router = number % 2 === 0 ? town.visitor : old.router;
      return router.send(ACTOR, { add: 1 } satisfies CounterCommand) as Promise<AppendResult>;
    });
    await town.clock.pass(100);
    const released = old.estate.release(HOME);
    await town.clock.pass(50);
    assert.deepEqual(old.estate.shards, [HOME], "it waits for the one that runs");
    slow.open();
    await town.clock.until(released);
    next.estate.take(HOME);
    const results = await town.clock.until(Promise.all(sendings));
    assert.deepEqual(results.map(({ version }) => version).sort((a, b) => a - b), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert.ok(results.every(({ duplicate }) => !duplicate));
    assert.equal(appends, 10);
    assert.deepEqual([old.estate.errors, next.estate.errors], [[], []]);
    assert.equal(old.server.hosts.get("counter")?.actors, 0);
  });

  it("sends what waits on at once, also where its actor is at work or waits for its turn", async () => {
    for (const concurrency of [1, 10]) {
      const town = new Town();
      const [store, house, slow] = [town.store(), take(town.house("a")), gate()];
      const slowed = wrapped(store, {
        async append(actorId: string, events: never, options) {
          await slow.opened;
          return await store.append(actorId, events, options) as never;
        },
      });
      house.serve(slowed, { concurrency });
      const other = Array.from({ length: 20 }, (_, index) => `counter-${index}`)
        .find((id) => id !== ACTOR && shard(id) === HOME) ?? "";
      const handle = (actorId: string, commandId: string): Promise<string> => {
        return house.server.handle(HOME, encodeCommand({ ...message(), actorId, commandId }));
      };
      const first = handle(ACTOR, "1");
      await town.clock.pass(10);
      const waiting = concurrency === 1 ? [handle(ACTOR, "2"), handle(other, "3")] : [handle(ACTOR, "2")];
      await town.clock.pass(10);
      const released = house.estate.release(HOME);
      await town.clock.pass(10);
      const settled = await Promise.race([Promise.all(waiting), town.clock.pass(1).then(() => [])]);
      assert.deepEqual(settled.map(decodeAnswer), waiting.map(() => ({ kind: "notOwner" })));
      slow.open();
      assert.equal(decodeAnswer(await town.clock.until(first))?.kind, "result");
      await town.clock.until(released);
      assert.equal(await store.getLatestVersion(ACTOR), 1);
    }
  });

  it("answers what comes until the last moment", async () => {
    const town = new Town();
    const [store, house] = [town.store(), take(town.house("a"))];
    house.serve(store);
    await town.clock.pass(1);
    const sending = town.network.request(HOME, encodeCommand(message()), 1_500);
    const released = house.estate.release(HOME);
    const answer = await town.clock.until(sending);
    assert.notEqual(answer.kind, "silence");
    await town.clock.until(released);
  });

  it("ends with serving: what is under way returns, what comes finds nobody", async () => {
    const town = new Town();
    const [store, house, slow] = [town.store(), take(town.house("a")), gate()];
    const serving = house.serve(wrapped(store, {
      async append(actorId: string, events: never, options) {
        await slow.opened;
        return await store.append(actorId, events, options) as never;
      },
    }));
    const first = house.router.send(ACTOR, { add: 1 });
    await town.clock.pass(10);
    const second = thrown(house.router.send(ACTOR, { add: 1 }, { timeout: 500 }));
    await town.clock.pass(10);
    const ended = Promise.resolve(serving[Symbol.asyncDispose]());
    assert.deepEqual(house.estate.serves, []);
    await town.clock.pass(100);
    slow.open();
    await town.clock.until(ended);
    assert.equal((await first as AppendResult).version, 1);
    const error = await town.clock.until(second);
    assert.ok(isAetherError(error, "NO_OWNER") || isAetherError(error, "NO_HANDLER"), String(error));
    assert.equal(town.clock.sleepers, 0);
    assert.deepEqual(house.estate.errors, []);
  });
});

function message() {
  return { actorId: ACTOR, command: { add: 1 }, commandId: "x", attempt: 1, left: 1_000 };
}

describe("what no node would send", () => {
  it("is answered and reported, and breaks nothing", async () => {
    const town = new Town();
    const [store, house] = [town.store(), take(town.house("a"))];
    house.serve(store);
    const good = encodeCommand(message());
    const { v: _, ...bare } = JSON.parse(good);
    const bad = [
      "",
      "null",
      "[]",
      "{",
      '"x"',
      JSON.stringify(bare),
      ...[
        { v: 2 },
        { actorId: "" },
        { actorId: 1 },
        { actorId: "\ud800" },
        { actorId: "counter-2" },
        { actorId: "x".repeat(600) },
        { commandId: "" },
        { commandId: "x".repeat(129) },
        { commandId: undefined },
        { command: undefined },
        { attempt: "1" },
        { left: -1 },
        { left: null },
        { metadata: [] },
        { metadata: { a: 1 } },
      ].map((wrong) => JSON.stringify({ ...JSON.parse(good), ...wrong })),
    ];
    for (const body of bad) {
      assert.deepEqual(decodeAnswer(await house.server.handle(HOME, body)), { kind: "malformed" }, body);
    }
    assert.deepEqual(house.reports, bad.map(() => "commandMalformed"));
    for (const command of [null, 1, "x", [], { __proto__: null }, { add: "x" }]) {
      const body = encodeCommand({ ...message(), command, commandId: JSON.stringify(command) });
      const answer = decodeAnswer(await town.clock.until(house.server.handle(HOME, body)));
      assert.ok(answer?.kind === "rejected" || answer?.kind === "result", JSON.stringify([command, answer]));
    }
  });
});
