/** The revisions of a key and its chunks, as messages of the bucket's stream. */
import { DirectGet } from "../store/direct_get.ts";
import { Failed } from "../store/answer.ts";
import { erase } from "../store/erase.ts";
import type { JetStreamApi } from "../store/jetstream_api.ts";
import type { Operation } from "../store/operation.ts";
import { publish } from "../store/publish.ts";
import type { StreamInfo } from "../store/stream_config.ts";
import type { RawMessage } from "../store/wire.ts";

const EXPECTED = "Nats-Expected-Last-Subject-Sequence";
const OPERATION = "KV-Operation";
/** Of a marker that the server makes where a value has expired. */
const REASON = "Nats-Marker-Reason";
/** Keys of which is known what this store has seen last. */
const KNOWN = 10_000;
const NOTHING = new Uint8Array();

/** Who is asked: any replica, unless it is behind what this store has seen; or the leader. */
export type Source = "session" | "leader";

/** The last revision of a key. */
export interface Revision {
  readonly sequence: number;
  readonly value: Uint8Array;
  /** It says that there is no value. */
  readonly isMarker: boolean;
}

/** What lies under a key. */
export interface Holdings {
  /** Undefined if there never was one, or it was erased without a marker. */
  readonly last: Revision | undefined;
  /** Whether there are revisions before the last. */
  readonly hasOlder: boolean;
  /** Subjects of chunks. */
  readonly chunks: readonly string[];
}

/** Reads, writes and erases of one bucket. */
export class Revisions {
  readonly #api: JetStreamApi;
  readonly #direct: DirectGet;
  /** By subject: the last sequence that was seen, so that no lagging replica takes back what was. */
  readonly #seen = new Map<string, number>();

  constructor(api: JetStreamApi) {
    this.#api = api;
    this.#direct = new DirectGet(api);
  }

  /** The last revision; undefined if there is none. */
  async last(subject: string, source: Source, operation: Operation): Promise<Revision | undefined> {
    if (source === "session") {
      const message = await this.#api.reading(operation, () => this.#direct.last(subject, operation));
      if ((message?.sequence ?? 0) >= (this.#seen.get(subject) ?? 0)) return this.#revision(subject, message);
    }
    const message = await this.#api.reading(operation, () => this.#api.get({ last_by_subj: subject }, operation));
    return this.#revision(subject, message);
  }

  /** All that lies under a key, as of one moment or later than that at which its last revision was read. */
  async holdings(subject: string, source: Source, operation: Operation): Promise<Holdings> {
    const [last, own, chunks] = await Promise.all([
      this.last(subject, source, operation),
      this.#count(subject, operation),
      this.#count(`${subject}.>`, operation),
    ]);
    const sequence = last?.sequence ?? 0;
    // Counted before the last revision was there, a count may miss what this pushed back.
    const counted = own.last >= sequence ? own : await this.#count(subject, operation, sequence);
    return {
      last,
      hasOlder: last !== undefined && (counted.subjects[subject] ?? 0) > 1,
      chunks: Object.keys(chunks.subjects),
    };
  }

  /** The subjects of the chunks that are there. */
  async chunks(subject: string, operation: Operation): Promise<string[]> {
    return Object.keys((await this.#count(`${subject}.>`, operation)).subjects);
  }

  /** A message by its sequence, if it is of this subject. */
  async at(subject: string, sequence: number, source: Source, operation: Operation): Promise<Uint8Array | undefined> {
    const message = await this.#api.reading(
      operation,
      () => source === "leader" ? this.#api.get({ seq: sequence }, operation) : this.#direct.at(sequence, operation),
    );
    return message?.subject === subject ? message.payload : undefined;
  }

  /**
   * Stores a revision onto the one with a sequence, 0 for none; undefined means a conflict: another is the last, which
   * may be this one after a lost answer. It can be sent any number of times, since it is stored onto that one only.
   */
  async put(
    subject: string,
    value: Uint8Array,
    expected: number,
    operation: Operation,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<number | undefined> {
    const message = { subject, payload: value, headers: { ...headers, [EXPECTED]: String(expected) } };
    try {
      const sequence = await this.#api.reading(operation, async () => {
        try {
          return await publish(this.#api, [message], operation, false);
        } catch (error) {
          if (error instanceof Failed && isConflict(error)) return 0;
          operation.beMorePatient();
          throw error;
        }
      });
      return sequence === 0 ? undefined : sequence;
    } catch (error) {
      operation.signal?.throwIfAborted();
      throw error;
    }
  }

  /** Says that a key has no value; undefined means a conflict. */
  async putMarker(subject: string, expected: number, operation: Operation): Promise<number | undefined> {
    const sequence = await this.put(subject, NOTHING, expected, operation, { [OPERATION]: "DEL" });
    if (sequence !== undefined) this.saw(subject, sequence);
    return sequence;
  }

  /** Erases one message. */
  async erase(sequence: number, operation: Operation): Promise<void> {
    await erase(this.#api, sequence, operation);
  }

  /** Erases the messages of a subject before a sequence, oldest first. They are looked up: no list of them is believed. */
  async eraseBefore(subject: string, end: number, operation: Operation): Promise<void> {
    const which = { seq: 1, next_by_subj: subject };
    for (;;) {
      const message = await this.#api.reading(operation, () => this.#api.get(which, operation));
      if (message === undefined || message.sequence >= end) return;
      await this.erase(message.sequence, operation);
    }
  }

  /** A store does not forget what it has stored or seen, whatever a lagging replica says. */
  saw(subject: string, sequence: number): void {
    const known = this.#seen.get(subject) ?? 0;
    this.#seen.delete(subject); // and to the young end
    this.#seen.set(subject, Math.max(known, sequence));
    if (this.#seen.size <= KNOWN) return;
    for (const [oldest] of this.#seen) {
      this.#seen.delete(oldest);
      return;
    }
  }

  #revision(subject: string, message: RawMessage | undefined): Revision | undefined {
    if (message === undefined) return undefined;
    const { sequence, payload } = message;
    this.saw(subject, sequence);
    const isMarker = payload.length === 0 && (message.header(OPERATION) !== "" || message.header(REASON) !== "");
    return { sequence, value: payload, isMarker };
  }

  /** How many messages each subject has, on a server that has everything up to a sequence. */
  async #count(
    filter: string,
    operation: Operation,
    upTo = 0,
  ): Promise<{ readonly subjects: Readonly<Record<string, number>>; readonly last: number }> {
    return await this.#api.reading(operation, async () => {
      const { state } = await this.#api.call<StreamInfo>("STREAM.INFO", { subjects_filter: filter }, operation);
      if (state.last_seq >= upTo) return { subjects: state.subjects ?? {}, last: state.last_seq };
      throw new Failed({ kind: "absent", description: `${this.#api.stream} ends before message ${upTo}` });
    });
  }
}

function isConflict({ failure }: Failed): boolean {
  return failure.kind === "answer" && failure.meaning === "conflict";
}
