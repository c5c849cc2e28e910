import { availableParallelism } from "node:os";
import type { Schedule } from "./schedule.ts";
import type { Simulated } from "./worker.ts";

/** Schedules that a worker has before it: it never waits for the next one. */
const AHEAD = 2;

/** Runs schedules on all cores; calls back with each outcome, and stops early once that says so. */
export async function simulateAll(
  schedules: Iterable<Schedule>,
  onOutcome: (simulated: Simulated) => boolean,
): Promise<void> {
  const left = schedules[Symbol.iterator]();
  let isEnough = false;
  const workers = Array.from({ length: availableParallelism() }, async () => {
    const worker = new Worker(new URL("worker.ts", import.meta.url), { type: "module" });
    try {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      let running = 0;
      const send = (): void => {
        const next = isEnough ? undefined : left.next();
        if (next === undefined || next.done) {
          if (running === 0) resolve();
          return;
        }
        running++;
        worker.postMessage(next.value);
      };
      worker.onmessage = ({ data }: MessageEvent<Simulated>): void => {
        running--;
        isEnough ||= !onOutcome(data);
        send();
      };
      worker.onerror = (event): void => {
        event.preventDefault();
        reject(new Error(`a simulation failed: ${event.message}`));
      };
      for (let count = 0; count < AHEAD; count++) send();
      await promise;
    } finally {
      worker.terminate();
    }
  });
  await Promise.all(workers);
}
