/** Commits and the messages that carry them. Frozen: events outlive the code (test vectors: `tests/vectors/`). */
import { EventDecodeError } from "../errors.ts";
import { type Event, eventOf } from "../event.ts";
import type { MessageBytes } from "./plain_message.ts";
import type { Address, Subjects } from "./subjects.ts";

/** The headers of a message. */
export const HEADER = {
  /** Version of the last event in this message. */
  version: "Aether-Version",
  /** On a commit's first message: sequence of the last message of the actor's previous commit, 0 if none. */
  previous: "Aether-Previous",
  /** `k/n`, of a commit of several messages. */
  part: "Aether-Part",
  /** `1` on a tombstone. */
  deleted: "Aether-Deleted",
  /** Of the shard's owner that wrote it. */
  epoch: "Aether-Epoch",
  /** Reserved: never in version 1. */
  format: "Aether-Format",
  /** Reserved: never in version 1. */
  encoding: "Aether-Encoding",
} as const;

/** Checked by the server: the sequence of the last message of the subject. */
export const EXPECTED_SEQUENCE = "Nats-Expected-Last-Subject-Sequence";
/** The subject that it is checked of, where that is not the message's own. */
const EXPECTED_SUBJECT = "Nats-Expected-Last-Subject-Sequence-Subject";

/** A message to be stored. */
export interface WireMessage {
  readonly subject: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Uint8Array;
}

/** What is to become one commit. */
export interface NewCommit {
  readonly subject: string;
  readonly events: readonly Event[];
  /** Of the last event; of a tombstone and a seal the actor's. */
  readonly version: number;
  /** Sequence of the last message of the actor's previous commit, 0 if none: the back link and the expectation. */
  readonly previous: number;
  /** 0 if none. */
  readonly epoch: number;
  readonly deleted?: boolean;
  /** Of subjects that are not written. */
  readonly checks?: readonly Check[];
}

/** A subject that must still end at a sequence. */
export interface Check {
  readonly subject: string;
  readonly sequence: number;
}

const utf8 = new TextEncoder();
const EMPTY = utf8.encode("[]");

/** The messages of a commit: one, unless its events take more than `messageSize` bytes or it carries checks. */
export function encodeCommit(commit: NewCommit, messageSize: number): WireMessage[] {
  const { subject, version, previous, epoch, deleted, checks = [] } = commit;
  const rest: Record<string, string> = {};
  if (deleted) rest[HEADER.deleted] = "1";
  if (epoch > 0) rest[HEADER.epoch] = String(epoch);
  const packed = pack(commit.events, messageSize);
  const messages = packed.map(({ payload, version: last }, index): WireMessage => {
    const headers: Record<string, string> = { [HEADER.version]: String(last ?? version), ...rest };
    if (index === 0) headers[HEADER.previous] = headers[EXPECTED_SEQUENCE] = String(previous);
    if (packed.length > 1) headers[HEADER.part] = `${index + 1}/${packed.length}`;
    return { subject, headers, payload };
  });
  return withChecks(messages, checks);
}

/** The messages of a commit, and behind them a part without events for each subject that must still end at a sequence. */
export function withChecks(messages: readonly WireMessage[], checks: readonly Check[]): WireMessage[] {
  const last = messages.at(-1);
  if (last === undefined || checks.length === 0) return [...messages];
  const parts = messages.length + checks.length;
  const { [HEADER.previous]: _, ...rest } = last.headers;
  return [
    ...messages,
    ...checks.map(({ subject, sequence }): WireMessage => {
      const check = { [EXPECTED_SEQUENCE]: String(sequence), [EXPECTED_SUBJECT]: subject };
      return { subject: last.subject, headers: { ...rest, ...check }, payload: EMPTY };
    }),
  ].map(({ subject, headers, payload }, index) => {
    return { subject, headers: { ...headers, [HEADER.part]: `${index + 1}/${parts}` }, payload };
  });
}

interface Packed {
  readonly payload: Uint8Array;
  readonly version: number | undefined;
}

/** Arrays of events that take at most so many bytes; one larger event is an array of its own. */
function pack(events: readonly Event[], messageSize: number): Packed[] {
  const whole = utf8.encode(JSON.stringify(events));
  if (whole.length <= messageSize || events.length === 1) return [{ payload: whole, version: events.at(-1)?.version }];
  const parts: Packed[] = [];
  let texts: string[] = [];
  let size = 2;
  let version: number | undefined;
  for (const event of events) {
    const text = JSON.stringify(event);
    const more = utf8.encode(text).length + (texts.length > 0 ? 1 : 0);
    if (texts.length > 0 && size + more > messageSize) {
      parts.push({ payload: utf8.encode(`[${texts.join(",")}]`), version });
      texts = [];
      size = 2;
    }
    texts.push(text);
    size += more;
    version = event.version;
  }
  parts.push({ payload: utf8.encode(`[${texts.join(",")}]`), version });
  return parts;
}

/** A stored message, however it was read. */
export interface RawMessage {
  readonly subject: string;
  readonly sequence: number;
  /** ISO 8601 with milliseconds. */
  readonly storedAt: string;
  readonly payload: Uint8Array;
  /** Empty if it is not there. */
  header(name: string): string;
  /** What the short way needs, where it is at hand. */
  readonly bytes?: MessageBytes | undefined;
}

/** A stored message, understood: a commit or a part of one. */
export interface Part extends Address {
  readonly sequence: number;
  /** Sequence of the actor's message before it, 0 if none: the back link, and of a later part the part before. */
  readonly previous: number;
  readonly storedAt: string;
  readonly version: number;
  readonly epoch: number;
  readonly deleted: boolean;
  readonly part: number;
  readonly parts: number;
  readonly events: readonly Event[];
}

/** What look-ups need of an actor's last message; no payload is parsed. */
export interface Head {
  readonly version: number;
  /** 0: the actor has no message. */
  readonly sequence: number;
  readonly epoch: number;
  readonly deleted: boolean;
}

/** Of an actor that never was. */
export const NO_HEAD: Head = { version: 0, sequence: 0, epoch: 0, deleted: false };

/** Decodes the messages of one namespace. */
export class Decoder {
  readonly #subjects: Subjects;

  constructor(subjects: Subjects) {
    this.#subjects = subjects;
  }

  /** @throws {EventDecodeError} if it is no message of this format */
  head(message: RawMessage): Head {
    this.#checkReserved(message);
    return {
      version: this.#number(message, HEADER.version),
      sequence: message.sequence,
      epoch: message.header(HEADER.epoch) === "" ? 0 : this.#number(message, HEADER.epoch),
      deleted: message.header(HEADER.deleted) === "1",
    };
  }

  /** @throws {EventDecodeError} if it is no message of this format */
  part(message: RawMessage): Part {
    const head = this.head(message);
    const address = this.#subjects.parse(message.subject) ?? this.#fail(message, "the subject is no actor's");
    const { part, parts } = partOf(message);
    if (!(part >= 1) || part > parts) this.#fail(message, `${HEADER.part} is ${message.header(HEADER.part)}`);
    const events = this.#events(message, address.actorId, head.version);
    const { sequence } = head; // 0: it was announced and never stored
    const previous = part > 1 || sequence === 0 ? Math.max(0, sequence - 1) : this.#number(message, HEADER.previous);
    return { ...address, ...head, previous, storedAt: message.storedAt, part, parts, events };
  }

  /** The error of a message that is no commit. */
  error(
    { sequence, subject }: Pick<RawMessage, "sequence" | "subject">,
    problem: string,
    cause?: unknown,
  ): EventDecodeError {
    const { stream } = this.#subjects;
    return new EventDecodeError(
      { stream, position: sequence, subject },
      `Message ${sequence} of ${stream} is no commit: ${problem}`,
      cause === undefined ? undefined : { cause },
    );
  }

  #fail(message: RawMessage, problem: string, cause?: unknown): never {
    throw this.error(message, problem, cause);
  }

  #checkReserved(message: RawMessage): void {
    for (const reserved of [HEADER.format, HEADER.encoding]) {
      const value = message.header(reserved);
      if (value !== "") this.#fail(message, `${reserved}: ${value} is of a later version of the library`);
    }
  }

  #number(message: RawMessage, name: string): number {
    const text = message.header(name);
    const value = numberIn(text);
    return Number.isSafeInteger(value) ? value : this.#fail(message, `${name} is "${text}"`);
  }

  #events(message: RawMessage, actorId: string, version: number): Event[] {
    let list: unknown;
    try {
      list = JSON.parse(textOf(message.payload));
    } catch (cause) {
      return this.#fail(message, "the payload is not JSON", cause);
    }
    if (!Array.isArray(list)) return this.#fail(message, "the payload is no array");
    let latest = 0;
    for (let index = 0; index < list.length; index++) {
      const event = asEvent(list[index]) ?? this.#fail(message, "the payload holds something that is no event");
      if (event.actorId !== actorId) this.#fail(message, `an event is of ${event.actorId}, the subject of ${actorId}`);
      if (event.version <= latest) this.#fail(message, "the versions do not increase");
      latest = event.version;
      list[index] = event;
    }
    if (latest > 0 && latest !== version) this.#fail(message, `the last event is not of version ${version}`);
    return list;
  }
}

/** A number of digits alone; NaN for anything else. */
function numberIn(text: string): number {
  let value = text === "" ? NaN : 0;
  for (let index = 0; index < text.length; index++) {
    const digit = text.charCodeAt(index) - 48;
    if (digit < 0 || digit > 9) return NaN;
    value = value * 10 + digit;
  }
  return value;
}

/** Which part of its commit a message is. */
export function partOf(message: RawMessage): { readonly part: number; readonly parts: number } {
  const text = message.header(HEADER.part);
  if (text === "") return { part: 1, parts: 1 };
  const [, part = NaN, parts = NaN] = (/^(\d+)\/(\d+)$/.exec(text) ?? []).map(Number);
  return { part, parts };
}

const lenientUtf8 = new TextDecoder();
const strictUtf8 = new TextDecoder("utf-8", { fatal: true });

/** Throws if it is no UTF-8. On Deno the strict decoder takes four times as long as the other. */
function textOf(bytes: Uint8Array): string {
  const text = lenientUtf8.decode(bytes);
  return text.includes("\ufffd") ? strictUtf8.decode(bytes) : text;
}

/** A value of JSON as an event, without the keys that no event has; undefined if it is none. */
export function asEvent(value: unknown): Event | undefined {
  if (!isEvent(value)) return undefined;
  const { id, eventType, actorId, version, data, timestamp, metadata } = value;
  let keys = 0;
  for (const _ in value) keys++;
  // Copying thousands that are kept costs more than all checks together.
  if (keys === (metadata === undefined ? EVENT_KEYS - 1 : EVENT_KEYS)) return value;
  return eventOf(id, eventType, actorId, version, data, timestamp, metadata);
}

const EVENT_KEYS = 7;

/** Whether a value has what an event has. */
function isEvent(value: unknown): value is Event {
  if (typeof value !== "object" || value === null) return false;
  const { id, eventType, actorId, version, timestamp, data, metadata } = value as Partial<Record<keyof Event, unknown>>;
  return typeof id === "string" && typeof eventType === "string" && typeof actorId === "string" &&
    typeof timestamp === "string" && Number.isSafeInteger(version) && data !== undefined &&
    (metadata === undefined || typeof metadata === "object" && metadata !== null);
}
