import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decodeAnswer, encodeCommand } from "../../cluster/command_messages.ts";
import {
  type AppendResult,
  ClosedError,
  type Event,
  FencedError,
  isAetherError,
  UnavailableError,
  UnknownOutcomeError,
} from "../../mod.ts";
import { wrapped } from "../support/counter.ts";
import { ACTOR, gate, HOME, take, thrown } from "./support/counters.ts";
import { shard, Town } from "./support/town.ts";

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
                : { issues: [{ message: "a text", path: ["add"] }, { message: "also b", path: [{ key: "b" }, 0] }] };
            },
          },
        } as const;
        const { send } = begin({ commands });
        assert.equal((await send({ add: "4" })).events.length, 1);
        const error = await thrown(send({ add: 4 }));
        assert.ok(isAetherError(error, "COMMAND_REJECTED"));
        assert.deepEqual(error.reason, {
          name: "InvalidArgumentError",
          message: "command.add: a text; command.b[0]: also b",
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
        assert.match(String(error.cause), /takes \d+ bytes, \d+ are allowed/);
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

  it("are not refused where the store of their owner is closed: the next owner's is not", async () => {
    const town = new Town();
    const [first, second] = [take(town.house("a")), town.house("b")];
    const store = town.store();
    first.serve(wrapped(store, { append: () => Promise.reject(new ClosedError({ what: "The store" })) }));
    second.serve(store);
    const sending = town.visitor.send(ACTOR, { add: 1 });
    await town.clock.pass(200);
    await town.clock.until(first.estate.release(HOME));
    take(second);
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
