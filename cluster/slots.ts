/** So many may work at once; the others wait in a queue. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];
  #first = 0;

  constructor(count: number) {
    this.#free = count;
  }

  /** Resolves when it is one's turn. */
  async take(): Promise<void> {
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Gives a turn back: to the one who has waited for longest. */
  give(): void {
    const next = this.#waiting[this.#first];
    if (next === undefined) {
      this.#free++;
      return;
    }
    if (++this.#first > 1_000 || this.#first === this.#waiting.length) {
      this.#waiting.splice(0, this.#first);
      this.#first = 0;
    }
    next();
  }
}
