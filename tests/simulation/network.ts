import type { Machine } from "./machine.ts";
import type { Schedule } from "./schedule.ts";
import type { Scheduler } from "./scheduler.ts";

/** What happens to messages, each a share of them from 0 to 1, while there are faults at all. */
export interface Rates {
  /** On the way for up to two seconds, or nine. */
  readonly late: number;
  readonly veryLate: number;
  /** Answers that are lost. */
  readonly loss: number;
  /** Requests that arrive a second time, up to four seconds later. */
  readonly twice: number;
  /** Replicas that lag up to four seconds behind. */
  readonly stale: number;
  /** Answers of one who was the stream's leader until three seconds ago. */
  readonly staleLeader: number;
  /** Commands that are on the way for up to three seconds. */
  readonly lateCommands: number;
  /** Versions of the table that are on their way to the bucket for up to nine seconds. */
  readonly lateTables: number;
  /** Nudges that are lost. */
  readonly nudgeLoss: number;
}

/** The network between machines and servers, and whether the servers answer. */
export class Network {
  /** Until when JetStream answers nobody, and until when nothing passes at all. */
  outage = 0;
  blackout = 0;
  readonly #scheduler: Scheduler;
  readonly #random: () => number;
  readonly #latency: number;
  readonly #rates: Rates;
  readonly #faulty: number;
  readonly #healed: number;

  constructor(
    scheduler: Scheduler,
    random: () => number,
    { rates, latency, faulty, healed }: Pick<Schedule, "rates" | "latency" | "faulty" | "healed">,
  ) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#rates = rates;
    this.#latency = latency;
    this.#faulty = faulty;
    this.#healed = healed;
  }

  get now(): number {
    return this.#scheduler.now;
  }

  get isFaulty(): boolean {
    const { now } = this;
    return now >= this.#faulty && now < this.#healed;
  }

  /** Whether something happens that has this rate. */
  isHit(rate: number): boolean {
    return rate > 0 && this.isFaulty && this.#random() < rate;
  }

  get lateTables(): number {
    return this.#rates.lateTables;
  }

  between(least: number, most: number): number {
    return least + this.#random() * (most - least);
  }

  /** True time as of which a replica answers, or the stream's leader. */
  asOf(isLeader: boolean): number {
    const { now } = this.#scheduler;
    if (isLeader) return this.isHit(this.#rates.staleLeader) ? now - this.between(0, 3_000) : now;
    return this.isHit(this.#rates.stale) ? now - this.between(0, 4_000) : now;
  }

  /**
   * What a server did for a machine; undefined: no answer came in time, and it was done, or was not, or will be. `late`:
   * how often the request itself is.
   */
  request<T>(machine: Machine, timeout: number, act: () => T, late = 0): Promise<T | undefined> {
    const { now } = this.#scheduler;
    return new Promise((resolve) => {
      const cancel = machine.timer(timeout, () => resolve(undefined));
      const answer = (value: T): void =>
        machine.deliver(() => {
          cancel();
          resolve(value);
        });
      const isCut = machine.cut.out > now;
      if (isCut && this.#random() < 0.5) return;
      const way = this.isHit(late) ? this.#late(2_000, 9_000) : this.delay();
      const delay = way + (isCut ? machine.cut.out - now : 0);
      this.#scheduler.after(delay, () => this.#arrive(machine, act, answer));
      if (this.isHit(this.#rates.twice)) {
        const again = delay + this.#late(1, 4_000);
        this.#scheduler.after(again, () => this.#arrive(machine, act, undefined));
      }
    });
  }

  /** Milliseconds on the way. */
  delay(): number {
    const { late, veryLate } = this.#rates;
    if (this.isFaulty && late + veryLate > 0) {
      const which = this.#random();
      if (which < veryLate) return this.#late(2_000, 9_000);
      if (which < veryLate + late) return this.#late(50, 2_000);
    }
    return this.#latency === 0 ? 0 : this.between(0.5, this.#latency);
  }

  /** Milliseconds on the way of a command. */
  delayOfCommand(most: number): number {
    return this.isHit(this.#rates.lateCommands) ? this.#late(50, 3_000) : this.between(0.5, most);
  }

  /** What is late comes before all has healed. */
  #late(least: number, most: number): number {
    return Math.min(this.between(least, most), this.#healed - this.now);
  }

  #arrive<T>(machine: Machine, act: () => T, answer: ((value: T) => void) | undefined): void {
    const { now } = this.#scheduler;
    const away = Math.max(this.outage, this.blackout);
    if (away > now) {
      if (this.#random() < 0.5) return;
      this.#scheduler.after(away - now + this.between(0, 50), () => this.#arrive(machine, act, answer));
      return;
    }
    const value = act();
    if (answer === undefined || this.isHit(this.#rates.loss) || machine.cut.in > now) return;
    this.#scheduler.after(this.delay(), () => answer(value));
  }
}
