/** Milliseconds between two looks whether anything was heard; so many in vain are a silence, of 1.5 to 1.75 s. */
const LOOK = 250;
const LOOKS = 7;

/**
 * Notices when nothing was heard for a while. Looks are counted, not time: when this process was busy for seconds, what
 * was sent to it meanwhile is still to be read.
 */
export class Silence {
  readonly #report: (milliseconds: number) => void;
  #looks = 0;
  #since = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** `report` is called once in each silence. */
  constructor(report: (milliseconds: number) => void) {
    this.#report = report;
  }

  /** True from the report until something is heard. */
  get lasts(): boolean {
    return this.#looks >= LOOKS;
  }

  /** From now on it listens. */
  start(): void {
    this.stop();
    this.#looks = 0;
    this.#timer = setInterval(() => this.#look(), LOOK);
  }

  /** Something was heard. */
  end(): void {
    this.#looks = 0;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    if (this.#looks === 0) this.#since = performance.now();
    this.#looks++;
    if (this.#looks === LOOKS) this.#report(performance.now() - this.#since);
  }
}
