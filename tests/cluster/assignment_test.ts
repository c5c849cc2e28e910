import assert from "node:assert/strict";
import fc from "fast-check";
import process from "node:process";
import { describe, it } from "node:test";
import { type Assignment, assignShards } from "../../cluster/assignment.ts";
import { InvalidArgumentError } from "../../errors.ts";

/** `AETHER_SEED=…` repeats a run. */
const seed = Number(process.env.AETHER_SEED ?? Date.now() % 2 ** 31);
const NAMES = ["node-1", "node-2", "node-10", "__proto__", "constructor", "toString", "", "ü", "hasOwnProperty"];
type Weights = Readonly<Record<string, number>>;

const owner = fc.option(fc.constantFrom(...NAMES, "gone"), { nil: undefined });
const tables = (maxLength: number): fc.Arbitrary<Assignment> => fc.array(owner, { maxLength, size: "max" });
const names = (maxLength = NAMES.length): fc.Arbitrary<string[]> =>
  fc.shuffledSubarray(NAMES, { minLength: 1, maxLength });
const weightsOf = (weight: fc.Arbitrary<number>): fc.Arbitrary<Weights | undefined> =>
  fc.option(fc.dictionary(fc.constantFrom(...NAMES, "absent"), weight, { noNullPrototype: true }), { nil: undefined });
const small = fc.integer({ min: 0, max: 5 });
const any = fc.oneof(
  small,
  fc.constantFrom(0.1, 0.2, 0.3, 0.7),
  fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }),
);

function counts(table: Assignment, nodeIds: readonly string[]): number[] {
  return nodeIds.map((id) => table.filter((owner) => owner === id).length);
}

function moved(before: Assignment, after: Assignment): number {
  return after.filter((owner, shard) => owner !== before[shard]).length;
}

const none = (shards: number): Assignment => Array.from({ length: shards }, () => undefined);
const sum = (numbers: readonly number[]): number => numbers.reduce((sum, number) => sum + number, 0);

/** A weight in units of the smallest number there is, so without rounding. */
function exact(weight: number): bigint {
  let halvings = 0;
  for (; !Number.isInteger(weight); weight *= 2) halvings++;
  return BigInt(weight) << BigInt(1074 - halvings);
}

/** Of each node the exact share, rounded down and up. */
function bounds(shards: number, nodeIds: readonly string[], weights: Weights = {}): { min: number; max: number }[] {
  let parts = nodeIds.map((id) => exact(Object.hasOwn(weights, id) ? weights[id] as number : 1));
  if (parts.every((part) => part === 0n)) parts = parts.map(() => 1n);
  const total = parts.reduce((sum, part) => sum + part, 0n);
  return parts.map((part) => {
    const share = BigInt(shards) * part;
    const min = Number(share / total);
    return { min, max: share % total === 0n ? min : min + 1 };
  });
}

function isBalanced(table: Assignment, nodeIds: readonly string[], weights?: Weights): boolean {
  const held = counts(table, nodeIds);
  return sum(held) === table.length &&
    bounds(table.length, nodeIds, weights).every(({ min, max }, node) =>
      min <= (held[node] as number) && (held[node] as number) <= max
    );
}

function* allTables(shards: number, nodeIds: readonly string[]): Iterable<string[]> {
  if (shards === 0) yield [];
  else for (const rest of allTables(shards - 1, nodeIds)) for (const id of nodeIds) yield [...rest, id];
}

const check = <T extends [unknown, ...unknown[]]>(property: fc.IProperty<T>, numRuns = 500): void =>
  fc.assert(property, { seed, numRuns });

describe(`shards are assigned to nodes (AETHER_SEED=${seed})`, () => {
  it("evenly: no node has more than one more than another", () => {
    check(fc.property(tables(100), names(), (previous, nodeIds) => {
      const next = assignShards(previous, nodeIds);
      const held = counts(next, nodeIds);
      assert.equal(next.length, previous.length);
      assert.equal(sum(held), previous.length);
      assert.ok(Math.max(...held) - Math.min(...held) <= 1, `${held}`);
    }));
  });

  it("by weight: each node has its exact share, rounded down or up", () => {
    check(fc.property(tables(100), names(), weightsOf(any), (previous, nodeIds, weights) => {
      const next = assignShards(previous, nodeIds, { weights });
      assert.ok(isBalanced(next, nodeIds, weights), `${counts(next, nodeIds)}`);
    }));
  });

  it("decimal weights mean what is written: 0.1, 0.2 and 0.7 are 1, 2 and 7", () => {
    check(fc.property(tables(100), names(), weightsOf(small), (previous, nodeIds, weights = {}) => {
      const all = Object.fromEntries(nodeIds.map((id) => [id, Object.hasOwn(weights, id) ? weights[id] as number : 1]));
      const tenths = Object.fromEntries(Object.entries(all).map(([id, weight]) => [id, weight / 10]));
      assert.deepEqual(
        assignShards(previous, nodeIds, { weights: tenths }),
        assignShards(previous, nodeIds, { weights: all }),
      );
    }));
  });

  it("with as few moves as any balanced table allows, from any table", () => {
    const some = fc.option(fc.constantFrom(...NAMES.slice(2, 6), "gone"), { nil: undefined });
    const previous = fc.array(some, { maxLength: 6, size: "max" });
    const nodeIds = fc.shuffledSubarray(NAMES.slice(2, 6), { minLength: 1 });
    check(
      fc.property(previous, nodeIds, weightsOf(small), (previous, nodeIds, weights) => {
        let fewest = Infinity;
        for (const table of allTables(previous.length, nodeIds)) {
          if (isBalanced(table, nodeIds, weights)) fewest = Math.min(fewest, moved(previous, table));
        }
        assert.equal(moved(previous, assignShards(previous, nodeIds, { weights })), fewest);
      }),
      200,
    );
  });

  it("with as few moves as possible, also of many shards", () => {
    check(fc.property(tables(300), names(), (previous, nodeIds) => {
      const least = Math.floor(previous.length / nodeIds.length);
      const held = counts(previous, nodeIds);
      const larger = Math.min(previous.length % nodeIds.length, held.filter((count) => count > least).length);
      const kept = sum(held.map((count) => Math.min(count, least))) + larger;
      assert.equal(moved(previous, assignShards(previous, nodeIds)), previous.length - kept);
    }));
  });

  it("a node that joins takes its share of each, and nothing else moves", () => {
    check(fc.property(tables(300), names(), (previous, [joiner = "", ...others]) => {
      const before = others.length > 0 ? assignShards(previous, others) : none(previous.length);
      const after = assignShards(before, [joiner, ...others]);
      const share = others.length > 0 ? Math.floor(previous.length / (others.length + 1)) : previous.length;
      assert.equal(moved(before, after), share);
      for (const [shard, owner] of after.entries()) assert.ok(owner === before[shard] || owner === joiner);
    }));
  });

  it("of a node that leaves its shards move, and no others", () => {
    check(fc.property(tables(300), names(), (previous, nodeIds) => {
      const [leaver, ...others] = nodeIds;
      const before = assignShards(previous, nodeIds);
      const after = assignShards(before, others);
      for (const [shard, owner] of after.entries()) assert.equal(owner !== before[shard], before[shard] === leaver);
    }));
  });

  it("not again: nothing moves as long as nobody comes or goes", () => {
    check(fc.property(tables(100), names(), weightsOf(any), (previous, nodeIds, weights) => {
      const once = assignShards(previous, nodeIds, { weights });
      assert.deepEqual(assignShards(once, nodeIds, { weights }), once);
    }));
  });

  it("whatever the order of nodes and weights, and however often one is named", () => {
    const shuffled = names().chain((nodeIds) =>
      fc.tuple(
        fc.constant(nodeIds),
        fc.shuffledSubarray([...nodeIds, ...nodeIds], { minLength: 2 * nodeIds.length }),
      )
    );
    check(fc.property(tables(100), shuffled, weightsOf(any), (previous, [nodeIds, others], weights) => {
      const reversed = weights && Object.fromEntries(Object.entries(weights).reverse());
      assert.deepEqual(
        assignShards(previous, others, { weights: reversed }),
        assignShards(previous, nodeIds, { weights }),
      );
    }));
  });

  it("to nobody where there is no node, and without touching what it is given", () => {
    const previous = Object.freeze(["a", undefined, "b"]);
    assert.deepEqual(assignShards(previous, []), [undefined, undefined, undefined]);
    assert.deepEqual(assignShards(previous, Object.freeze(["b"])), ["b", "b", "b"]);
    assert.deepEqual(assignShards([], ["a"]), []);
    assert.deepEqual(assignShards([], []), []);
    assert.deepEqual(assignShards(new Array(2), ["a"]), ["a", "a"]);
    assert.deepEqual(assignShards(new Array(2), []), [undefined, undefined]);
  });

  it("to none of weight 0, unless all are", () => {
    const nodeIds = ["a", "b", "c"];
    assert.deepEqual(counts(assignShards(["a", "a", "a"], nodeIds, { weights: { a: 0, c: 2 } }), nodeIds), [0, 1, 2]);
    assert.deepEqual(counts(assignShards(none(6), nodeIds, { weights: { a: 0, b: 0, c: 0 } }), nodeIds), [2, 2, 2]);
    assert.deepEqual(counts(assignShards(none(6), ["a", "b"], { weights: { a: 0, b: 0 } }), nodeIds), [3, 3, 0]);
  });

  it("the rest of a share first to whom it is greatest, unless another has it already", () => {
    const weights = { a: 4, b: 1 }; // of 3 shards: 2.4 and 0.6
    assert.deepEqual(counts(assignShards(none(3), ["a", "b"], { weights }), ["a", "b"]), [2, 1]);
    assert.deepEqual(assignShards(["a", "a", "a"], ["a", "b"], { weights }), ["a", "a", "a"]);
  });

  it("names of what every object has are names, and weigh 1 if no weight is given", () => {
    const nodeIds = ["__proto__", "constructor", "toString"];
    assert.deepEqual(counts(assignShards(none(9), nodeIds, { weights: {} }), nodeIds), [3, 3, 3]);
    const weights = { ["__proto__"]: 4, constructor: 2, toString: 3 } as unknown as Weights;
    assert.deepEqual(counts(assignShards(none(9), nodeIds, { weights }), nodeIds), [4, 2, 3]);
  });

  it("a weight that is not finite, negative or no number is refused, also of a node that is not there", () => {
    for (const weight of [NaN, Infinity, -Infinity, -1, -Number.MIN_VALUE, "1", null, undefined, 1n]) {
      for (const id of ["a", "__proto__", "absent"]) {
        const weights = { b: 1, [id]: weight } as Weights;
        assert.throws(
          () => assignShards([], ["a", "b", "__proto__"], { weights }),
          (error) => error instanceof InvalidArgumentError && error.argument === `weights.${id}`,
        );
      }
    }
  });

  it("as ever: the same table on every runtime, in every version", () => {
    const five = ["node-1", "node-2", "node-3", "node-4", "node-5"];
    const given = (text: string): Assignment => [...text].map((last) => last === "." ? undefined : `node-${last}`);
    const vectors: readonly [previous: Assignment, nodeIds: readonly string[], weights: Weights, indices: string][] = [
      [none(64), five, {}, "4014220144213213321123433123330313122344241024342401140020100000"],
      [
        given("1111111111111111222222222222222233333333333333339999999999999999"),
        five,
        {},
        "0000000000000343111111111111134322222222222224344433344433434433",
      ],
      [given("123.456.123.456."), five.slice(1), { "node-2": 3, "node-3": 0.5, "node-4": 0 }, "3010030000100300"],
      [none(16), ["ü", "日本", "😀", "__proto__", ""], {}, "0011102432244334"],
      [none(12), ["a", "b", "c"], { a: 1e308, b: 1e308, c: 5e307 }, "022111100001"],
      [none(1), ["a", "B", "ä"], {}, "1"], // by code units, as no language sorts
      [none(3), ["liquid", "costarring"], {}, "110"], // which have the same hash
    ];
    for (const [previous, nodeIds, weights, indices] of vectors) {
      const table = assignShards(previous, nodeIds, { weights });
      assert.equal(table.map((owner) => nodeIds.indexOf(owner as string)).join(""), indices);
    }
  });
});
