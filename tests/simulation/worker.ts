/** Runs schedules that it is sent, one after the other. */
import type { Schedule } from "./schedule.ts";
import { type Outcome, simulate } from "./simulate.ts";

/** What a worker answers. */
export interface Simulated {
  readonly schedule: Schedule;
  readonly outcome: Outcome;
}

const scope = globalThis as unknown as {
  onmessage: (message: { data: Schedule }) => void;
  postMessage(answer: Simulated): void;
};
let last = Promise.resolve();
scope.onmessage = ({ data: schedule }): void => {
  // The next one is sent while this one runs: it waits, since each replaces the globals.
  last = last.then(async () => scope.postMessage({ schedule, outcome: await simulate(schedule) }));
};
