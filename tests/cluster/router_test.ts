import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Answer, type CommandMessage, decodeCommand, encodeAnswer } from "../../cluster/command_messages.ts";
import type { CommandAnswer, Commands } from "../../cluster/commands.ts";
import { type Owner, Router, type SendOptions } from "../../cluster/router.ts";
import { type AetherError, type ErrorCode, isAetherError, PermissionError, shardOf } from "../../mod.ts";
import { VirtualClock } from "./support/virtual_clock.ts";

type Step = Answer | CommandAnswer | Error | { readonly after: number; readonly answer: Answer | CommandAnswer };

/** A world that answers each try as the script says; the last line again and again. */
class Script implements Commands {
  readonly clock = new VirtualClock();
  readonly tries: (CommandMessage & { readonly at: number })[] = [];
  readonly signals: (AbortSignal | undefined)[] = [];
  maxSize = 1_000;
  readonly #steps: Step[];

  constructor(...steps: Step[]) {
    this.#steps = steps;
  }

  async request(_shard: number, body: string, milliseconds: number, signal?: AbortSignal): Promise<CommandAnswer> {
    const message = decodeCommand(body);
    assert.ok(message);
    this.tries.push({ ...message, at: this.clock.now() });
    this.signals.push(signal);
    const step = (this.#steps.length > 1 ? this.#steps.shift() : this.#steps[0]) as Step;
    if (step instanceof Error) throw step;
    if ("after" in step) await this.clock.sleep(step.after, signal);
    const answer = "after" in step ? step.answer : step;
    if (answer.kind === "silence") {
      await this.clock.sleep(milliseconds, signal);
      return answer;
    }
    if (signal?.aborted && answer.kind !== "absent") return { kind: "silence" };
    return answer.kind === "absent" || answer.kind === "answer"
      ? answer
      : { kind: "answer", body: encodeAnswer(answer) };
  }

  serve(): never {
    throw new Error("nobody serves here");
  }

  send(options: SendOptions = {}, command: unknown = { add: 1 }, ownerOf?: () => Owner): Promise<unknown> {
    const router = new Router({ clock: this.clock, commands: this, shards: 8, ...(ownerOf && { ownerOf }) });
    return this.clock.until(router.send("counter-1", command, options));
  }

  async fails(code: ErrorCode, options: SendOptions = {}, ownerOf?: () => Owner): Promise<AetherError> {
    try {
      await this.send(options, undefined, ownerOf);
    } catch (error) {
      assert.ok(isAetherError(error, code), String(error));
      return error as unknown as AetherError;
    }
    return assert.fail("nothing was thrown");
  }
}

const ok: Answer = { kind: "result", result: { version: 3 } };

describe("a command that is sent", () => {
  it("gives what the command gave, and carries what its owner has to know", async () => {
    const script = new Script(ok);
    const metadata = { correlationId: "c" };
    assert.deepEqual(await script.send({ commandId: "one", timeout: 3_000, metadata }), { version: 3 });
    const [{ at: _, ...message } = assert.fail()] = script.tries;
    assert.deepEqual(message, {
      actorId: "counter-1",
      command: { add: 1 },
      commandId: "one",
      attempt: 1,
      left: 3_000,
      metadata,
    });
  });

  it("is tried again while nobody owns the shard, with pauses up to 100 ms, under one made id", async () => {
    const script = new Script(...Array.from({ length: 20 }, () => ({ kind: "absent" }) as const), ok);
    await script.send();
    assert.equal(script.tries.length, 21);
    assert.equal(new Set(script.tries.map(({ commandId }) => commandId)).size, 1);
    assert.deepEqual(script.tries.map(({ attempt }) => attempt), Array.from({ length: 21 }, (_, index) => index + 1));
    const pauses = script.tries.slice(1).map(({ at }, index) => at - (script.tries[index]?.at ?? 0));
    assert.ok(pauses[0] !== undefined && pauses[0] >= 2.5 && pauses[0] <= 5, `${pauses[0]}`);
    assert.ok(pauses.every((pause) => pause <= 100));
    assert.ok(pauses.slice(-5).every((pause) => pause >= 50), pauses.join());
    const [first, last] = [script.tries[0], script.tries.at(-1)];
    assert.equal(last?.left, (first?.left ?? 0) - (last?.at ?? 0));
  });

  it("is given up after its timeout: NO_OWNER if no try can have run", async () => {
    const script = new Script({ kind: "absent" });
    const error = await script.fails("NO_OWNER", { timeout: 700 });
    assert.ok(isAetherError(error, "NO_OWNER"));
    assert.equal(error.shard, shardOf("counter-1", 8));
    assert.equal(error.nodeId, undefined);
    assert.match(error.message, /^Nobody owns shard \d/);
    assert.ok(script.clock.now() > 650 && script.clock.now() <= 700, `${script.clock.now()}`);
  });

  it("may have run where a node denied that it is the owner: it may have been stopped, and the owner got it, too", async () => {
    for (const kind of ["notOwner", "malformed"] as const) {
      const error = await new Script({ kind }, { kind: "absent" }).fails("UNKNOWN_OUTCOME", { timeout: 700 });
      assert.ok(isAetherError(error.cause, "UNAVAILABLE"));
    }
    assert.deepEqual(await new Script({ kind: "notOwner" }, ok).send(), { version: 3 });
  });

  it("says who should have taken it", async () => {
    const owner = (serves: string): () => Owner => () => ({ nodeId: "node-7", serves: [serves] });
    const absent = await new Script({ kind: "absent" }).fails("NO_OWNER", { timeout: 100 }, owner("counter"));
    assert.ok(isAetherError(absent, "NO_OWNER"));
    assert.equal(absent.nodeId, "node-7");
    assert.match(absent.message, /node-7, which owns shard/);
    const silent = await new Script({ kind: "silence" }).fails("UNKNOWN_OUTCOME", { timeout: 100 }, owner("counter"));
    assert.match((silent.cause as Error).message, /no answer from the owner of shard \d, node node-7/);
    const other = await new Script({ kind: "absent" }).fails("NO_HANDLER", { timeout: 100 }, owner("other"));
    assert.match(other.message, /^Node node-7 serves no actors of the type counter/);
  });

  it("ends with the answer to an earlier try, where that comes at last", async () => {
    const script = new Script({ after: 2_000, answer: ok }, { kind: "absent" });
    assert.deepEqual(await script.send(), { version: 3 });
    assert.ok(script.clock.now() >= 2_000 && script.clock.now() < 2_010, `${script.clock.now()}`);
  });

  it("is not ended by what an earlier try did not do, at last: another owner may do it", async () => {
    const reason = { name: "RangeError", message: "too much" };
    const nothing: Answer[] = [
      { kind: "unknown" },
      { kind: "rejected", reason },
      { kind: "result", result: { version: 0, events: [] } },
    ];
    for (const answer of nothing) {
      assert.deepEqual(await new Script({ after: 400, answer }, { after: 600, answer: ok }).send(), { version: 3 });
      await new Script({ after: 400, answer }, { kind: "silence" }).fails("UNKNOWN_OUTCOME");
    }
  });

  it("says why its owner could not store", async () => {
    const error = await new Script({ kind: "unavailable", reason: "no leader" }).fails("NO_OWNER", { timeout: 50 });
    assert.ok(isAetherError(error.cause, "UNAVAILABLE"));
    assert.equal(error.cause.reason, "no leader");
  });

  it("is given up after 10 s if nothing else is said; tries begin after 300 ms, and later after 1.5 s", async () => {
    const script = new Script({ kind: "silence" });
    const error = await script.fails("UNKNOWN_OUTCOME", { commandId: "x" });
    assert.ok(isAetherError(error, "UNKNOWN_OUTCOME"));
    assert.deepEqual(error.actorIds, ["counter-1"]);
    assert.deepEqual(error.eventIds, []);
    assert.equal(error.commandId, "x");
    assert.match(error.message, /same commandId, "x"$/);
    assert.equal(script.clock.now(), 10_000);
    assert.ok(script.tries.length >= 8 && script.tries.length <= 9, `${script.tries.length} tries`);
  });

  for (const kind of ["silence", "unknown"] as const) {
    it(`may have run once one try met ${kind}, whatever the others said`, async () => {
      for (const other of ["absent", "notOwner", "overloaded", "noHandler"] as const) {
        const then: Step = other === "overloaded"
          ? { kind: other, limit: 3, of: "commands" }
          : other === "noHandler"
          ? { kind: other, nodeId: "n" }
          : { kind: other };
        await new Script({ kind: "absent" }, { kind }, then).fails("UNKNOWN_OUTCOME", { timeout: 4_000 });
      }
      assert.deepEqual(await new Script({ kind }, ok).send(), { version: 3 });
    });
  }

  it("is refused for good by its decider or handler", async () => {
    const reason = { name: "RangeError", message: "too much", code: "E" };
    const error = await new Script({ kind: "silence" }, { kind: "rejected", reason }).fails("COMMAND_REJECTED", {
      commandId: "no",
    });
    assert.ok(isAetherError(error, "COMMAND_REJECTED"));
    assert.deepEqual(error.reason, reason);
    assert.deepEqual([error.actorId, error.commandId], ["counter-1", "no"]);
  });

  it("fails at once where too many wait", async () => {
    const error = await new Script({ kind: "overloaded", limit: 7, of: "commands" }).fails("OVERLOADED");
    assert.ok(isAetherError(error, "OVERLOADED"));
    assert.deepEqual([error.limit, error.shard], [7, shardOf("counter-1", 8)]);
  });

  it("waits a second for a handler: a node joins before it serves", async () => {
    const missing: Answer = { kind: "noHandler", nodeId: "n" };
    const script = new Script(missing);
    const error = await script.fails("NO_HANDLER");
    assert.ok(isAetherError(error, "NO_HANDLER"));
    assert.deepEqual([error.actorType, error.nodeId], ["counter", "n"]);
    assert.ok(script.clock.now() >= 1_000 && script.clock.now() < 1_200, `${script.clock.now()}`);
    await new Script(missing).fails("NO_HANDLER", { timeout: 100 });
    assert.deepEqual(await new Script(missing, missing, ok).send(), { version: 3 });
  });

  it("waits no longer for a handler where an earlier owner may have run it, and says why it is unknown", async () => {
    const missing: Answer = { kind: "noHandler", nodeId: "n" };
    for (const options of [{}, { timeout: 500 }]) {
      const script = new Script({ kind: "notOwner" }, missing);
      const error = await script.fails("UNKNOWN_OUTCOME", options);
      assert.ok(isAetherError(error.cause, "NO_HANDLER"));
      assert.ok(script.clock.now() < 1_200, `${script.clock.now()}`);
    }
    assert.deepEqual(await new Script({ kind: "notOwner" }, missing, missing, ok).send(), { version: 3 });
  });

  it("is known not to have run once the owner says so of each silent try, however late", async () => {
    const missing: Answer = { kind: "noHandler", nodeId: "n" };
    const full: Answer = { kind: "overloaded", limit: 3, of: "commands" };
    for (const answer of [missing, full]) {
      await new Script({ after: 400, answer }, missing).fails("NO_HANDLER");
      await new Script({ after: 400, answer }, { kind: "silence" }, missing).fails("UNKNOWN_OUTCOME");
    }
    for (const kind of ["notOwner", "malformed"] as const) {
      await new Script({ after: 400, answer: { kind } }, missing).fails("UNKNOWN_OUTCOME");
    }
  });

  it("has run where its result is too large to be told", async () => {
    const error = await new Script({ kind: "untold", problem: "it takes 2 bytes" }).fails("UNKNOWN_OUTCOME");
    assert.ok(isAetherError(error.cause, "INVALID_ARGUMENT"));
  });

  it("takes an answer that it does not understand for silence", async () => {
    for (const body of ["", "{", "[]", "null", '{"v":2,"kind":"result"}', '{"v":1,"kind":"rejected"}', '{"v":1}']) {
      await new Script({ kind: "answer", body }).fails("UNKNOWN_OUTCOME", { timeout: 50 });
    }
  });

  it("is JSON, in the message and in the hands of a local owner alike", async () => {
    for (const command of [new Date(), { at: new Date() }, { n: 1n }, { f: () => 1 }, [NaN]]) {
      await assert.rejects(new Script(ok).send({}, command), (error) => isAetherError(error, "INVALID_ARGUMENT"));
    }
    const router = new Router({ clock: new VirtualClock(), commands: new Script(ok), shards: 8 });
    await assert.rejects(router.send("counter-1", undefined), (error) => isAetherError(error, "INVALID_ARGUMENT"));
    const error = await new Script(ok).send({}, { items: [1, NaN] }).catch((error: unknown) => error);
    assert.ok(isAetherError(error, "INVALID_ARGUMENT"));
    assert.equal(error.argument, "command.items[1]");
  });

  it("is not sent if it is larger than a message, by bytes", async () => {
    const script = new Script(ok);
    const error = await script.send({}, "ü".repeat(450)).catch((error: unknown) => error);
    assert.ok(isAetherError(error, "INVALID_ARGUMENT"));
    assert.match(error.message, /takes 10\d\d bytes, 1000 are allowed/);
    assert.equal(script.tries.length, 0);
    await script.send({}, "u".repeat(450));
  });

  it("is not sent where its arguments make no sense", async () => {
    const wrong: SendOptions[] = [
      { commandId: "" },
      { commandId: "x".repeat(129) },
      { timeout: 0 },
      { timeout: -1 },
      { timeout: NaN },
      { timeout: Infinity },
      { timeout: 2 ** 31 },
    ];
    for (const options of wrong) {
      const script: Script = new Script(ok);
      await script.fails("INVALID_ARGUMENT", options);
      assert.equal(script.tries.length, 0);
    }
    await new Script(ok).fails("INVALID_EVENT", { metadata: { a: 1 as unknown as string } });
    const router = new Router({ clock: new VirtualClock(), commands: new Script(ok), shards: 8 });
    await assert.rejects(router.send("", 1), (error) => isAetherError(error, "INVALID_ACTOR_ID"));
  });

  it("fails with the connection: as itself where no try can have run", async () => {
    const refused = new PermissionError({ subject: "s" });
    await new Script(refused).fails("PERMISSION");
    const error = await new Script({ kind: "silence" }, refused).fails("UNKNOWN_OUTCOME");
    assert.equal(error.cause, refused);
  });
});

describe("aborting a command", () => {
  const reason = new Error("enough");

  async function aborted(script: Script, milliseconds: number): Promise<unknown> {
    const aborting = new AbortController();
    if (milliseconds === 0) aborting.abort(reason);
    else void script.clock.sleep(milliseconds).then(() => aborting.abort(reason));
    return await script.send({ signal: aborting.signal }).catch((error: unknown) => error);
  }

  it("rejects with the reason before it is sent, and while it certainly has not run", async () => {
    const script = new Script(ok);
    assert.equal(await aborted(script, 0), reason);
    assert.equal(script.tries.length, 0);
    const absent = new Script({ kind: "absent" });
    assert.equal(await aborted(absent, 300), reason);
    assert.ok(absent.clock.now() <= 300, `${absent.clock.now()}`);
  });

  it("is UNKNOWN_OUTCOME with the reason behind it once it was sent", async () => {
    const script = new Script({ kind: "silence" });
    const error = await aborted(script, 300);
    assert.ok(isAetherError(error, "UNKNOWN_OUTCOME"));
    assert.equal(error.cause, reason);
    assert.equal(script.clock.now(), 300);
    const later = await aborted(new Script({ kind: "unknown" }, { kind: "absent" }), 50);
    assert.ok(isAetherError(later, "UNKNOWN_OUTCOME"));
    assert.equal(later.cause, reason);
  });

  it("leaves no listener on its signal", async () => {
    const aborting = new AbortController();
    let listeners = 0;
    const { signal } = aborting;
    const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
    signal.addEventListener = ((...args: Parameters<typeof add>) => {
      listeners++;
      add(...args);
    }) as typeof add;
    signal.removeEventListener = ((...args: Parameters<typeof remove>) => {
      listeners--;
      remove(...args);
    }) as typeof remove;
    await new Script({ kind: "absent" }, { kind: "silence" }, ok).send({ signal });
    assert.equal(listeners, 0);
  });

  it("waits for no answer any more once it is over", async () => {
    const script = new Script({ kind: "silence" }, ok);
    await script.send();
    assert.equal(script.tries.length, 2);
    assert.ok(script.signals.every((signal) => signal?.aborted));
    assert.equal(script.clock.sleepers, 0);
  });

  it("that was aborted before it could be sent did not run: the signal's reason", async () => {
    const aborting = new AbortController();
    const script = new Script({ after: 1e6, answer: { kind: "absent", reason: "no connection" } });
    script.clock.sleep(100).then(() => aborting.abort("enough"));
    await assert.rejects(script.send({ signal: aborting.signal }), (reason) => reason === "enough");
    assert.equal(script.tries.length, 1);
  });
});
