/** What a subscription has missed of which actor. */
import type { Gap } from "./event_bus.ts";

/** How many actors are kept; the one that was not met for longest is forgotten. */
const ACTORS = 10_000;

/** Positions of a bounded number of actors. */
export class Gaps {
  /** The last commit that was given. */
  readonly #given = new Map<string, number>();
  /** The first commit that was missed since. */
  readonly #missed = new Map<string, number>();

  missed(actorId: string, position: number): void {
    if (!this.#missed.has(actorId)) keep(this.#missed, actorId, position);
  }

  /** What was missed until now, and is from here on another's to tell: the first position, 0 for nothing. */
  claim(actorId: string): number {
    const position = this.#missed.get(actorId) ?? 0;
    this.#missed.delete(actorId);
    return position;
  }

  /** A commit is given, behind a gap if `missed` is not 0. */
  give(actorId: string, position: number, missed: number): Gap | undefined {
    const given = this.#given.get(actorId);
    this.#given.delete(actorId);
    keep(this.#given, actorId, position);
    return missed === 0 ? undefined : { actorId, afterPosition: given ?? missed - 1, beforePosition: position };
  }
}

/** The last position of each actor that was met, of those that were met last. */
export class Positions {
  readonly #last = new Map<string, number>();

  /** The one before it; undefined if it is not known. */
  replace(actorId: string, position: number): number | undefined {
    const before = this.#last.get(actorId);
    this.#last.delete(actorId);
    keep(this.#last, actorId, position);
    return before;
  }

  /** Of an actor that was not met. */
  begin(actorId: string, position: number): void {
    if (!this.#last.has(actorId)) keep(this.#last, actorId, position);
  }

  clear(): void {
    this.#last.clear();
  }
}

function keep(map: Map<string, number>, actorId: string, position: number): void {
  if (map.size >= ACTORS) map.delete(map.keys().next().value as string);
  map.set(actorId, position);
}
