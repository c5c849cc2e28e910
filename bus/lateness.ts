/** Which announcement comes behind a later one, and which is of a stream that was made anew. */

/**
 * Milliseconds. The clocks of two leaders may differ, so a time alone does not tell. But a server gives up a connection
 * on which nothing moves for 10 seconds: what was overtaken longer ago than that does not come any more.
 */
const OVERTAKEN = 10_000;
/** The same where the time says that it is late. */
const LONG_OVERTAKEN = 60_000;

/** A message that was stored: its sequence, and the time of the leader that took it. */
interface Stored {
  readonly sequence: number;
  readonly storedAt: string;
}

/** The messages of one stream, in the order in which they come. Keeps none of them. */
export class Lateness {
  #first = 0;
  #firstAt = "";
  #latest = 0;
  #latestAt = "";
  /** When the latest came. */
  #came = 0;

  /** The sequence of the last one that was in order. */
  get latest(): number {
    return this.#latest;
  }

  /** `now` in milliseconds of a clock that only goes forward. */
  judge({ sequence, storedAt }: Stored, now: number): "next" | "late" | "anew" {
    const isNext = sequence > this.#latest;
    if (!isNext && !this.#isAnew(sequence, storedAt, now - this.#came)) return "late";
    if (!isNext || this.#first === 0) {
      this.#first = sequence;
      this.#firstAt = storedAt;
    }
    this.#latest = sequence;
    this.#latestAt = storedAt;
    this.#came = now;
    return isNext ? "next" : "anew";
  }

  #isAnew(sequence: number, storedAt: string, overtaken: number): boolean {
    // What has come once does not come with another time, in one stream.
    if (sequence === this.#first) return storedAt !== this.#firstAt;
    if (sequence === this.#latest) return storedAt !== this.#latestAt;
    return overtaken > (storedAt > this.#latestAt ? OVERTAKEN : LONG_OVERTAKEN);
  }
}
