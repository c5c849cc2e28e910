import type { Clock } from "../../cluster/clock.ts";
import type { Scheduler, Task } from "./scheduler.ts";

/** Milliseconds since 1970 at which every simulation begins. */
export const EPOCH = Date.UTC(2030, 0, 1);
/** Milliseconds that rounding may cost a timer. */
const ROUNDING = 1e-6;
/** Milliseconds that a timer takes at least: who waits for less than can be told apart would wait for ever. */
const TICK = 1e-3;

/** How the clocks of a machine are set. */
export interface ClockSettings {
  /** Of the monotonic clock, to true time. */
  readonly rate: number;
  /** Of the wall clock, in milliseconds. */
  readonly skew: number;
}

/** A process on a machine with clocks of its own. It may be stopped, sleep or die at any moment. */
export class Machine implements Clock {
  /** Whose code runs at this moment. */
  static current: Machine | undefined;

  readonly name: string;
  /** Name and number of this process. */
  readonly life: string;
  /** Until when its messages do not leave it, and none reach it. */
  readonly cut: { out: number; in: number } = { out: 0, in: 0 };
  /** Until when its polls get no answer. */
  stalled = 0;
  readonly #scheduler: Scheduler;
  readonly #rate: number;
  readonly #start: number;
  #skew: number;
  #state: "running" | "paused" | "asleep" | "dead" = "running";
  /** Milliseconds of true time that the monotonic clock has not counted. */
  #lost = 0;
  #asleepAt = 0;
  #waiting: (() => void)[] = [];

  constructor(scheduler: Scheduler, name: string, life: string, { rate, skew }: ClockSettings, start = 1_000) {
    this.#scheduler = scheduler;
    this.name = name;
    this.life = life;
    this.#rate = rate;
    this.#skew = skew;
    this.#start = start;
  }

  get isDead(): boolean {
    return this.#state === "dead";
  }

  /** Whether its monotonic clock stands still. */
  get isAsleep(): boolean {
    return this.#state === "asleep";
  }

  get isRunning(): boolean {
    return this.#state === "running";
  }

  now(): number {
    const time = this.isAsleep ? this.#asleepAt : this.#scheduler.now;
    return this.#start + (time - this.#lost) * this.#rate;
  }

  wall(): number {
    return EPOCH + this.#scheduler.now + this.#skew;
  }

  /** The wall clock is set. */
  step(milliseconds: number): void {
    this.#skew += milliseconds;
  }

  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.timer(milliseconds, () => {
        signal?.removeEventListener("abort", wake);
        resolve();
      });
      const wake = (): void => {
        cancel();
        signal?.removeEventListener("abort", wake);
        resolve();
      };
      signal?.addEventListener("abort", wake);
    });
  }

  /** Runs something after so many milliseconds of the monotonic clock; gives what calls it off. */
  timer(milliseconds: number, ring: () => void): () => void {
    const due = this.now() + milliseconds;
    let task: Task;
    const arm = (): void => {
      const left = Math.max(TICK, due - this.now());
      task = this.#scheduler.after(left / this.#rate, () => this.deliver(check));
    };
    let isOver = false;
    const check = (): void => {
      if (isOver) return;
      if (due - this.now() > ROUNDING) arm(); // it has slept
      else {
        isOver = true;
        ring();
      }
    };
    arm();
    return () => {
      isOver = true;
      task.run = undefined;
    };
  }

  /** Lets the code of this machine run, as soon as it can. */
  deliver(run: () => void): void {
    if (this.#state === "dead") return;
    if (this.#state !== "running") {
      this.#waiting.push(run);
      return;
    }
    Machine.current = this;
    this.#scheduler.touch();
    run();
  }

  /** Stopped, as by SIGSTOP: its clocks run on. */
  pause(): void {
    if (this.#state === "running") this.#state = "paused";
  }

  /** The machine sleeps, and its monotonic clock with it. */
  suspend(): void {
    if (this.#state !== "running") return;
    this.#asleepAt = this.#scheduler.now;
    this.#state = "asleep";
  }

  resume(): void {
    if (this.#state === "dead" || this.#state === "running") return;
    if (this.#state === "asleep") this.#lost += this.#scheduler.now - this.#asleepAt;
    this.#state = "running";
    const waiting = this.#waiting;
    this.#waiting = [];
    // One after the other, so that each is done with before the next.
    for (const run of waiting) this.#scheduler.after(0, () => this.deliver(run));
  }

  crash(): void {
    this.#state = "dead";
    this.#waiting = [];
  }
}
