/** The callbacks of one subscriber beside its handler: none fails anything, and it is known when all are done. */
import { isThenable, type Report } from "./report.ts";

/** Of one subscription. */
export class Callbacks {
  readonly #report: Report;
  /** All are done. */
  readonly #done: () => void;
  #running = 0;

  constructor(report: Report, done: () => void) {
    this.#report = report;
    this.#done = done;
  }

  /** None runs, and none is about to. */
  get idle(): boolean {
    return this.#running === 0;
  }

  /** `void` functions may be async, and what they reject with is reported too. */
  call(callback: string, work: () => unknown): void {
    try {
      const result = work();
      if (!isThenable(result)) return;
      const settled = Promise.resolve(result);
      this.#running++;
      void settled.catch((error: unknown) => this.#report.failed(callback, error)).then(() => this.#end());
    } catch (error) {
      this.#report.failed(callback, error);
    }
  }

  /** Does it once whoever calls has returned. */
  later(work: () => void): void {
    this.#running++;
    queueMicrotask(() => {
      work();
      this.#end();
    });
  }

  #end(): void {
    if (--this.#running === 0) this.#done();
  }
}
