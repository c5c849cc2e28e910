import { Assembler } from "./assembler.ts";
import type { Commit } from "./event_store.ts";
import type { Selection } from "./range.ts";
import type { Part } from "./wire.ts";

/** An actor's messages in order, put together to the commits that are selected; it notices where one is missing. */
export class Chain {
  readonly #selection: Selection;
  readonly #isWhole: boolean;
  readonly #assembler = new Assembler();
  #hasBegun: boolean;
  /** The last message so far. */
  last: Part | undefined;
  /** A message that has not before it, or behind it, what must be there. Nothing is taken from it on. */
  broken: Part | undefined;
  /** No later message is wanted. */
  isDone = false;

  /** Whether it begins with the actor's first message. */
  constructor(selection: Selection, isWhole: boolean) {
    this.#selection = selection;
    this.#isWhole = this.#hasBegun = isWhole;
  }

  /** Takes the next message; the commit that is complete with it, if it is selected. */
  add(part: Part): Commit | undefined {
    const { last } = this;
    this.last = part;
    this.#hasBegun ||= part.part === 1;
    if (!this.#hasBegun) return undefined; // the end of what lies before the range
    const isMissing = part.part === 1 && !this.#follows(part, last);
    const commit = this.#assembler.add(part);
    this.broken = isMissing ? part : this.#assembler.broken[0];
    if (commit === undefined || this.broken !== undefined) return undefined;
    const selected = this.#selection.add(commit);
    this.isDone = this.#selection.done(commit);
    return selected;
  }

  /** A stream that was restored by sourcing has other sequences than its links say: there the versions tell. */
  #follows({ previous, version, events: [first] }: Part, last: Part | undefined): boolean {
    if (last === undefined) return !this.#isWhole || previous === 0 || first?.version === 1;
    return previous === last.sequence || (first?.version ?? version) <= last.version + 1;
  }
}
