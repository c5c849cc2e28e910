import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GUARDS } from "./guards.ts";
import { runWithout } from "./mutant.ts";
import { simulateAll } from "./pool.ts";
import { drawSchedule } from "./schedule.ts";
import { shrink } from "./shrink.ts";
import { simulate } from "./simulate.ts";

const OPTIONS = { skip: "Deno" in globalThis ? false : "its workers are Deno's", timeout: 300_000 };
const SEEDS = 200;
/** Seeds within which a guard that is missing has to show. */
const MUTANT_SEEDS = 600;

describe("the cluster in a simulation", () => {
  it("keeps all invariants under all faults", OPTIONS, async () => {
    const broken: string[] = [];
    const schedules = Array.from({ length: SEEDS }, (_, index) => drawSchedule(index + 1));
    await simulateAll(schedules, ({ schedule: { seed, variant }, outcome: { violations } }) => {
      for (const { id, message } of violations) broken.push(`seed ${seed}, ${variant}: ${id}: ${message}`);
      return true;
    });
    assert.deepEqual(broken, []);
  });

  it("does the same for the same seed, whatever ran before", OPTIONS, async () => {
    for (const variant of ["wildHeavy", "large"]) {
      const schedule = drawSchedule(7, { variant });
      const { trace } = await simulate(schedule, { trace: true });
      await simulate(drawSchedule(8));
      const { trace: again } = await simulate(schedule, { trace: true });
      assert.ok(trace.length > 100);
      assert.equal(again.join("\n"), trace.join("\n"));
    }
  });

  it("meets what it is made for", OPTIONS, async () => {
    const sum: Record<string, number> = {};
    for (let seed = 1; seed <= 8; seed++) {
      const { counts } = await simulate(drawSchedule(seed, { variant: "wild", fenced: false }));
      for (const [name, count] of Object.entries(counts)) sum[name] = (sum[name] ?? 0) + count;
    }
    for (const name of ["elections", "tables", "commits", "seals", "refusals", "fences"]) {
      assert.ok((sum[name] ?? 0) >= 8, `${name}: ${sum[name]}`);
    }
  });

  it("shrinks a schedule to the faults that matter", OPTIONS, async () => {
    const schedule = { ...drawSchedule(5, { variant: "bounded" }), isCalm: true };
    const [violation] = (await simulate(schedule)).violations;
    assert.equal(violation?.id, "V3"); // the schedule is not calm at all
    const least = await shrink(schedule, "V3");
    assert.ok(least.faults.length < schedule.faults.length / 2, JSON.stringify(least.faults));
    assert.equal((await simulate(least)).violations[0]?.id, "V3");
  });
});

describe("a simulation of the library without a guard", () => {
  for (const name of Object.keys(GUARDS)) {
    it(`breaks without ${name}`, OPTIONS, async () => {
      const { result, output, exitCode } = await runWithout(name, MUTANT_SEEDS);
      assert.match(result, /^\d+ seeds, [1-9]\d* violations$/, output);
      assert.equal(exitCode, 1);
    });
  }

  it("does not break without the barrier, which is not there", OPTIONS, () => {
    assert.equal("barrier" in GUARDS, false);
  });
});
