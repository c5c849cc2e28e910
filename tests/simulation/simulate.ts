import { numbers } from "../support/random.ts";
import type { Violation } from "./checker.ts";
import { replaceGlobals } from "./globals.ts";
import type { Schedule } from "./schedule.ts";
import { World } from "./world.ts";

/** What became of a schedule. */
export interface Outcome {
  readonly violations: readonly Violation[];
  /** What happened, as far as it was asked for. */
  readonly trace: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
}

/** Runs a schedule; one at a time, since it replaces the globals. */
export async function simulate(schedule: Schedule, options: { readonly trace?: boolean } = {}): Promise<Outcome> {
  using _globals = replaceGlobals(numbers(schedule.seed * 3));
  const trace: string[] = [];
  const world = new World(schedule, options.trace ? (line): void => void trace.push(line) : undefined);
  await world.run();
  const { checker: { violations, counts }, scheduler } = world;
  return { violations, trace, counts: { ...counts, tasks: scheduler.count } };
}
