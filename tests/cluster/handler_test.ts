import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decodeAnswer, encodeCommand } from "../../cluster/command_messages.ts";
import type { CommandContext } from "../../cluster/served_handler.ts";
import { FencedError, type HandleOptions, isAetherError, type StandardSchema, UnknownOutcomeError } from "../../mod.ts";
import { shard, Town } from "./support/town.ts";

const ACTOR = "account-1";
const HOME = shard(ACTOR);

describe("a handler of commands", () => {
  for (const where of ["here", "elsewhere"] as const) {
    it(`is told whose command it is, and its result is JSON, ${where}`, async () => {
      const town = new Town();
      const house = town.house("a");
      house.estate.take(HOME);
      let seen: [unknown, CommandContext] | undefined;
      house.handle("account", (command, context) => {
        seen = [command, context];
        return Promise.resolve({ at: new Date(0), nothing: undefined, n: 1 });
      });
      const router = where === "here" ? house.router : town.visitor;
      const command = { amount: 5 };
      const options = { commandId: "one", metadata: { correlationId: "c" } };
      const result = await town.clock.until(router.send(ACTOR, command, options));
      assert.deepEqual(result, { at: "1970-01-01T00:00:00.000Z", n: 1 });
      assert.deepEqual(seen?.[0], command);
      assert.notEqual(seen?.[0], command);
      const { actorId, commandId, fence, signal, metadata } = seen?.[1] as CommandContext;
      assert.deepEqual({ actorId, commandId, metadata }, { actorId: ACTOR, ...options });
      assert.deepEqual(fence, { shard: HOME, epoch: 1, checked: false });
      assert.equal(signal.aborted, false);
    });
  }

  it("may give nothing, and may throw anything", async () => {
    const town = new Town();
    const house = town.house("a");
    house.estate.take(HOME);
    const results: unknown[] = [undefined, null, 0, "", [], () => 1];
    const send = (command: unknown): Promise<unknown> => town.clock.until(house.router.send(ACTOR, command));
    house.handle("account", (command) => {
      const { give, fail } = command as { give?: number; fail?: number };
      if (fail !== undefined) throw failures[fail];
      return Promise.resolve(results[give ?? 0]);
    });
    assert.deepEqual(
      await Promise.all(results.map((_, give) => send({ give }))),
      [undefined, null, 0, "", [], undefined],
    );
    const sly = {
      get message(): string {
        throw new Error("sly");
      },
    };
    const failures: unknown[] = [new RangeError("r"), "text", undefined, null, Symbol("s"), Object.create(null), sly];
    const reasons: unknown[] = [];
    for (const fail of failures.keys()) {
      const error = await send({ fail }).catch((error: unknown) => error);
      assert.ok(isAetherError(error, "COMMAND_REJECTED"));
      reasons.push(error.reason.name);
    }
    assert.deepEqual(reasons, ["RangeError", "Error", "Error", "Error", "Error", "Error", "Error"]);
    results[0] = 1n; // it has run all the same
    const error = await send({ give: 0 }).catch((error: unknown) => error);
    assert.ok(isAetherError(error, "UNKNOWN_OUTCOME"));
    assert.ok(isAetherError(error.cause, "INVALID_ARGUMENT"));
    assert.match(error.message, /^The command to account-1 ran, and what it gave cannot be told: .*BigInt/i);
    assert.deepEqual(house.reports, ["resultUntold"]);
  });

  it("is given what the schema of its commands makes of them; what does not fit is refused, and may come again", async () => {
    const town = new Town();
    const house = town.house("a");
    house.estate.take(HOME);
    const commands: StandardSchema<unknown, { readonly amount: number }> = {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: (value) => {
          const amount = Number((value as { readonly amount?: unknown }).amount);
          return amount > 0 ? { value: { amount } } : { issues: [{ message: "is above 0", path: ["amount"] }] };
        },
      },
    };
    house.handle("account", ({ amount }, { actorId }) => `${actorId}: ${amount + 1}`, { commands });
    const send = (command: unknown): Promise<unknown> => town.clock.until(town.visitor.send(ACTOR, command));
    assert.equal(await send({ amount: "5" }), `${ACTOR}: 6`);
    const error = await send({ amount: 0 }).catch((error: unknown) => error);
    assert.ok(isAetherError(error, "COMMAND_REJECTED"));
    assert.deepEqual(error.reason, {
      name: "InvalidArgumentError",
      message: "command.amount: is above 0",
      code: "INVALID_ARGUMENT",
    });
    const wrong = { commands: {} } as unknown as HandleOptions;
    assert.throws(() => house.handle("other", () => 1, wrong), { code: "INVALID_ARGUMENT" });
    assert.throws(() => house.handle("other", () => 1, { concurrency: 0 }), { code: "INVALID_ARGUMENT" });
    const misspelt = { command: commands } as unknown as HandleOptions;
    assert.throws(() => house.handle("other", () => 1, misspelt), { code: "INVALID_ARGUMENT" });
  });

  it("does one command of an actor at a time, and several actors at once", async () => {
    const town = new Town();
    const house = town.house("a");
    for (let number = 0; number < 4; number++) house.estate.take(number);
    const [running, orders] = [new Map<string, number>(), new Map<string, unknown[]>()];
    let most = 0;
    house.handle("account", async (command, { actorId }) => {
      assert.equal(running.get(actorId) ?? 0, 0);
      running.set(actorId, 1);
      most = Math.max(most, running.size);
      await town.clock.sleep(10);
      running.delete(actorId);
      orders.set(actorId, [...orders.get(actorId) ?? [], command]);
    });
    const sendings = [1, 2, 3].flatMap((actor) => [1, 2, 3].map((n) => house.router.send(`account-${actor}`, n)));
    await town.clock.until(Promise.all(sendings));
    assert.equal(most, 3);
    assert.deepEqual([...orders.values()], [[1, 2, 3], [1, 2, 3], [1, 2, 3]]);
  });

  it("does a command once while its node owns the shard, however often and late it comes", async () => {
    const town = new Town();
    const house = town.house("a");
    house.estate.take(HOME);
    let count = 0;
    house.handle("account", () => Promise.resolve({ count: ++count, duplicate: false, events: [1] }));
    const send = (commandId: string): Promise<unknown> => {
      return town.clock.until(town.visitor.send(ACTOR, {}, { commandId }));
    };
    const first = await send("one");
    await send("two");
    assert.deepEqual(await send("one"), first);
    await town.clock.pass(3_600_000);
    assert.deepEqual(await send("one"), first);
    house.estate.lapse();
    await town.clock.pass(1_000);
    await town.clock.until(house.estate.resume());
    assert.deepEqual(await send("one"), first, "the lease has lapsed meanwhile");
    assert.equal(count, 2);
    house.estate.lose(HOME);
    house.estate.take(HOME);
    await send("one");
    assert.equal(count, 3, "another may have owned the shard");
  });

  it("goes on in peace while the shard is handed over, and is told when it is lost", async () => {
    const town = new Town();
    const house = town.house("a");
    house.estate.take(HOME);
    const aborted: number[] = [];
    house.handle("account", async (milliseconds, { signal }) => {
      signal.addEventListener("abort", () => aborted.push(town.clock.now()));
      await town.clock.sleep(milliseconds as number, signal);
      signal.throwIfAborted();
      return "done";
    });
    const sending = town.visitor.send(ACTOR, 1_000);
    await town.clock.pass(100);
    await town.clock.until(house.estate.release(HOME));
    assert.equal(await town.clock.until(sending), "done");
    assert.deepEqual(aborted, []);

    house.estate.take(HOME);
    const began = town.clock.now();
    const lost = town.visitor.send(ACTOR, 5_000);
    await town.clock.pass(100);
    house.estate.lose(HOME);
    const next = town.house("b");
    next.handle("account", () => Promise.resolve("next"));
    next.estate.take(HOME);
    assert.equal(await town.clock.until(lost), "next");
    assert.equal(aborted.length, 1);
    assert.ok((aborted[0] ?? 0) - began < 200);
  });

  it("that hangs does not keep the shard once its time is over, but its actor waits for it", async () => {
    const town = new Town();
    const house = town.house("a");
    house.estate.take(HOME);
    const { promise, resolve } = Promise.withResolvers<void>();
    let running = 0;
    house.handle("account", async () => {
      assert.equal(running++, 0);
      if (!isOver) await promise;
      running--;
      return "late";
    });
    let isOver = false;
    const sending = town.visitor.send(ACTOR, {}, { commandId: "hang", timeout: 20_000 });
    await town.clock.pass(100);
    house.estate.lapse();
    await town.clock.pass(2_000);
    await town.clock.until(house.estate.resume());
    const other = town.visitor.send(ACTOR, {}, { timeout: 20_000 });
    await town.clock.pass(5_000);
    assert.equal(running, 1);
    isOver = true;
    resolve();
    assert.deepEqual(await town.clock.until(Promise.all([sending, other])), ["late", "late"]);
  });

  it("that heeds no signal keeps nobody waiting once the shard is lost", async () => {
    const town = new Town();
    const house = town.house("a");
    house.estate.take(HOME);
    house.handle("account", () => new Promise(() => {}));
    const sendings = [house.router.send(ACTOR, {}), town.visitor.send(ACTOR, {})];
    await town.clock.pass(100);
    house.estate.lose(HOME);
    const next = town.house("b");
    next.handle("account", () => Promise.resolve("next"));
    next.estate.take(HOME);
    assert.deepEqual(await town.clock.until(Promise.all(sendings)), ["next", "next"]);
    assert.ok(town.clock.now() < 1_000, `${town.clock.now()}`);
  });

  it("that was fenced gives the shard up, and its command goes to the next owner", async () => {
    const town = new Town();
    const [old, next] = [town.house("a"), town.house("b")];
    old.estate.take(HOME);
    next.estate.take(HOME);
    old.handle("account", () => Promise.reject(new FencedError({ shard: HOME, epoch: 2 })));
    next.handle("account", () => Promise.resolve("next"));
    assert.equal(await town.clock.until(old.router.send(ACTOR, {})), "next");
    assert.deepEqual(old.estate.shards, []);
  });

  it("whose write is of unknown outcome does not know more than that", async () => {
    const town = new Town();
    const house = town.house("a");
    house.estate.take(HOME);
    house.handle("account", () => Promise.reject(new UnknownOutcomeError({ actorIds: [ACTOR], eventIds: [] })));
    const error = await town.clock.until(house.router.send(ACTOR, {}, { timeout: 300 })).catch((error) => error);
    assert.ok(isAetherError(error, "UNKNOWN_OUTCOME"));
  });

  it("answers nothing for certain once the lease has lapsed, and the same when it is back", async () => {
    const town = new Town();
    const house = town.house("a");
    house.estate.take(HOME);
    let count = 0;
    house.handle("account", async () => {
      await town.clock.sleep(100);
      return ++count;
    });
    const body = encodeCommand({ actorId: ACTOR, command: 1, commandId: "x", attempt: 1, left: 1_000 });
    const answer = house.server.handle(HOME, body);
    await town.clock.pass(50);
    house.estate.isValid = false;
    assert.deepEqual(decodeAnswer(await town.clock.until(answer)), { kind: "unknown" });
    house.estate.isValid = true;
    const again = decodeAnswer(await town.clock.until(house.server.handle(HOME, body)));
    assert.deepEqual(again, { kind: "result", result: 1 });
  });
});
