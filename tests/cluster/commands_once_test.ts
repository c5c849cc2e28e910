import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import { type AppendResult, isAetherError, UnavailableError, UnknownOutcomeError } from "../../mod.ts";
import { wrapped } from "../support/counter.ts";
import { numbers } from "../support/random.ts";
import { type House, SHARDS, Town } from "./support/town.ts";

/** `AETHER_SEED=…` repeats a run. */
const seed = Number(process.env.AETHER_SEED ?? Date.now() % 2 ** 31);
const RUNS = Number(process.env.AETHER_RUNS ?? 40);
const ACTORS = ["counter-1", "counter-2", "counter-3"];

interface Sent {
  readonly actorId: string;
  readonly commandId: string;
  readonly add: number;
  outcome?: AppendResult;
  error?: unknown;
}

/** Random commands, some of them from two senders, while shards move, leases lapse, and messages are lost, late and doubled. */
async function storm(town: Town, houses: readonly House[], random: () => number, moves: boolean): Promise<Sent[]> {
  const sents: Sent[] = [];
  const sendings: Promise<void>[] = [];
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const send = async (sent: Sent, timeout: number): Promise<void> => {
    sents.push(sent);
    const router = random() < 0.5 ? town.visitor : pick(houses).router;
    try {
      const { actorId, commandId, add } = sent;
      sent.outcome = await router.send(actorId, { add }, { commandId, timeout }) as AppendResult;
    } catch (error) {
      sent.error = error;
    }
  };
  for (let step = 0; step < 40; step++) {
    const [actorId, commandId, add] = [pick(ACTORS), `command-${step}`, pick([1, 1, 1, 2, 0, -3])];
    const timeout = pick([500, 3_000, 10_000]);
    sendings.push(send({ actorId, commandId, add }, timeout));
    if (random() < 0.2) sendings.push(send({ actorId, commandId, add }, timeout));
    await town.clock.pass(random() * 300);
    const [house, shard] = [pick(houses), Math.floor(random() * SHARDS)];
    if (random() < 0.1) {
      house.estate.lapse();
      await town.clock.pass(random() * 2_000);
      await town.clock.until(house.estate.resume());
    }
    if (!moves || random() > 0.3) continue;
    const owner = houses.find(({ estate }) => estate.shards.includes(shard));
    if (random() < 0.6) {
      if (owner !== undefined) await town.clock.until(owner.estate.release(shard));
      pick(houses).estate.take(shard);
    } else house.estate.take(shard); // the old owner does not know, and goes on
  }
  await town.clock.until(Promise.all(sendings));
  await town.clock.pass(60_000);
  return sents;
}

/** Pauses have jitter: a seed repeats it. */
async function seeded(work: (random: () => number, where: string) => Promise<void>): Promise<void> {
  const before = Math.random;
  try {
    for (let run = seed; run < seed + RUNS; run++) {
      Math.random = numbers(run);
      await work(Math.random, `seed ${run}`);
    }
  } finally {
    Math.random = before;
  }
}

const faults = { delay: 50, loss: 0.1, doubled: 0.1, late: 0.05 };

describe("a command, whatever happens on its way", () => {
  it(`is stored at most once, and once if its sender was told so: seeds from ${seed}`, async () => {
    await seeded(async (random, where) => {
      const town = new Town(faults, random);
      const store = town.store();
      const flawed = wrapped(store, {
        async append(actorId: string, events: never, options) {
          await town.clock.sleep(random() * 20);
          if (random() < 0.05) throw new UnavailableError({ reason: "no leader" });
          const result = await store.append(actorId, events, options);
          if (random() < 0.1) throw new UnknownOutcomeError({ actorIds: [actorId], eventIds: [] });
          return result as never;
        },
      });
      const houses = ["a", "b", "c"].map((nodeId) => town.house(nodeId));
      for (const house of houses) house.serve(flawed);
      for (let shard = 0; shard < SHARDS; shard++) houses[shard % 3]?.estate.take(shard);
      const sents = await storm(town, houses, random, true);
      const stored = new Map<string, number>();
      for (const actorId of ACTORS) {
        for (const { metadata } of await store.getEvents(actorId)) {
          const id = `${metadata?.commandId}`;
          stored.set(id, (stored.get(id) ?? 0) + 1);
        }
      }
      for (const [commandId, count] of stored) assert.equal(count, 1, `${commandId}, ${where}`);
      for (const { commandId, outcome, error } of sents) {
        if (outcome !== undefined && outcome.events.length > 0) {
          assert.ok(stored.has(commandId), `${commandId}, ${where}`);
          assert.equal(outcome.events[0]?.metadata?.commandId, commandId, where);
        } else if (error !== undefined) {
          const isTold = isAetherError(error, "COMMAND_REJECTED") || isAetherError(error, "UNKNOWN_OUTCOME") ||
            isAetherError(error, "NO_OWNER");
          assert.ok(isTold, `${error}, ${where}`);
        }
        const isNot = isAetherError(error, "NO_OWNER") && !town.network.doubled.has(commandId) &&
          sents.every((sent) => sent.commandId !== commandId || isAetherError(sent.error, "NO_OWNER"));
        if (isNot) assert.ok(!stored.has(commandId), `${commandId} had no owner, ${where}`);
      }
      assert.ok(sents.some(({ outcome }) => outcome !== undefined), where);
      for (const { estate } of houses) assert.deepEqual(estate.errors, [], where);
    });
  });

  it(`is answered the same to all who ask, for good, while the shard stays where it is: seeds from ${seed}`, async () => {
    await seeded(async (random, where) => {
      const town = new Town(faults, random);
      const store = town.store();
      const house = town.house("a");
      house.serve(wrapped(store, {
        async append(actorId: string, events: never, options) {
          await town.clock.sleep(random() * 20);
          const result = await store.append(actorId, events, options);
          if (random() < 0.1) throw new UnknownOutcomeError({ actorIds: [actorId], eventIds: [] });
          return result as never;
        },
      }));
      for (let shard = 0; shard < SHARDS; shard++) house.estate.take(shard);
      const sents = await storm(town, [house], random, false);
      const answers = new Map<string, string>();
      for (const { actorId, commandId, outcome, error } of sents) {
        const isRejected = isAetherError(error, "COMMAND_REJECTED");
        if (outcome === undefined && !isRejected) continue;
        const answer = isRejected ? "rejected" : JSON.stringify([outcome?.version, outcome?.events]);
        assert.equal(answers.get(commandId) ?? answer, answer, `${commandId}, ${where}`);
        answers.set(commandId, answer);
        const stored = (await store.getEvents(actorId)).some(({ metadata }) => metadata?.commandId === commandId);
        assert.equal(stored, (outcome?.events.length ?? 0) > 0, `${commandId}, ${where}`);
      }
    });
  });

  it(`is done at most once by a handler while the shard stays where it is: seeds from ${seed}`, async () => {
    await seeded(async (random, where) => {
      const town = new Town(faults, random);
      const house = town.house("a");
      const [done, running] = [new Map<string, number>(), new Set<string>()];
      house.handle("counter", async (command, { actorId, commandId }) => {
        assert.ok(!running.has(actorId), "one at a time");
        running.add(actorId);
        done.set(commandId, (done.get(commandId) ?? 0) + 1);
        await town.clock.sleep(random() < 0.1 ? 4_000 * random() : 20 * random());
        running.delete(actorId);
        if ((command as { add: number }).add < 0) throw new RangeError("less");
        return { events: [], commandId };
      });
      for (let shard = 0; shard < SHARDS; shard++) house.estate.take(shard);
      const sents = await storm(town, [house], random, false);
      for (const [commandId, count] of done) assert.equal(count, 1, `${commandId}, ${where}`);
      for (const { commandId, add, outcome, error } of sents) {
        const isNot = isAetherError(error, "NO_OWNER") && !town.network.doubled.has(commandId);
        if (isNot && !sents.some((other) => other.commandId === commandId && other.error !== error)) {
          assert.ok(!done.has(commandId), `${commandId}, ${where}`);
        }
        if (outcome !== undefined) {
          assert.ok(add >= 0, where);
          assert.equal((outcome as unknown as { commandId: string }).commandId, commandId);
        }
      }
    });
  });
});
