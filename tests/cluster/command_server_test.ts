import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decodeAnswer, encodeCommand } from "../../cluster/command_messages.ts";
import { type AppendResult, type EventStore, isAetherError } from "../../mod.ts";
import { type CounterCommand, wrapped } from "../support/counter.ts";
import { ACTOR, gate, HOME, slowed, take, thrown } from "./support/counters.ts";
import { shard, Town } from "./support/town.ts";

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
      house.serve(slowed(store, slow.opened), { concurrency });
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
    const serving = house.serve(slowed(store, slow.opened));
    const first = house.router.send(ACTOR, { add: 1 });
    await town.clock.pass(10);
    const second = thrown(house.router.send(ACTOR, { add: 1 }, { timeout: 500 }));
    await town.clock.pass(10);
    const ended = Promise.resolve(serving[Symbol.asyncDispose]());
    assert.deepEqual(house.estate.serves, []);
    await town.clock.pass(100);
    assert.equal(house.server.load().running, 1, "what is waited for is not shown");
    // The actor would be there twice.
    assert.throws(() => house.serve(store), /served still: await the disposal/);
    slow.open();
    await town.clock.until(ended);
    assert.equal((await first as AppendResult).version, 1);
    const error = await town.clock.until(second);
    assert.ok(isAetherError(error, "NO_OWNER") || isAetherError(error, "NO_HANDLER"), String(error));
    assert.equal(town.clock.sleepers, 0);
    assert.deepEqual(house.estate.errors, []);
    await house.serve(store)[Symbol.asyncDispose]();
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
