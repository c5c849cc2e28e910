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
scope.onmessage = async ({ data: schedule }): Promise<void> => {
  scope.postMessage({ schedule, outcome: await simulate(schedule) });
};
