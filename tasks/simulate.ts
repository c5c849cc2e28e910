/**
 * `deno task simulate [--seeds 2000] [--from 1] [--variant wild] [--fenced true|false]`: the cluster under all faults, in
 * virtual time. Its last line is `N seeds, 0 violations`.
 *
 * `--seed N [--trace]`: one seed again; what fails is shrunk. `--without GUARD`: with a guard taken out of a copy of the
 * library, until something breaks. `--first`: until the first violation, and no more of it.
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { runWithout } from "../tests/simulation/mutant.ts";
import { simulateAll } from "../tests/simulation/pool.ts";
import { drawSchedule, type Schedule, VARIANTS } from "../tests/simulation/schedule.ts";
import { shrink } from "../tests/simulation/shrink.ts";
import { simulate } from "../tests/simulation/simulate.ts";

/** Lines of a trace that are shown of what failed. */
const TAIL = 40;
/** Seeds that failed and are shown whole. */
const SHOWN = 3;

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "2000" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    variant: { type: "string" },
    fenced: { type: "string" },
    trace: { type: "boolean", default: false },
    without: { type: "string" },
    first: { type: "boolean", default: false },
  },
});
const fenced = values.fenced === undefined ? undefined : values.fenced === "true";
const { variant } = values;

/** How a seed is run again. */
function again({ seed }: Schedule): string {
  const options = [variant && `--variant ${variant}`, fenced !== undefined && `--fenced ${fenced}`].filter(Boolean);
  return ["deno task simulate --seed", seed, ...options, "--trace"].join(" ");
}

/** Prints what is left of a schedule that fails. */
async function explain(schedule: Schedule, id: string): Promise<void> {
  const least = await shrink(schedule, id);
  const { violations, trace } = await simulate(least, { trace: true });
  console.log(`seed ${schedule.seed}, shrunk:`, JSON.stringify(least, undefined, 1));
  console.log(trace.slice(-TAIL).join("\n"));
  for (const violation of violations) console.log(`${violation.id}: ${violation.message}`);
  console.log(again(schedule));
}

async function one(seed: number): Promise<number> {
  const schedule = drawSchedule(seed, { variant, fenced });
  const { violations, trace, counts } = await simulate(schedule, { trace: values.trace });
  if (values.trace) console.log([JSON.stringify(schedule), ...trace].join("\n"));
  console.log(JSON.stringify(counts));
  const [first] = violations;
  if (first !== undefined) await explain(schedule, first.id);
  return violations.length > 0 ? 1 : 0;
}

async function many(from: number, count: number): Promise<number> {
  const counts = new Map(Object.keys(VARIANTS).map((name) => [name, 0]));
  const failed: { readonly schedule: Schedule; readonly id: string }[] = [];
  const schedules = function* (): Iterable<Schedule> {
    for (let seed = from; seed < from + count; seed++) yield drawSchedule(seed, { variant, fenced });
  };
  await simulateAll(schedules(), ({ schedule, outcome: { violations } }) => {
    counts.set(schedule.variant, (counts.get(schedule.variant) ?? 0) + 1);
    const [first] = violations;
    if (first !== undefined) {
      failed.push({ schedule, id: first.id });
      console.log(`seed ${schedule.seed}, ${schedule.variant}: ${first.id}: ${first.message}`);
    }
    return failed.length === 0 || !values.first;
  });
  if (!values.first) { for (const { schedule, id } of failed.slice(0, SHOWN)) await explain(schedule, id); }
  const ran = [...counts].filter(([, times]) => times > 0);
  console.log(ran.map(([name, times]) => `${times} ${name}`).join(", "));
  console.log(`${ran.reduce((sum, [, times]) => sum + times, 0)} seeds, ${failed.length} violations`);
  return failed.length > 0 ? 1 : 0;
}

if (values.without !== undefined) {
  const { output, exitCode } = await runWithout(values.without, Number(values.seeds));
  console.log(output.trimEnd());
  process.exitCode = exitCode;
} else if (values.seed !== undefined) process.exitCode = await one(Number(values.seed));
else process.exitCode = await many(Number(values.from), Number(values.seeds));
