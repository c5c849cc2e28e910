/** Reads what arrives on the bus subjects of a namespace. */
import type { Msg } from "@nats-io/nats-core";
import { EventDecodeError } from "../errors.ts";
import { toMilliseconds } from "../store/jetstream_api.ts";
import { numberAt, PlainMessages, plainText } from "../store/plain_message.ts";
import { headerIn, headerText, insideOf, subjectOf } from "../store/raw_headers.ts";
import type { Subjects } from "../store/subjects.ts";
import { Decoder, type Part, type RawMessage } from "../store/wire.ts";

const SEQUENCE = "Nats-Sequence";
const TIME = "Nats-Time-Stamp";
const LAST = "Nats-Last-Sequence";
const SEQUENCE_LINE = `\r\n${SEQUENCE}: `;
const TIME_LINE = `\r\n${TIME}: `;
const LAST_LINE = `\r\n${LAST}: `;
/** Characters of a time to the millisecond, without the `Z`. */
const MILLISECONDS = 23;

/** What the server adds when it announces a stored message. */
interface Stored {
  /** 0: nobody has stored it. */
  readonly sequence: number;
  readonly storedAt: string;
  /** The sequence of the last message before it that the actor has, 0 if none. */
  readonly last: number;
}

const NOT_STORED: Stored = { sequence: 0, storedAt: "", last: 0 };

/** Reads messages of one namespace. */
export class BusReader {
  /** Of the message that was read last: the sequence of the actor's message before it, 0 if none. */
  last = 0;
  readonly #subjects: Subjects;
  readonly #plain: PlainMessages;
  readonly #decoder: Decoder;

  constructor(subjects: Subjects, shards: number) {
    this.#subjects = subjects;
    this.#plain = new PlainMessages(subjects, shards, subjects.bus);
    this.#decoder = new Decoder(subjects);
  }

  /**
   * A commit or a part of one; what was published and not stored has the sequence 0.
   * @throws {EventDecodeError} if it is neither
   */
  read(message: Msg): Part {
    return this.#readPlain(message) ?? this.#readAny(message);
  }

  #readPlain(message: Msg): Part | undefined {
    const inside = insideOf(message);
    const subjectBytes = subjectOf(message);
    const text = inside && plainText(inside.data);
    if (inside === undefined || subjectBytes === undefined || text === undefined) return undefined;
    const { data, headersLength } = inside;
    const { sequence, storedAt, last } = storedIn(text, data, headersLength);
    if (Number.isNaN(sequence)) return undefined;
    this.last = last;
    return this.#plain.readText(text, { sequence, storedAt, subjectBytes, data, headersLength });
  }

  #readAny(message: Msg): Part {
    const announced = new Announced(message, this.#subjects);
    this.last = announced.last;
    if (announced.sequence > 0) return this.#decoder.part(announced);
    try {
      if (announced.sequence !== 0) throw new Error(`${SEQUENCE} is no number`);
      const part = this.#decoder.part(announced);
      if (part.parts === 1 && !part.deleted && part.events.length > 0) return part;
      throw new Error("only what is stored has parts, deletes an actor or has no events");
    } catch (cause) {
      const { subject } = message;
      throw new EventDecodeError(
        { stream: this.#subjects.stream, position: 0, subject },
        `A message that was published on ${subject} is no event: ${(cause as Error).message}`,
        { cause },
      );
    }
  }
}

/** The server's own come last, whatever the writer's are. */
function storedIn(text: string, data: Uint8Array, headersLength: number): Stored {
  const at = text.lastIndexOf(SEQUENCE_LINE, headersLength);
  if (at < 0) return NOT_STORED;
  const begins = at + SEQUENCE_LINE.length;
  const sequence = numberAt(data, begins);
  const timeAt = text.indexOf(TIME_LINE, begins);
  const timeBegins = timeAt + TIME_LINE.length;
  const timeEnds = text.indexOf("\r\n", timeBegins);
  const lastAt = text.indexOf(LAST_LINE, begins);
  if (timeAt < 0 || timeAt > headersLength) return { sequence, storedAt: "", last: 0 };
  const time = text.slice(timeBegins, timeEnds);
  return {
    sequence,
    storedAt: time.length > MILLISECONDS + 1 ? `${time.slice(0, MILLISECONDS)}Z` : toMilliseconds(time),
    last: lastAt < 0 || lastAt > headersLength ? 0 : numberAt(data, lastAt + LAST_LINE.length),
  };
}

/** Any message, as if it were read from the stream. */
class Announced implements RawMessage {
  readonly subject: string;
  readonly sequence: number;
  readonly storedAt: string;
  readonly last: number;
  readonly #message: Msg;
  readonly #headers: string;

  constructor(message: Msg, subjects: Subjects) {
    this.subject = subjects.ofAnnounced(message.subject);
    this.#message = message;
    this.#headers = headerText(message);
    const bytes = new TextEncoder().encode(this.#headers); // of other headers than ASCII the places would differ
    const { sequence, storedAt, last } = storedIn(this.#headers, bytes, bytes.length);
    this.sequence = sequence;
    this.storedAt = storedAt;
    this.last = last;
  }

  get payload(): Uint8Array {
    return this.#message.data;
  }

  header(name: string): string {
    return headerIn(this.#headers, name);
  }
}
