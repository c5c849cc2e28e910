import type { Fence } from "../store/fence.ts";
import type { Clock } from "./clock.ts";
import type { Distribution } from "./distribution.ts";
import { Outcomes } from "./outcomes.ts";
import type { Outcome, Task } from "./task.ts";

/** What commands have to know of who owns what. */
export type Owners = Pick<Distribution, "fence" | "holds" | "fenced">;

/** Makes of an outcome that cannot be told one that says so. */
export type Fitting = (actorId: string, outcome: Outcome) => Outcome;

/** Milliseconds between two looks at whether the shard is still this node's, while its last commands run. */
const LOOK = 25;

/** One stretch of time in which this node takes the commands of a shard. */
export class Tenure {
  readonly fence: Fence;
  /** Also of an earlier stretch under the same fence. */
  readonly outcomes: Outcomes;
  readonly owners: Owners;
  /** An outcome that can be told. */
  readonly fitting: Fitting;
  readonly #running = new Set<Task>();
  readonly #ending = new AbortController();
  #quiet = new AbortController();
  #isOpen = true;

  constructor(fence: Fence, owners: Owners, fitting: Fitting, outcomes = new Outcomes()) {
    this.fence = fence;
    this.owners = owners;
    this.fitting = fitting;
    this.outcomes = outcomes;
  }

  get shard(): number {
    return this.fence.shard;
  }

  /** Whether a command may begin at this very moment. */
  get isOpen(): boolean {
    return this.#isOpen && this.owners.fence(this.shard)?.epoch === this.fence.epoch;
  }

  /** Whether what no write proves may be answered at this very moment: nobody else can own the shard. */
  get holds(): boolean {
    return this.owners.holds(this.fence);
  }

  /** Aborts when the shard is no more this node's: not before what runs could have ended in peace. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /** A store has found the fence of a later owner. */
  fenced(epoch: number): void {
    this.owners.fenced(this.shard, epoch);
  }

  /** A command begins to run. */
  begin(task: Task): void {
    task.isRunning = true;
    this.#running.add(task);
  }

  /** It does not run any more. */
  end(task: Task): void {
    this.#running.delete(task);
    if (this.#running.size === 0) this.#quiet.abort("quiet");
  }

  /** Nothing begins any more. */
  close(): void {
    this.#isOpen = false;
  }

  /** Resolves when nothing runs; what runs on although the shard is lost is answered as unknown. */
  async ended(clock: Clock): Promise<void> {
    while (this.#running.size > 0) {
      if (!this.holds) {
        this.#ending.abort(new DOMException(`Shard ${this.shard} was given up`, "AbortError"));
        for (const task of this.#running) task.settle({ answer: { kind: "unknown" } });
        return;
      }
      if (this.#quiet.signal.aborted) this.#quiet = new AbortController();
      await clock.sleep(LOOK, this.#quiet.signal);
    }
  }
}
