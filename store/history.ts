import type { DirectGet } from "./direct_get.ts";
import type { Commit, ReadActorOptions } from "./event_store.ts";
import type { Heads, Target } from "./heads.ts";
import type { JetStreamApi } from "./jetstream_api.ts";
import type { ReaderParts } from "./reader_parts.ts";
import { Operation } from "./operation.ts";
import { checkRange, notThisCommit, Selection } from "./range.ts";
import { VersionCache } from "./version_cache.ts";
import { Assembler, type Decoder, type Part, partOf, type RawMessage } from "./wire.ts";

/** Messages of one batched Direct Get: few at first, since most actors have few. */
const FIRST_BATCH = 64;
const MAX_BATCH = 1_024;
/** Commits that are followed by their links, one round trip each, before the history is read from its start. */
const NEAR = 8;
const MAX_BATCH_BYTES = 4 * 1_048_576;

/** Reads the commits of one actor. */
export class History {
  readonly #api: JetStreamApi;
  readonly #direct: DirectGet;
  readonly #decoder: Decoder;
  readonly #heads: Heads;
  readonly #timeout: number;
  /** Where a commit was last found by its version. */
  readonly #found = new VersionCache(4_096);

  constructor({ api, direct, decoder, heads, timeout }: ReaderParts) {
    this.#api = api;
    this.#direct = direct;
    this.#decoder = decoder;
    this.#heads = heads;
    this.#timeout = timeout;
  }

  /** The commits in the range; of a deleted actor the tombstone only. */
  async *read(target: Target, options: ReadActorOptions): AsyncGenerator<Commit, void, undefined> {
    const range = checkRange(options);
    const { from, signal, consistency = "session" } = options;
    const last = await this.#heads.last(target, consistency, new Operation(this.#timeout, signal));
    if (last?.head.deleted) return yield tombstone(this.#decoder.part(last.message));
    if (from !== undefined) await this.#checkFrom(target, from, signal);
    if (last === undefined) return;
    const selection = new Selection(range);
    const start = range.afterPosition + 1;
    const end = last.head.sequence;
    const assembler = new Assembler();
    let before: Part | undefined;
    for await (const message of this.#messages(target.subject, start, end, signal)) {
      const part = this.#decoder.part(message);
      // A message that is missing was erased: by a deletion that overtook the reader, or by an operator.
      if (part.part === 1 && !this.#follows(message, part, before, start)) {
        return yield await this.#erased(target, part, signal);
      }
      before = part;
      const { commit, incomplete } = assembler.add(part);
      if (incomplete !== undefined) return yield await this.#erased(target, incomplete, signal);
      const selected = commit && selection.add(commit);
      if (selected !== undefined) yield selected;
      if (commit !== undefined && selection.done(commit)) return yield* selection.end();
    }
    if (end >= start && before?.sequence !== end) return yield await this.#erased(target, before ?? NOTHING, signal);
    yield* selection.end();
  }

  /**
   * The commit that covers a version, at or before the actor's last message; undefined if it is not stored. By back links
   * where it is near; else forwards, from where the last one was found: whoever repeats an import asks in order.
   */
  async covering(target: Target, version: number, last: number, operation: Operation): Promise<Located | undefined> {
    const before = this.#found.get(target.actorId);
    const found = before !== undefined && before.version < version && before.sequence < last
      ? await this.#forwards(target, version, before.sequence + 1, last, operation)
      : await this.#backwards(target, version, last, operation);
    if (found === undefined) return undefined;
    const { commit: { version: reached, position: sequence } } = found;
    this.#found.forget(target.actorId);
    this.#found.learn(target.actorId, { version: reached, sequence, epoch: 0, deleted: false });
    return found;
  }

  async #backwards(target: Target, version: number, last: number, operation: Operation): Promise<Located | undefined> {
    let sequence = last;
    for (let steps = 0; sequence > 0; steps++) {
      if (steps === NEAR) return await this.#forwards(target, version, 1, sequence, operation);
      const located = await this.endingAt(target.subject, sequence, operation);
      if (located === undefined || located.commit.version < version) return undefined;
      if (covers(located.commit, version)) return located;
      sequence = located.previous;
    }
    return undefined;
  }

  async #forwards(
    { subject }: Target,
    version: number,
    start: number,
    end: number,
    { signal }: Operation,
  ): Promise<Located | undefined> {
    const assembler = new Assembler();
    let begins = start;
    for await (const message of this.#messages(subject, start, end, signal, start === 1 ? FIRST_BATCH : 1)) {
      const part = this.#decoder.part(message);
      if (part.part === 1) begins = part.sequence;
      const { commit } = assembler.add(part);
      if (commit !== undefined && commit.version >= version) {
        return covers(commit, version) ? { commit, begins } : undefined;
      }
    }
    return undefined;
  }

  /** The actor's commit whose last message has this sequence; undefined if none has. */
  async endingAt(subject: string, sequence: number, operation: Operation): Promise<Linked | undefined> {
    const last = await this.#get(sequence, operation);
    if (last?.subject !== subject) return undefined;
    const { part, parts } = this.#decoder.part(last);
    if (part !== parts) return undefined;
    const assembler = new Assembler();
    let previous = 0;
    for (let begins = sequence - parts + 1, at = begins; at <= sequence; at++) {
      const message = at === sequence ? last : await this.#get(at, operation);
      if (message?.subject !== subject) return undefined; // erased
      if (at === begins) previous = this.#decoder.previous(message);
      const { commit } = assembler.add(this.#decoder.part(message));
      if (commit !== undefined) return { commit, begins, previous };
    }
    return undefined;
  }

  /** The actor's commit whose first message has this sequence; undefined if none has. */
  async beginningAt(subject: string, sequence: number, operation: Operation): Promise<Located | undefined> {
    const first = await this.#get(sequence, operation);
    const { part, parts } = first?.subject === subject ? partOf(first) : { part: 0, parts: 0 };
    return part === 1 ? await this.endingAt(subject, sequence + parts - 1, operation) : undefined;
  }

  /** The messages of a subject from one sequence to another, both inclusive; what a lagging replica lacks, from the leader. */
  async *#messages(
    subject: string,
    start: number,
    end: number,
    signal?: AbortSignal,
    few = FIRST_BATCH,
  ): AsyncGenerator<RawMessage> {
    let next = start;
    for (let batch = few, pending = 1; pending > 0 && next <= end; batch = Math.min(4 * batch, MAX_BATCH)) {
      const operation = new Operation(this.#timeout, signal);
      const request = { seq: next, next_by_subj: subject, batch, max_bytes: MAX_BATCH_BYTES };
      const answer = await this.#api.reading(operation, () => this.#direct.batch(request, operation));
      const [first] = answer.messages;
      const begins = first === undefined ? next : first.sequence - partOf(first).part + 1;
      if (next === start && begins < start) { // a range that begins inside a commit takes the whole of it
        start = next = begins;
        continue;
      }
      for (const message of answer.messages) {
        if (message.sequence > end) return;
        yield message;
        next = message.sequence + 1;
      }
      pending = answer.pending;
    }
    while (next <= end) {
      const operation = new Operation(this.#timeout, signal);
      const which = { seq: next, next_by_subj: subject };
      const message = await this.#api.reading(operation, () => this.#api.get(which, operation));
      if (message === undefined || message.sequence > end) return;
      yield message;
      next = message.sequence + 1;
    }
  }

  /**
   * Whether nothing is missing between two commits. A stream that was restored by sourcing has other sequences than its
   * back links say: there the versions tell.
   */
  #follows(message: RawMessage, part: Part, before: Part | undefined, start: number): boolean {
    const previous = this.#decoder.previous(message);
    if (before === undefined ? previous < start : previous === before.sequence) return true;
    const first = part.events[0]?.version ?? part.version;
    return before === undefined ? start > 1 || first === 1 : first <= before.version + 1;
  }

  async #checkFrom({ actorId, subject }: Target, from: From, signal?: AbortSignal): Promise<void> {
    const message = await this.#get(from.position, new Operation(this.#timeout, signal));
    const part = message?.subject === subject ? this.#decoder.part(message) : undefined;
    if (part?.version !== from.version || part.part !== part.parts) throw notThisCommit(actorId, from);
  }

  async #get(sequence: number, operation: Operation): Promise<RawMessage | undefined> {
    if (sequence < 1) return undefined; // the server takes 0 for no request at all
    return await this.#api.reading(operation, async () => {
      return await this.#direct.at(sequence, operation) ?? await this.#api.get({ seq: sequence }, operation);
    });
  }

  /** The tombstone of an actor whose history was erased under the reader. Otherwise a commit is broken. */
  async #erased(
    target: Target,
    { sequence, part, parts }: Pick<Part, "sequence" | "part" | "parts">,
    signal?: AbortSignal,
  ): Promise<Commit> {
    const last = await this.#heads.last(target, "leader", new Operation(this.#timeout, signal));
    if (last?.head.deleted) return tombstone(this.#decoder.part(last.message));
    throw this.#decoder.error(
      { sequence, subject: target.subject },
      `messages before or behind ${part}/${parts} are missing`,
    );
  }
}

type From = NonNullable<ReadActorOptions["from"]>;

/** A commit and where it lies. */
export interface Located {
  readonly commit: Commit;
  /** Sequence of its first message. */
  readonly begins: number;
}

interface Linked extends Located {
  /** Sequence of the last message of the actor's commit before it. */
  readonly previous: number;
}

const NOTHING = { sequence: 0, part: 0, parts: 0 } as const;

function covers({ events }: Commit, version: number): boolean {
  const [first] = events;
  const last = events.at(-1);
  return first !== undefined && last !== undefined && first.version <= version && version <= last.version;
}

function tombstone({ actorId, version, sequence: position, storedAt }: Part): Commit {
  return { actorId, version, position, storedAt, events: [], deleted: true };
}
