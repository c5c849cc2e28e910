import { encodeToken } from "../actor_id.ts";
import { EventDecodeError } from "../errors.ts";
import type { Delivered } from "./delivery.ts";
import { Assembler } from "./assembler.ts";
import type { Commit } from "./event_store.ts";
import { type Filter, letsActor, letsEvents } from "./filter.ts";
import type { Leader } from "./leader.ts";
import { PlainMessages } from "./plain_message.ts";
import type { ReaderParts } from "./reader_parts.ts";
import type { Part, RawMessage } from "./wire.ts";

/** How many messages before the end of the stream are remembered by actor: half of what the cache holds by default. */
const REMEMBERED = 32_768;

/** What is wanted of the stream. */
export interface Wanted {
  /** Only what lies behind this position. */
  readonly after: number;
  /** Only what was stored at this moment or later, in milliseconds since 1970. */
  readonly since: number | undefined;
  readonly filter: Filter;
  /** The end of the stream when the reading began. */
  readonly target: number;
  /** Told of what is no commit; left out, that is thrown. */
  readonly onUndecodable: ((error: EventDecodeError) => void) | undefined;
}

/** Makes commits of the messages of the stream, and errors of those that are none. */
export class CommitReader {
  readonly #parts: ReaderParts;
  readonly #leader: Leader;
  readonly #wanted: Wanted;
  readonly #plain: PlainMessages;
  readonly #assembler = new Assembler();
  /** What was found wrong with the last message. */
  #undecodable: { readonly error: EventDecodeError; readonly message: RawMessage } | undefined;

  constructor(parts: ReaderParts, leader: Leader, wanted: Wanted) {
    this.#parts = parts;
    this.#leader = leader;
    this.#wanted = wanted;
    this.#plain = new PlainMessages(parts.subjects, parts.shards);
  }

  /** Takes the messages in order: the commit that is complete with this one, if it is wanted. */
  take(message: Delivered): Commit | undefined {
    const part = this.#part(message);
    if (part === undefined) return undefined;
    const commit = this.#assembler.add(part);
    if (commit === undefined) return undefined;
    this.#remember(part);
    if (commit.events.length === 0 && !part.deleted) return undefined; // a seal
    return this.#wants(part) ? letsEvents(this.#wanted.filter, commit) : undefined;
  }

  /** There is something that `settle` has to deal with before the next message is taken. */
  get isUnsettled(): boolean {
    return this.#undecodable !== undefined || this.#assembler.broken.length > 0;
  }

  /** Reports what was wrong. */
  async settle(): Promise<void> {
    for (const part of this.#assembler.broken.splice(0)) await this.#reportBroken(part);
    const { error, message } = this.#undecodable ?? {};
    this.#undecodable = undefined;
    if (error !== undefined && message !== undefined && this.#wants(message)) this.#report(error);
  }

  /** Everything stored so far was taken: the end of a commit that is not there by now will not come. */
  async finish(): Promise<void> {
    const { unfinished } = this.#assembler;
    if (unfinished === undefined) return;
    const { sequence, part, parts } = unfinished;
    if (await this.#leader.hasBetween(sequence, sequence - part + parts)) return;
    this.#assembler.giveUp();
    await this.settle();
  }

  #part(message: Delivered): Part | undefined {
    const { subjects, decoder } = this.#parts;
    const { bytes } = message;
    const part = bytes && this.#plain.read(bytes);
    if (part !== undefined) return letsActor(this.#wanted.filter, part.actorId, part.shard) ? part : undefined;
    if (subjects.isFence(message.subject)) return undefined;
    const address = subjects.parse(message.subject);
    if (address !== undefined && !letsActor(this.#wanted.filter, address.actorId, address.shard)) return undefined;
    try {
      return decoder.part(message);
    } catch (error) {
      if (!(error instanceof EventDecodeError)) throw error;
      this.#assembler.giveUp();
      this.#undecodable = { error, message };
      return undefined;
    }
  }

  /** Only the last ones by actor: more than the cache holds would only drive out what was learnt before. */
  #remember({ actorId, version, sequence, epoch, deleted }: Part): void {
    const { heads } = this.#parts;
    if (sequence <= this.#wanted.target - REMEMBERED) heads.saw(sequence);
    else heads.learn(actorId, { version, sequence, epoch, deleted });
  }

  #wants({ sequence, storedAt }: Pick<RawMessage, "sequence" | "storedAt">): boolean {
    const { after, since } = this.#wanted;
    return sequence > after && (since === undefined || Date.parse(storedAt) >= since);
  }

  /** Parts may be missing where an actor's history was erased, and nowhere else. */
  async #reportBroken(part: Part): Promise<void> {
    if (!this.#wants(part) || await this.#leader.hasDeleted(part)) return;
    const { subjects, decoder } = this.#parts;
    const subject = subjects.ofActor(encodeToken(part.actorId), part.shard);
    this.#report(
      decoder.error({ sequence: part.sequence, subject }, `of its commit's ${part.parts} parts some are missing`),
    );
  }

  #report(error: EventDecodeError): void {
    const { onUndecodable } = this.#wanted;
    if (onUndecodable === undefined) throw error;
    onUndecodable(error);
  }
}
