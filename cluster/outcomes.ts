/** How many answers of one shard are remembered, and how many characters of them. */
const MAX_ANSWERS = 50_000;
const MAX_CHARACTERS = 8 * 1_024 * 1_024;

/** An answer that was given. */
export interface Remembered {
  readonly body: string;
  /** Events were stored: a repetition is told that they were. */
  readonly isStored: boolean;
}

interface Kept extends Remembered {
  readonly expires: number;
}

/**
 * What a shard's owner has answered, by actor and command: a command that comes again, or whose first copy comes late,
 * is answered the same and does not run. Bounded: the oldest go first.
 */
export class Outcomes {
  readonly #kept = new Map<string, Kept>();
  #characters = 0;

  /** How many there are, those that have expired among them. */
  get size(): number {
    return this.#kept.size;
  }

  /** What was answered, if it has not expired at this moment. */
  get(actorId: string, commandId: string, now: number): Remembered | undefined {
    const kept = this.#kept.get(keyOf(actorId, commandId));
    return kept !== undefined && kept.expires > now ? kept : undefined;
  }

  /** Remembers an answer until a moment, or for as long as there is room. */
  set(actorId: string, commandId: string, answer: Remembered, expires: number, now: number): void {
    const key = keyOf(actorId, commandId);
    this.#delete(key);
    this.#kept.set(key, { ...answer, expires });
    this.#characters += answer.body.length;
    for (const [oldest, { expires }] of this.#kept) {
      const isOver = this.#kept.size > MAX_ANSWERS || this.#characters > MAX_CHARACTERS && this.#kept.size > 1;
      if (expires > now && !isOver) break;
      this.#delete(oldest);
    }
  }

  #delete(key: string): void {
    const kept = this.#kept.get(key);
    if (kept === undefined) return;
    this.#kept.delete(key);
    this.#characters -= kept.body.length;
  }
}

function keyOf(actorId: string, commandId: string): string {
  return `${commandId.length} ${commandId}${actorId}`;
}
