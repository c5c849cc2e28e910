/** How many answers of one shard are remembered, and how many characters of them: of each generation half as many. */
const MAX_ANSWERS = 50_000;
const MAX_CHARACTERS = 8 * 1_024 * 1_024;
/** Milliseconds before the next generation begins, if it may. */
const GENERATION = 20_000;

/** An answer that was given. */
export interface Remembered {
  readonly body: string;
  /** Events were stored: a repetition is told that they were. */
  readonly isStored: boolean;
}

interface Kept extends Remembered {
  readonly expires: number;
}

/** Answers of some stretch of time: forgotten all at once, since a map whose oldest entries go one by one grows slow. */
class Generation {
  readonly kept = new Map<string, Kept>();
  readonly since: number;
  characters = 0;
  /** When the last of them expires. */
  until = -Infinity;

  constructor(since: number) {
    this.since = since;
  }

  get isFull(): boolean {
    return this.kept.size >= MAX_ANSWERS / 2 || this.characters >= MAX_CHARACTERS / 2;
  }
}

/**
 * What a shard's owner has answered, by actor and command: a command that comes again, or whose first copy comes late,
 * is answered the same and does not run. Bounded: the oldest go first.
 */
export class Outcomes {
  #young = new Generation(0);
  #old = new Generation(0);

  /** How many there are, those that have expired among them. */
  get size(): number {
    return this.#young.kept.size + this.#old.kept.size;
  }

  /** What was answered, if it has not expired at this moment. */
  get(actorId: string, commandId: string, now: number): Remembered | undefined {
    const key = keyOf(actorId, commandId);
    const kept = this.#young.kept.get(key) ?? this.#old.kept.get(key);
    return kept !== undefined && kept.expires > now ? kept : undefined;
  }

  /** Remembers an answer until a moment, or for as long as there is room. */
  set(actorId: string, commandId: string, { body, isStored }: Remembered, expires: number, now: number): void {
    if (this.#young.isFull || now - this.#young.since >= GENERATION && this.#old.until <= now) {
      this.#old = this.#young;
      this.#young = new Generation(now);
    }
    const young = this.#young;
    young.kept.set(keyOf(actorId, commandId), { body, isStored, expires });
    young.characters += body.length;
    young.until = Math.max(young.until, expires);
  }
}

function keyOf(actorId: string, commandId: string): string {
  return `${commandId.length} ${commandId}${actorId}`;
}
