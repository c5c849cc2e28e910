import type { ActorMessages } from "./actor_messages.ts";
import { isAbove, type Range } from "./range.ts";
import type { Part, RawMessage } from "./wire.ts";

/** Bytes of messages that are kept when they were met on the way back, so that they are not asked for again. */
const KEPT = 4 * 1_048_576;
/** Commits that are asked for at once on the way back, about, where they are near each other. */
const FEW = 128;
/** Messages in the narrowest step. */
const NARROW = 64;
/** Versions that are read along, wanted or not, since to find out where they begin would cost more. */
const ALONG = 16;
/** Commits that are asked for one by one, where a batch would cost the server more. */
const BY_LINK = 8;

/** A part of the stream in which the messages of an actor lie near each other. */
export interface Stretch {
  /** A sequence before which nothing is wanted. */
  readonly from: number;
  /** The sequence of its last message that may be wanted. */
  readonly to: number;
  /** How many versions are in it, at most; 1 if there are only seals. */
  readonly versions: number;
  /** Nothing of the actor lies before it. */
  readonly isFirst: boolean;
  /** It may be read beyond its end: what follows of the actor, if anything, is near. */
  readonly isOpen: boolean;
  /** All of its messages, if they are known. */
  messages: readonly RawMessage[] | undefined;
}

/** What is looked for, and what is known of it. */
export interface Wanted {
  readonly range: Range;
  /** The actor's last message. */
  readonly last: RawMessage;
  /** The actor's first message, if it is known. */
  readonly first?: RawMessage | undefined;
  /** Another message that is known. */
  readonly from?: RawMessage | undefined;
  /** Only so many events at the end of the range. */
  readonly tail: number;
}

/** What was found. */
export interface Found {
  /** In order. */
  readonly stretches: readonly Stretch[];
  /** They hold all of the range; else only the versions of its tail, in which there may be fewer events. */
  readonly isWhole: boolean;
}

/**
 * Where the messages of a range lie, looked for from the actor's last one backwards, so that nothing is walked over
 * between far ones: those are followed by their links. Among near ones it goes in steps that widen while there are some,
 * up to a block of the server's, so that between any two of a stretch there is no more. Links are trusted where the
 * versions prove them; else all the rest is one stretch, to be scanned.
 */
export class Search {
  readonly #messages: ActorMessages;
  readonly #wanted: Wanted;
  readonly #known: ReadonlyMap<number, RawMessage>;
  /** The stretches that are done, the last one first. */
  readonly #found: Stretch[] = [];
  /** How many of them, from the last one on, keep no messages since there was no room. */
  #emptied = 0;
  #room = KEPT;
  /** Nothing is wanted before this sequence. */
  #lowest: number;
  /** The first version that is wanted, once it is known where the tail ends. */
  #floor: number | undefined;
  /** The oldest message so far, which is in the stretch at hand. */
  #message: RawMessage;
  #part: Part;
  /** An older one, behind which lies the end or the beginning of the range. */
  #low: { readonly message: RawMessage; readonly part: Part } | undefined;
  #along = ALONG;
  /** Of the stretch at hand. */
  #end: Part;
  #isOpen = true;
  #kept: RawMessage[] | undefined;
  #step = 0;

  constructor(messages: ActorMessages, wanted: Wanted) {
    this.#messages = messages;
    this.#wanted = wanted;
    const { range: { afterPosition }, first, from, last } = wanted;
    this.#known = new Map([first, from].flatMap((message) => message ? [[message.sequence, message]] : []));
    this.#lowest = Math.max(afterPosition + 1, first?.sequence ?? 1);
    this.#message = last;
    this.#part = this.#end = messages.part(last);
    this.#kept = [last];
  }

  /** Finds them. */
  async find(): Promise<Found> {
    if (await this.#isNarrow()) return this.#finish(this.#lowest);
    while (!this.#isThere()) {
      if (!await this.#follow()) return this.#finish(await this.#scanned());
    }
    return this.#finish(this.#low === undefined ? this.#part.sequence : this.#low.part.sequence + 1);
  }

  /** All of the actor lies so near that no step is needed. */
  async #isNarrow(): Promise<boolean> {
    const { first, last } = this.#wanted;
    if (first === undefined || this.#part.previous === first.sequence) return false;
    const span = last.sequence - first.sequence;
    if (span <= NARROW) return span > 0;
    const { near, block } = await this.#messages.extent();
    return span <= near || span <= block && span <= this.#part.version * near;
  }

  /** Whether nothing is wanted before the oldest message, or little. Leaves out what lies above the range. */
  #isThere(): boolean {
    const { range, tail } = this.#wanted;
    const { part, sequence, events } = this.#part;
    const isAbove = this.#isAbove(this.#part);
    if (isAbove) this.#leaveOut();
    else this.#floor ??= Math.max(range.fromVersion, this.#part.version - tail + 1);
    if (this.#low !== undefined && this.#isNear(this.#low.part)) {
      if (!isAbove) return true;
      this.#kept = undefined;
      this.#step = 0;
      this.#go(this.#low);
      return this.#isThere();
    }
    if (this.#isBelow(this.#part)) return true;
    if (part === 1) {
      return isFirstOf(this.#part) || (events[0]?.version ?? Infinity) <= (this.#floor ?? 0) ||
        sequence <= this.#lowest;
    }
    this.#lowest = Math.min(this.#lowest, sequence - part + 1); // who wants the end of a commit gets all of it
    return false;
  }

  #isAbove(part: Part): boolean {
    return isAbove(part, this.#wanted.range);
  }

  /** Whether it is the end of a commit of which nothing is wanted, nor of what lies before. */
  #isBelow({ part, parts, version, sequence }: Part): boolean {
    return part === parts && (version < (this.#floor ?? 0) || sequence <= this.#wanted.range.afterPosition);
  }

  /** Whether so little lies behind an older message that it may be read along. */
  #isNear({ version, sequence }: Part): boolean {
    return this.#part.version - version <= this.#along || this.#part.previous === sequence;
  }

  /** To an older message. False if there is none where the link says. */
  async #follow(): Promise<boolean> {
    const { sequence, previous } = this.#part;
    const known = this.#known.get(previous);
    const isFar = known !== undefined || sequence - previous > (await this.#messages.extent()).near;
    const message = known ?? (isFar || await this.#isLinkEnough() ? await this.#messages.at(previous) : undefined);
    const part = message && this.#messages.part(message);
    if (message === undefined || part === undefined || !await this.#isBefore(part)) {
      return (known !== undefined || !isFar) && await this.#stepBack();
    }
    if (isFar) this.#close(sequence, false);
    else this.#kept?.unshift(message);
    this.#go({ message, part });
    if (isFar) this.#begin();
    return true;
  }

  /** Whether so little is wanted that no step is worth while, and a batch would make the server load much. */
  async #isLinkEnough(): Promise<boolean> {
    if (this.#floor === undefined || this.#low !== undefined || this.#part.part > 1) return false;
    return this.#commits <= BY_LINK && !await this.#isBatchCheap(this.#part.previous);
  }

  async #isBatchCheap(sequence: number): Promise<boolean> {
    return this.#isOpen && (await this.#messages.extent()).endsBehind(sequence);
  }

  /** How many commits are wanted from the oldest message on backwards, about. */
  get #commits(): number {
    const { version, events } = this.#part;
    return Math.ceil((version - (this.#floor ?? 0) + 1) / Math.max(1, events.length));
  }

  /** Where all that is left begins, since the links do not tell: with a whole commit. */
  async #scanned(): Promise<number> {
    const message = this.#lowest > 1 ? await this.#messages.next(this.#lowest) : undefined;
    const { sequence = 0, part = 0 } = message === undefined ? {} : this.#messages.part(message);
    this.#low = undefined;
    return part > 1 ? sequence - part + 1 : this.#lowest;
  }

  /** Whether a message is the last one before the oldest so far. */
  async #isBefore({ part, parts, version, sequence }: Part): Promise<boolean> {
    const next = this.#part.events[0]?.version ?? this.#part.version + 1;
    if (part !== parts || version >= next) return false;
    if (version === next - 1) return true;
    // Versions are missing, as an import may have it: only the server knows whether messages are.
    return (await this.#messages.next(sequence + 1))?.sequence === this.#part.sequence;
  }

  async #stepBack(): Promise<boolean> {
    const { sequence, previous } = this.#part;
    const { near, block } = await this.#messages.extent();
    const gap = Math.min(Math.max(1, sequence - previous), near);
    if (this.#step === 0) this.#step = Math.min(Math.max(NARROW, 2 * gap * this.#commits), near);
    const low = this.#low?.part.sequence;
    const step = low === undefined ? this.#step : Math.ceil((sequence - low) / 2);
    const start = Math.max(this.#lowest, (low ?? 0) + 1, Math.min(sequence - step, sequence - gap));
    const areFew = this.#floor !== undefined && low === undefined && step <= FEW * gap;
    const lot = areFew && await this.#isBatchCheap(start) ? await this.#messages.batch(start, 2 * FEW) : [];
    const message = lot[0] ?? await this.#messages.next(start);
    if (message === undefined || message.sequence >= sequence) {
      if (low === undefined) return false;
      this.#along = Infinity; // the link is wrong: all from there on is read
      return true;
    }
    const older = { message, part: this.#messages.part(message) };
    const isAll = (lot.at(-1)?.sequence ?? 0) >= sequence;
    if (isAll) this.#kept?.unshift(...lot.filter((one) => one.sequence < sequence));
    else if (this.#isPast(older.part)) {
      this.#low = older;
      return true;
    } else this.#kept = undefined;
    this.#step = message.sequence - start <= near ? Math.min(4 * this.#step, block) : near;
    this.#go(older);
    return true;
  }

  /** Whether the range ends, or begins, between an older message and the oldest so far, and it matters where. */
  #isPast(older: Part): boolean {
    if (!this.#isAbove(this.#part)) return this.#isBelow(older);
    return this.#wanted.tail < Infinity && !this.#isAbove(older);
  }

  #go({ message, part }: { readonly message: RawMessage; readonly part: Part }): void {
    const isInside = this.#isAbove(this.#part) && !this.#isAbove(part);
    if (isInside || part.sequence <= (this.#low?.part.sequence ?? 0)) this.#low = undefined;
    this.#message = message;
    this.#part = part;
  }

  /** Another stretch, far before the one that was at hand. */
  #begin(): void {
    this.#leaveOut();
    this.#isOpen = false;
    this.#step = 0;
  }

  /** The stretch at hand ends with the oldest message so far. */
  #leaveOut(): void {
    this.#end = this.#part;
    this.#kept = [this.#message];
  }

  /** Puts the stretch at hand to the others, unless all of it lies above the range. */
  #close(from: number, isFirst: boolean): void {
    const isAll = from === this.#part.sequence;
    if (isAll && this.#isAbove(this.#part)) return;
    const before = from < this.#part.sequence
      ? this.#low?.part.version ?? 0
      : this.#part.version - this.#part.events.length;
    const { sequence: to, version } = this.#end;
    const messages = isAll ? this.#kept : undefined;
    const versions = Math.max(1, version - before); // seals have none
    this.#found.push({ from, to, versions, isFirst, isOpen: this.#isOpen, messages });
    this.#room -= sizeOf(messages);
    while (this.#room < 0) {
      const newest = this.#found[this.#emptied++] as Stretch;
      this.#room += sizeOf(newest.messages);
      newest.messages = undefined;
    }
  }

  #finish(from: number): Found {
    const { range } = this.#wanted;
    const isFirst = from < this.#part.sequence
      ? this.#low === undefined && range.afterPosition === 0
      : isFirstOf(this.#part);
    const isWhole = isFirst || (this.#floor ?? 0) <= range.fromVersion || this.#part.sequence <= this.#lowest;
    this.#close(from, isFirst);
    return { stretches: this.#found.reverse(), isWhole };
  }
}

/** Whether an actor begins with it. */
function isFirstOf({ part, previous }: Part): boolean {
  return part === 1 && previous === 0;
}

function sizeOf(messages: readonly RawMessage[] = []): number {
  return messages.reduce((size, { payload }) => size + payload.length, 0);
}
