import type { Rates } from "./network.ts";
import type { Schedule } from "./schedule.ts";
import { simulate } from "./simulate.ts";

/** The least schedule found that breaks the same invariant: without the faults, and the kinds of them, that do not matter. */
export async function shrink(schedule: Schedule, id: string): Promise<Schedule> {
  const breaks = async (smaller: Schedule): Promise<boolean> => {
    const { violations } = await simulate(smaller);
    return violations.some((violation) => violation.id === id);
  };
  let least = schedule;
  for (let isSmaller = true; isSmaller;) {
    isSmaller = false;
    for (const smaller of smallerOnes(least)) {
      if (!await breaks(smaller)) continue;
      least = smaller;
      isSmaller = true;
      break;
    }
  }
  return least;
}

/** Each with one thing less. */
function* smallerOnes(schedule: Schedule): Iterable<Schedule> {
  const { faults, rates, clients } = schedule;
  // From the end: what came after the violation goes at once.
  for (let count = faults.length >> 1; count > 1; count >>= 1) yield { ...schedule, faults: faults.slice(0, -count) };
  for (let index = faults.length - 1; index >= 0; index--) {
    yield { ...schedule, faults: faults.filter((_, other) => other !== index) };
  }
  for (const rate of Object.keys(rates) as (keyof Rates)[]) {
    if (rates[rate] > 0) yield { ...schedule, rates: { ...rates, [rate]: 0 } };
  }
  if (clients > 1) yield { ...schedule, clients: 1 };
  else if (clients === 1) yield { ...schedule, clients: 0 };
}
