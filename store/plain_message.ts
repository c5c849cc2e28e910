/** The short way for most messages, by their bytes. Any other goes the long one, to a decoder that says what is wrong. */
import type { Event } from "../event.ts";
import { shardOfToken } from "./shard.ts";
import type { Address, Subjects } from "./subjects.ts";
import { asEvent, HEADER, type Part } from "./wire.ts";

/** A stored message by its bytes. */
export interface MessageBytes {
  readonly sequence: number;
  readonly storedAt: string;
  readonly subjectBytes: Uint8Array;
  /** `NATS/1.0`, a line for each header, and an empty line; each ends with CR and LF. Behind them the payload. */
  readonly data: Uint8Array;
  /** How many of the bytes are headers. */
  readonly headersLength: number;
}

const utf8 = new TextEncoder();
/** Strict decoding costs three times as much on Deno: what this one replaces shows in the text. */
const lenientUtf8 = new TextDecoder();
const REPLACED = "\ufffd";
const DOT = ".".charCodeAt(0);
const ZERO = "0".charCodeAt(0);
const CR = "\r".charCodeAt(0);
const LINE_END = "\r\n";
/** By character code: 1 for what needs no encoding in a token. */
const LITERAL = Uint8Array.from({ length: 128 }, (_, code) => /[A-Za-z0-9_-]/.test(String.fromCharCode(code)) ? 1 : 0);
const OURS = "Aether-";
const VERSION = `${HEADER.version}: `;
const PREVIOUS = `${HEADER.previous}: `;
const EPOCH = `${HEADER.epoch}: `;

/** Reads the messages of a namespace that are whole commits with events, of actors whose ids need no encoding. */
export class PlainMessages {
  readonly #prefix: string;
  readonly #shards: number;
  /** `<prefix><shard>.` by shard, of those that were met. */
  readonly #beginnings: Uint8Array[] = [];

  /** By default where they are stored; or `subjects.bus`, where they are announced. */
  constructor(subjects: Subjects, shards: number, wildcard: string = subjects.events) {
    this.#prefix = wildcard.slice(0, -">".length);
    this.#shards = shards;
  }

  /** Undefined if it is another one, or wrong. Whoever asked for one actor's messages knows whose they are. */
  read(message: MessageBytes, known?: Address): Part | undefined {
    const text = plainText(message.data);
    return text === undefined ? undefined : this.readText(text, message, known);
  }

  /** The same of a message whose text is at hand. One that was never stored has the sequence 0, and no back link. */
  readText(text: string, message: Omit<MessageBytes, "data">, known?: Address): Part | undefined {
    const { sequence, storedAt, subjectBytes, headersLength } = message;
    const numbers = numbersIn(text, headersLength, sequence === 0 ? 0 : NaN);
    const events = numbers && eventsIn(text.slice(headersLength), numbers.version);
    if (numbers === undefined || events === undefined) return undefined;
    const { actorId } = events[0] as Event;
    const shard = known === undefined ? this.#shardIn(subjectBytes, actorId) : known.shard;
    if (shard === undefined || actorId !== (known?.actorId ?? actorId)) return undefined;
    const { version, previous, epoch } = numbers;
    return { actorId, shard, sequence, previous, storedAt, version, epoch, deleted: false, part: 1, parts: 1, events };
  }

  /** The shard of an actor, if the subject is the actor's. */
  #shardIn(subject: Uint8Array, actorId: string): number | undefined {
    const shard = shardOfToken(actorId, this.#shards);
    return this.#isSubject(subject, shard, actorId) ? shard : undefined;
  }

  /** Whether it is what `Subjects.ofActor` gives for an id that needs no encoding, without making a text of either. */
  #isSubject(subject: Uint8Array, shard: number, actorId: string): boolean {
    const beginning = this.#beginnings[shard] ??= utf8.encode(`${this.#prefix}${shard}.`);
    const dash = actorId.indexOf("-");
    const type = dash > 0 ? dash : actorId.length; // as `actorTypeOf` has it
    const typeAt = beginning.length;
    const idAt = typeAt + type + ".".length;
    return subject.length === idAt + actorId.length && subject[idAt - 1] === DOT && startsWith(subject, 0, beginning) &&
      hasToken(subject, typeAt, actorId, type) && hasToken(subject, idAt, actorId, actorId.length);
  }
}

/**
 * Headers and payload at once: a view of either costs more than to decode it. Headers are ASCII, so places agree.
 * Undefined if it may be no UTF-8.
 */
export function plainText(data: Uint8Array): string | undefined {
  const text = lenientUtf8.decode(data);
  return text.includes(REPLACED) ? undefined : text;
}

/** Whether these bytes are the first so many characters of a text, all of which stand for themselves in a token. */
function hasToken(bytes: Uint8Array, at: number, text: string, length: number): boolean {
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index);
    if (bytes[at + index] !== code || LITERAL[code] !== 1) return false;
  }
  return true;
}

interface Numbers {
  readonly version: number;
  readonly previous: number;
  readonly epoch: number;
}

/** Undefined if one is missing or wrong, or there are other headers of this library. */
function numbersIn(text: string, end: number, previous: number): Numbers | undefined {
  let version = NaN;
  let epoch = 0;
  for (let at = nextLine(text, 0); at < end; at = nextLine(text, at)) {
    if (!text.startsWith(OURS, at)) continue;
    if (Number.isNaN(version) && text.startsWith(VERSION, at)) version = numberAt(text, at + VERSION.length);
    else if (Number.isNaN(previous) && text.startsWith(PREVIOUS, at)) previous = numberAt(text, at + PREVIOUS.length);
    else if (epoch === 0 && text.startsWith(EPOCH, at)) epoch = numberAt(text, at + EPOCH.length);
    else return undefined;
  }
  return Number.isNaN(version + previous + epoch) ? undefined : { version, previous, epoch };
}

function nextLine(text: string, at: number): number {
  const end = text.indexOf(LINE_END, at);
  return end < 0 ? Infinity : end + LINE_END.length;
}

function startsWith(bytes: Uint8Array, at: number, prefix: Uint8Array): boolean {
  for (let index = 0; index < prefix.length; index++) if (bytes[at + index] !== prefix[index]) return false;
  return true;
}

/** The digits up to the end of the line; NaN if they are no whole number. */
export function numberAt(text: string, begin: number): number {
  let value = 0;
  let at = begin;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === CR) break;
    const digit = code - ZERO;
    if (digit < 0 || digit > 9) return NaN;
    value = value * 10 + digit;
  }
  return at > begin && Number.isSafeInteger(value) ? value : NaN;
}

/** The events of one actor in a payload, at least one and the last of this version; undefined if it is anything else. */
function eventsIn(text: string, version: number): Event[] | undefined {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(list) || list.length === 0) return undefined;
  let latest = 0;
  for (let index = 0; index < list.length; index++) {
    const event = asEvent(list[index]);
    if (event === undefined || event.version <= latest || event.actorId !== list[0].actorId) return undefined;
    latest = event.version;
    list[index] = event;
  }
  return latest === version ? list : undefined;
}
