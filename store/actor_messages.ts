import { OrderedConsumer } from "./consumer.ts";
import type { Batch } from "./direct_get.ts";
import type { Extent } from "./extent.ts";
import type { Operation } from "./operation.ts";
import type { PlainMessages } from "./plain_message.ts";
import type { Range } from "./range.ts";
import type { ReaderParts } from "./reader_parts.ts";
import type { Stretch } from "./stretches.ts";
import type { Address } from "./subjects.ts";
import type { Part, RawMessage } from "./wire.ts";

/** Messages of one batch: while it is answered the server stores nothing, and ten take as long as one request. */
export const MAX_BATCH = 1_024;
const MAX_BATCH_BYTES = 4 * 1_048_576;
/** Versions from which on a consumer is faster, though it has to be made and removed. */
const MANY = 500;
/** Messages that are read at once where each comes by a request of its own. */
const LOT = 512;
/** Requests under way at once where each gives one message. */
const LANES = 32;
/** Messages that one lane reads one after another, about. */
const LANE = 16;
const NEVER = new AbortController().signal;

/** Messages that are asked for behind one that is known, on trust: more than there are events between two snapshots. */
const TAIL = 128;

/** What readers of one actor need. */
export interface ActorReaderParts extends ReaderParts {
  readonly extent: Extent;
  readonly plain: PlainMessages;
}

/**
 * One actor's messages by the ways that the server has, each with what it costs the server. What a replica lacks comes
 * from the leader.
 */
export class ActorMessages {
  readonly #parts: ActorReaderParts;
  readonly #subject: string;
  readonly #address: Address | undefined;
  readonly #step: () => Operation;

  /** `step` gives the time that a request may take. */
  constructor(parts: ActorReaderParts, subject: string, step: () => Operation) {
    this.#parts = parts;
    this.#subject = subject;
    this.#address = parts.subjects.parse(subject);
    this.#step = step;
  }

  /** A message, understood. */
  part(message: RawMessage): Part {
    const { plain, decoder } = this.#parts;
    return message.bytes && plain.read(message.bytes, this.#address) || decoder.part(message);
  }

  /** How long the stream is. */
  async extent(): Promise<Extent> {
    await this.#parts.extent.refresh(this.#step());
    return this.#parts.extent;
  }

  /** The messages of a stretch in order, as far as they are wanted, in lots. */
  async *of(stretch: Stretch, range: Range): AsyncGenerator<readonly RawMessage[]> {
    const { from, to, isFirst, isOpen, messages } = stretch;
    if (messages !== undefined) return yield messages;
    const count = Math.min(stretch.versions, range.limit, range.toVersion);
    let next = from;
    if (isFirst && isOpen) {
      const isMost = count >= MANY && 2 * count >= stretch.versions && range.toPosition >= to;
      const lots = isMost ? this.#all(to) : [await this.batch(1, count)];
      for await (const lot of lots) {
        yield upTo(lot, to);
        next = Math.max(next, (lot.at(-1)?.sequence ?? 0) + 1);
      }
    }
    const width = Math.ceil(LOT * (to - from + 1) / stretch.versions);
    while (next <= to) {
      const end = Math.min(to, next + width - 1);
      const batch = isOpen && (await this.extent()).endsBehind(next) ? await this.batch(next, count) : [];
      const lot = batch.length > 0 ? batch : await this.#between(next, end, Math.min(count, LOT));
      yield upTo(lot, to);
      next = batch.length > 0 ? (lot.at(-1)?.sequence ?? end) + 1 : end + 1;
    }
  }

  /** The actor's first message, if the replica that answers has one. No walk: the server knows where it lies. */
  async first(): Promise<RawMessage | undefined> {
    const operation = this.#step();
    return await this.#parts.api.reading(operation, () => this.#parts.direct.next(this.#subject, 1, operation));
  }

  /** The message at a sequence, if it is the actor's. No walk. */
  async at(sequence: number): Promise<RawMessage | undefined> {
    if (sequence < 1) return undefined; // the server takes 0 for no request at all
    const { api, direct } = this.#parts;
    const operation = this.#step();
    const message = await api.reading(operation, async () => {
      return await direct.at(sequence, operation) ?? await api.get({ seq: sequence }, operation);
    });
    return message?.subject === this.#subject ? message : undefined;
  }

  /**
   * The message at a sequence and all that a replica has behind it, in one request: where that is near the end of the
   * stream, and few. Undefined where it is not.
   */
  async from(sequence: number): Promise<readonly RawMessage[] | undefined> {
    const { extent } = this.#parts;
    const operation = this.#step();
    if (sequence < 1 || !extent.isKnown(operation) || !extent.endsBehind(sequence)) return undefined;
    const { messages, isAll } = await this.#batch(sequence, TAIL, operation);
    return isAll && messages[0]?.sequence === sequence ? messages : undefined;
  }

  /** The first message from a sequence on. The server walks up to it: only where one is known to be near. */
  async next(sequence: number): Promise<RawMessage | undefined> {
    const { api, direct } = this.#parts;
    const operation = this.#step();
    return await api.reading(operation, async () => {
      return await direct.next(this.#subject, sequence, operation) ??
        await api.get({ seq: sequence, next_by_subj: this.#subject }, operation);
    });
  }

  /**
   * So many messages from a sequence on, fewer if they are large or the replica lags. The server walks up to the last of
   * them; and first it counts how many there are behind the sequence, for which it loads every block up to the end of
   * the stream, or in the first half those from the actor's first message on. That costs nothing only from the actor's
   * first message on, asked for as from 1, and near the end of the stream.
   */
  async batch(sequence: number, count: number): Promise<readonly RawMessage[]> {
    return (await this.#batch(sequence, count, this.#step())).messages;
  }

  #batch(sequence: number, count: number, operation: Operation): Promise<Batch> {
    const { api, direct } = this.#parts;
    const batch = Math.max(1, Math.min(count, MAX_BATCH));
    const request = { seq: sequence, next_by_subj: this.#subject, batch, max_bytes: MAX_BATCH_BYTES };
    return api.reading(operation, () => direct.batch(request, operation));
  }

  /**
   * All messages from one sequence to another, behind which there is one or which has one; about so many. The server
   * walks no further, wherever they lie: each comes by a request of its own, many at once.
   */
  async #between(from: number, to: number, count: number): Promise<readonly RawMessage[]> {
    const lanes = Math.min(LANES, Math.ceil(count / LANE), to - from + 1);
    const width = Math.ceil((to - from + 1) / lanes);
    const found = await Promise.all(Array.from({ length: lanes }, async (_, lane) => {
      const messages: RawMessage[] = [];
      const end = Math.min(to, from + (lane + 1) * width - 1);
      for (let next = from + lane * width; next <= end;) {
        const message = await this.next(next);
        if (message === undefined || message.sequence > end) break;
        messages.push(message);
        next = message.sequence + 1;
      }
      return messages;
    }));
    return found.flat();
  }

  /** All messages up to the one at a sequence, in lots, faster than any other way. The server may walk beyond it. */
  async *#all(to: number): AsyncGenerator<readonly RawMessage[]> {
    const { api, observer, timeout } = this.#parts;
    const { signal = NEVER } = this.#step();
    const consumer = new OrderedConsumer(api, { start: 1, filter: this.#subject, signal, observer });
    try {
      for (let reached = 0; reached < to;) {
        const lot: RawMessage[] = [];
        for (let message = consumer.take(); message !== undefined && reached < to; message = consumer.take()) {
          lot.push(message);
          reached = message.sequence;
        }
        if (lot.length > 0) yield lot;
        else if (consumer.isEmpty) return;
        else await consumer.wait(timeout);
      }
    } finally {
      await consumer[Symbol.asyncDispose]();
    }
  }
}

function upTo(lot: readonly RawMessage[], end: number): readonly RawMessage[] {
  return (lot.at(-1)?.sequence ?? 0) <= end ? lot : lot.filter(({ sequence }) => sequence <= end);
}
