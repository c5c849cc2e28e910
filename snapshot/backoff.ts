import { UnavailableError } from "../errors.ts";
import type { Operation } from "../store/operation.ts";

/** Milliseconds; doubled up to the second. */
const PAUSE = 2;
const MAX_PAUSE = 200;

/** The pauses of one that loses against others. */
export class Backoff {
  readonly #operation: Operation;
  #pause = 0;

  constructor(operation: Operation) {
    this.#operation = operation;
  }

  /** @throws {UnavailableError} once time is up */
  async pause(): Promise<void> {
    if (this.#operation.remaining <= this.#pause) {
      throw new UnavailableError({ reason: "others were first, until time was up" });
    }
    if (this.#pause > 0) await this.#operation.pause(this.#pause);
    this.#pause = Math.min(2 * this.#pause + PAUSE, MAX_PAUSE);
  }
}
