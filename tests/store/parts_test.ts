import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { toMilliseconds } from "../../store/jetstream_api.ts";
import { Lanes } from "../../store/lanes.ts";
import { Operation } from "../../store/operation.ts";
import { checkRange, Selection } from "../../store/range.ts";
import { compare, configOf } from "../../store/stream_config.ts";
import { VersionCache } from "../../store/version_cache.ts";
import { numbers } from "../support/random.ts";
import type { Commit } from "../../store/event_store.ts";

const head = (sequence: number): { version: number; sequence: number; epoch: number; deleted: boolean } => ({
  version: sequence,
  sequence,
  epoch: 0,
  deleted: false,
});

describe("the cache of versions", () => {
  it("is bounded, and keeps what is used", () => {
    const cache = new VersionCache(100);
    for (let number = 0; number < 1_000; number++) {
      cache.learn(`order-${number}`, head(number + 1));
      cache.get("order-0");
    }
    assert.ok(cache.size <= 100);
    assert.equal(cache.get("order-0")?.version, 1);
    assert.equal(cache.get("order-999")?.version, 1_000);
    assert.equal(cache.get("order-500"), undefined);
  });

  it("never takes an older answer for a newer one, and forgets what proved wrong", () => {
    const cache = new VersionCache(10);
    cache.learn("order-1", head(5));
    cache.learn("order-1", head(3));
    assert.equal(cache.get("order-1")?.sequence, 5);
    cache.forget("order-1");
    cache.learn("order-1", head(3));
    assert.equal(cache.get("order-1")?.sequence, 3);
  });
});

describe("lanes", () => {
  it("run the tasks of a key in order and those of others beside them", async () => {
    const lanes = new Lanes();
    const log: string[] = [];
    const gates = new Map(["a", "b"].map((name) => [name, Promise.withResolvers<void>()]));
    const run = (keys: string[], name: string): Promise<void> =>
      lanes.run(keys, new Operation(1_000, undefined), async () => {
        log.push(`${name} starts`);
        await gates.get(name)?.promise;
        log.push(`${name} ends`);
      });
    const all = [run(["x"], "a"), run(["y"], "b"), run(["x", "y"], "c"), run(["y"], "d"), run(["z"], "e")];
    await all[4];
    gates.get("b")?.resolve();
    await all[1];
    gates.get("a")?.resolve();
    await Promise.all(all);
    const starts = ["a starts", "b starts", "e starts"];
    assert.deepEqual(log.slice(0, 3), starts);
    assert.deepEqual(log.slice(3), ["e ends", "b ends", "a ends", "c starts", "c ends", "d starts", "d ends"]);
  });

  it("keep their order when one who waits gives up", async () => {
    const lanes = new Lanes();
    const log: string[] = [];
    const gate = Promise.withResolvers<void>();
    const stop = new AbortController();
    const first = lanes.run(
      ["x"],
      new Operation(1_000, undefined),
      () => gate.promise.then(() => void log.push("first")),
    );
    const second = lanes.run(["x"], new Operation(1_000, stop.signal), () => Promise.resolve(log.push("second")));
    const third = lanes.run(["x"], new Operation(1_000, undefined), () => Promise.resolve(log.push("third")));
    stop.abort(new Error("enough"));
    await assert.rejects(second, /enough/);
    gate.resolve();
    await Promise.all([first, third]);
    assert.deepEqual(log, ["first", "third"]);
  });
});

describe("what the server says of a message", () => {
  it("times of the server are cut to milliseconds", () => {
    assert.equal(toMilliseconds("2026-01-31T12:00:00.123456789Z"), "2026-01-31T12:00:00.123Z");
    assert.equal(toMilliseconds("2026-01-31T12:00:00.9Z"), "2026-01-31T12:00:00.900Z");
    assert.equal(toMilliseconds("2026-01-31T12:00:00Z"), "2026-01-31T12:00:00.000Z");
  });
});

describe("the configuration of a stream", () => {
  const good = configOf("shop", 64);
  it("is compared in what the guarantees rest on only", () => {
    const stored: Record<string, unknown> = {
      ...good,
      num_replicas: 3,
      compression: "s2",
      max_bytes: 1e9,
      duplicate_window: 1,
      sealed: false,
    };
    const metadata = { ...(good.metadata as object), "_nats.ver": "2.15.0", owner: "me" };
    const { allow_rollup_hdrs: _, deny_delete: __, ...absent } = stored;
    assert.deepEqual(compare(good, { ...absent, metadata }), []);
  });

  it("names each setting that differs", () => {
    const wrong = {
      storage: "memory",
      retention: "interest",
      discard: "old",
      allow_direct: false,
      allow_rollup_hdrs: true,
      deny_delete: true,
    };
    for (
      const [setting, value] of Object.entries({
        ...wrong,
        subjects: ["aether.shop.>"],
        allow_atomic: undefined,
        republish: undefined,
      })
    ) {
      const differences = compare(good, { ...good, [setting]: value });
      assert.deepEqual(differences.map((difference) => difference.setting), [setting]);
    }
    const metadata = { "aether.format": "2", "aether.shards": "64" };
    assert.deepEqual(compare(good, { ...good, metadata }), [{
      setting: "metadata aether.format",
      expected: '"1"',
      actual: '"2"',
    }]);
  });
});

describe("a selection of a history", () => {
  it("agrees with a filter over all events, for every range of a random history", () => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    const random = numbers(seed);
    for (let round = 0; round < 300; round++) {
      const commits = history(random);
      const pick = (most: number): number | undefined => random() < 0.5 ? undefined : Math.floor(random() * most);
      const given = { fromVersion: pick(12), toVersion: pick(12), afterPosition: pick(25), toPosition: pick(25) };
      const ends = random() < 0.5 ? { limit: pick(8) } : { last: pick(8) };
      const options = Object.fromEntries(
        Object.entries({ ...given, ...ends }).filter(([, value]) => value !== undefined),
      );
      const selection = new Selection(checkRange(options));
      const selected: Commit[] = [];
      for (const commit of commits) {
        const one = selection.add(commit);
        if (one) selected.push(one);
        if (selection.done(commit)) break;
      }
      selected.push(...selection.end());
      const { fromVersion = 0, toVersion = 99, afterPosition = 0, toPosition = 99, limit = 99, last } = options;
      const inRange = commits.filter(({ position }) => position > afterPosition && position <= toPosition)
        .flatMap(({ events }) => events).filter(({ version }) => version >= fromVersion && version <= toVersion);
      const expected = last === undefined ? inRange.slice(0, limit) : inRange.slice(Math.max(0, inRange.length - last));
      const versions = selected.flatMap(({ events }) => events.map(({ version }) => version));
      assert.deepEqual(
        versions,
        expected.map(({ version }) => version),
        `seed ${seed} round ${round} ${JSON.stringify(options)}`,
      );
      assert.ok(selected.every(({ events }) => events.length > 0));
    }
  });
});

function history(random: () => number): Commit[] {
  const commits: Commit[] = [];
  let version = 0;
  let position = 0;
  for (let count = Math.floor(random() * 6); count > 0; count--) {
    position += 1 + Math.floor(random() * 4);
    const events = Array.from({ length: Math.floor(random() * 4) }, () => {
      version += random() < 0.9 ? 1 : 2;
      return { id: "x", eventType: "X", actorId: "x", version, data: 1, timestamp: "" };
    });
    commits.push({ actorId: "x", version, position, events });
  }
  return commits;
}
