import { quick } from "./aborting.ts";
import { Machine } from "./machine.ts";

let isReplaced = false;

/** Replaces what a simulation must not take from the real world, until it is disposed. */
export function replaceGlobals(random: () => number): Disposable {
  const { setTimeout, clearTimeout, AbortController, AbortSignal } = globalThis;
  const [now, performanceNow, mathRandom, randomUUID] = [Date.now, performance.now, Math.random, crypto.randomUUID];
  if (isReplaced) throw new Error("two simulations at once would share their clocks");
  isReplaced = true;
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0; // errors are part of the play
  const timers = new Map<number, () => void>();
  let count = 0;
  const machine = (): Machine => {
    if (Machine.current === undefined) throw new Error("time was asked for outside of a machine");
    return Machine.current;
  };
  const start = (run: () => void, milliseconds = 0): number => {
    const id = ++count;
    timers.set(id, machine().timer(milliseconds, () => (timers.delete(id), run())));
    return id;
  };
  const stop = (id?: number): void => {
    timers.get(id ?? 0)?.();
    timers.delete(id ?? 0);
  };
  Object.assign(globalThis, { setTimeout: start, clearTimeout: stop, ...quick });
  Date.now = () => machine().wall();
  performance.now = () => machine().now();
  Math.random = random;
  crypto.randomUUID = () =>
    `${hex(random())}-${hex(random())}-${(++count).toString(16)}` as ReturnType<typeof randomUUID>;
  return {
    [Symbol.dispose](): void {
      isReplaced = false;
      Error.stackTraceLimit = stackTraceLimit;
      Object.assign(globalThis, { setTimeout, clearTimeout, AbortController, AbortSignal });
      Date.now = now;
      performance.now = performanceNow;
      Math.random = mathRandom;
      crypto.randomUUID = randomUUID;
      Machine.current = undefined;
    },
  };
}

function hex(number: number): string {
  return Math.floor(number * 2 ** 32).toString(16).padStart(8, "0");
}
