import { ActorMessages, type ActorReaderParts } from "./actor_messages.ts";
import { Assembler } from "./assembler.ts";
import { Chain } from "./chain.ts";
import type { Commit, ReadActorOptions } from "./event_store.ts";
import { Extent } from "./extent.ts";
import type { Target } from "./heads.ts";
import { Operation } from "./operation.ts";
import { PlainMessages } from "./plain_message.ts";
import { checkRange, isEmpty, isFromStart, notThisCommit, Selection } from "./range.ts";
import type { ReaderParts } from "./reader_parts.ts";
import { type Found, Search, type Wanted } from "./stretches.ts";
import { VersionCache } from "./version_cache.ts";
import { type Part, partOf, type RawMessage } from "./wire.ts";

/**
 * Reads the commits of one actor, and has the server walk over no more of the stream than about what it gives: first it
 * finds where they lie (`stretches.ts`), then it reads them in order, by what costs the server least where they lie
 * (`actor_messages.ts`). Memory is bounded whatever the history: a few MB of what was met while it was looked for are
 * kept, the rest is read again.
 */
export class History {
  readonly #parts: ActorReaderParts;
  /** Where a commit was last found by its version. */
  readonly #found = new VersionCache(4_096);

  constructor(parts: ReaderParts) {
    const { api, heads, subjects, shards } = parts;
    this.#parts = { ...parts, extent: new Extent(api, heads), plain: new PlainMessages(subjects, shards) };
  }

  /** The commits in the range; of a deleted actor the tombstone only. */
  async *read(target: Target, options: ReadActorOptions): AsyncGenerator<Commit, void, undefined> {
    for await (const lot of this.lots(target, options)) yield* lot;
  }

  /** The same in lots, since an asynchronous step for each costs as much as all the rest. */
  async *lots(target: Target, options: ReadActorOptions): AsyncGenerator<readonly Commit[], void, undefined> {
    const range = checkRange(options);
    const { from: known, signal, consistency = "session" } = options;
    const { heads, timeout } = this.#parts;
    const step = (): Operation => new Operation(timeout, signal);
    const messages = new ActorMessages(this.#parts, target.subject, step);
    const tail = known && consistency === "session" ? await messages.from(known.position) : undefined;
    const end = tail?.at(-1);
    const accepted = end && heads.accept(target, end, range.atLeast);
    const [head, first, from] = accepted ? [accepted, undefined, tail?.[0]] : await Promise.all([
      heads.last(target, consistency, step(), range.atLeast),
      isFromStart(range) ? messages.first() : undefined,
      known && messages.at(known.position),
    ]);
    if (head?.head.deleted) return yield [tombstone(messages.part(head.message))];
    if (known !== undefined && !isEnd(from && messages.part(from), known.version)) {
      throw notThisCommit(target.actorId, known);
    }
    if (head === undefined || isEmpty(range)) return;
    for (let last = Math.min(range.last, range.lastCommits);; last *= 4) {
      const wanted = { range, tail: last, last: head.message, first, from };
      const { stretches, isWhole } = accepted && tail ? stretchOf(tail) : await this.#search(messages, wanted);
      const selection = new Selection(range);
      const chain = new Chain(selection, stretches[0]?.isFirst ?? false);
      for (const stretch of stretches) {
        for await (const lot of messages.of(stretch, range)) {
          yield this.#take(messages, lot, chain);
          if (chain.isDone || chain.broken !== undefined) break;
        }
        if (chain.isDone) break;
        if (chain.broken !== undefined || chain.last?.sequence !== stretch.to) {
          return yield [await this.#erased(target, chain.broken ?? chain.last, step())];
        }
      }
      if (isWhole || selection.isFull) return yield selection.end();
    }
  }

  #take(messages: ActorMessages, lot: readonly RawMessage[], chain: Chain): Commit[] {
    const commits: Commit[] = [];
    for (const message of lot) {
      const commit = chain.add(messages.part(message));
      if (commit !== undefined) commits.push(commit);
      if (chain.isDone || chain.broken !== undefined) break;
    }
    return commits;
  }

  /**
   * The commit that covers a version, at or before the actor's last message; undefined if it is not stored. From where the
   * one before it was found, if it was: whoever repeats an import asks in order.
   */
  async covering(target: Target, version: number, last: number, operation: Operation): Promise<Located | undefined> {
    const messages = new ActorMessages(this.#parts, target.subject, () => operation);
    const before = this.#found.get(target.actorId);
    const found = before?.version === version - 1 && before.sequence < last
      ? await this.#behind(messages, before.sequence, last)
      : await this.#covering(messages, version, last);
    if (found === undefined || !covers(found.commit, version)) return undefined;
    const { commit: { version: reached, position: sequence } } = found;
    this.#found.forget(target.actorId);
    this.#found.learn(target.actorId, { version: reached, sequence, epoch: 0, deleted: false });
    return found;
  }

  async #covering(messages: ActorMessages, version: number, sequence: number): Promise<Located | undefined> {
    const last = await messages.at(sequence);
    if (last === undefined) return undefined;
    const range = { ...checkRange({ fromVersion: version }), toVersion: version };
    const { stretches } = await this.#search(messages, { range, tail: Infinity, last });
    const assembler = new Assembler();
    for (const stretch of stretches) {
      for await (const lot of messages.of(stretch, range)) {
        for (const message of lot) {
          const part = messages.part(message);
          const commit = assembler.add(part);
          if (commit !== undefined && commit.version >= version) return locatedOf(commit, part);
        }
      }
    }
    return undefined;
  }

  async #behind(messages: ActorMessages, sequence: number, last: number): Promise<Located | undefined> {
    const assembler = new Assembler();
    for (let next = sequence + 1; next <= last;) {
      const message = await messages.next(next);
      if (message === undefined) return undefined;
      const part = messages.part(message);
      const commit = assembler.add(part);
      if (commit !== undefined && commit.events.length > 0) return locatedOf(commit, part);
      next = part.sequence + 1;
    }
    return undefined;
  }

  /** Where an actor's messages before one of them lie, oldest first, as far as their links tell. */
  async sequencesBefore(subject: string, before: number, signal: AbortSignal | undefined): Promise<number[]> {
    const messages = new ActorMessages(this.#parts, subject, () => new Operation(this.#parts.timeout, signal));
    const [last, first] = await Promise.all([messages.at(before), messages.first()]);
    if (last === undefined) return [];
    const range = checkRange({});
    const sequences: number[] = [];
    for (const stretch of (await this.#search(messages, { range, tail: Infinity, last, first })).stretches) {
      for await (const lot of messages.of(stretch, range)) {
        for (const { sequence } of lot) if (sequence < before) sequences.push(sequence);
      }
    }
    return sequences;
  }

  /** The actor's commit whose last message has this sequence; undefined if none has. */
  async endingAt(subject: string, sequence: number, operation: Operation): Promise<Linked | undefined> {
    const messages = new ActorMessages(this.#parts, subject, () => operation);
    const last = await messages.at(sequence);
    const { part, parts } = last === undefined ? NOTHING : messages.part(last);
    if (last === undefined || part !== parts) return undefined;
    const begins = sequence - parts + 1;
    const others = await Promise.all(Array.from({ length: parts - 1 }, (_, index) => messages.at(begins + index)));
    const assembler = new Assembler();
    let previous = 0;
    for (const message of [...others, last]) {
      if (message === undefined) return undefined; // erased
      const part = messages.part(message);
      if (part.part === 1) previous = part.previous;
      const commit = assembler.add(part);
      if (commit !== undefined) return { commit, begins, previous, epoch: part.epoch };
    }
    return undefined;
  }

  /** The actor's commit whose first message has this sequence; undefined if none has. */
  async beginningAt(subject: string, sequence: number, operation: Operation): Promise<Located | undefined> {
    const messages = new ActorMessages(this.#parts, subject, () => operation);
    const first = await messages.at(sequence);
    const { part, parts } = first === undefined ? NOTHING : partOf(first);
    return part === 1 ? await this.endingAt(subject, sequence + parts - 1, operation) : undefined;
  }

  #search(messages: ActorMessages, wanted: Wanted): Promise<Found> {
    return new Search(messages, wanted).find();
  }

  /** The tombstone of an actor whose history was erased under the reader. Otherwise a commit is broken. */
  async #erased(target: Target, behind: Part | undefined, operation: Operation): Promise<Commit> {
    const { heads, decoder } = this.#parts;
    const last = await heads.last(target, "leader", operation);
    if (last?.head.deleted) return tombstone(decoder.part(last.message));
    const { sequence, part, parts } = behind ?? NOTHING;
    throw decoder.error(
      { sequence, subject: target.subject },
      `messages before or behind ${part}/${parts} are missing`,
    );
  }
}

/** A commit and where it lies. */
export interface Located {
  readonly commit: Commit;
  /** Sequence of its first message. */
  readonly begins: number;
}

/** A commit and what its messages say of it. */
export interface Linked extends Located {
  /** Sequence of the last message of the actor's commit before it. */
  readonly previous: number;
  /** 0 if none. */
  readonly epoch: number;
}

const NOTHING = { sequence: 0, part: 0, parts: 0 } as const;

/** All that follows a message that is known, and that message. */
function stretchOf(messages: readonly RawMessage[]): Found {
  const [from = 0, to = 0] = [messages[0]?.sequence, messages.at(-1)?.sequence];
  return {
    stretches: [{ from, to, versions: messages.length, isFirst: false, isOpen: true, messages }],
    isWhole: true,
  };
}

function locatedOf(commit: Commit, { sequence, parts }: Part): Located {
  return { commit, begins: sequence - parts + 1 };
}

function covers({ events }: Commit, version: number): boolean {
  const [first] = events;
  const last = events.at(-1);
  return first !== undefined && last !== undefined && first.version <= version && version <= last.version;
}

/** Whether it is the end of a commit with this version. */
function isEnd(part: Part | undefined, version: number): boolean {
  return part !== undefined && part.part === part.parts && part.version === version;
}

function tombstone({ actorId, version, sequence: position, storedAt }: Part): Commit {
  return { actorId, version, position, storedAt, events: [], deleted: true };
}
