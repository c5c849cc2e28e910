/** The short way for most messages, by their bytes. Any other goes the long one, to a decoder that says what is wrong. */
import type { Event } from "../event.ts";
import { fnv, FNV_OFFSET } from "./shard.ts";
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
/** The least that the first line has: `NATS/1.0`. */
const STATUS_LINE = 8;
const A = "A".charCodeAt(0);
const LF = "\n".charCodeAt(0);
const CR = "\r".charCodeAt(0);
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
  readText(text: string, message: MessageBytes, known?: Address): Part | undefined {
    const { sequence, storedAt, subjectBytes, data, headersLength } = message;
    const numbers = numbersIn(text, data, headersLength, sequence === 0 ? 0 : NaN);
    const events = numbers && eventsIn(text.slice(headersLength), numbers.version);
    if (numbers === undefined || events === undefined) return undefined;
    const { actorId } = events[0] as Event;
    const shard = known === undefined ? this.#shardIn(subjectBytes, actorId) : known.shard;
    if (shard === undefined || actorId !== (known?.actorId ?? actorId)) return undefined;
    const { version, previous, epoch } = numbers;
    return { actorId, shard, sequence, previous, storedAt, version, epoch, deleted: false, part: 1, parts: 1, events };
  }

  /**
   * The shard of an actor, if the subject is what `Subjects.ofActor` gives for its id, and that needs no encoding: without
   * making a text of the subject, and in one pass over the id, which saves a quarter of what `shardOfToken` and a comparison cost.
   */
  #shardIn(subject: Uint8Array, actorId: string): number | undefined {
    const idAt = subject.length - actorId.length;
    let hash = FNV_OFFSET;
    for (let index = 0; index < actorId.length; index++) {
      const code = actorId.charCodeAt(index);
      if (subject[idAt + index] !== code || LITERAL[code] !== 1) return undefined;
      hash = fnv(hash, code);
    }
    const shard = (hash >>> 0) % this.#shards;
    const beginning = this.#beginnings[shard] ??= utf8.encode(`${this.#prefix}${shard}.`);
    const typeAt = beginning.length;
    const dash = actorId.indexOf("-");
    const type = dash > 0 ? dash : actorId.length; // as `actorTypeOf` has it
    if (typeAt + type + ".".length !== idAt || subject[idAt - 1] !== DOT) return undefined;
    for (let index = 0; index < typeAt; index++) if (subject[index] !== beginning[index]) return undefined;
    for (let index = 0; index < type; index++) if (subject[typeAt + index] !== subject[idAt + index]) return undefined;
    return shard;
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

interface Numbers {
  readonly version: number;
  readonly previous: number;
  readonly epoch: number;
}

/**
 * Undefined if one is missing or wrong, or there are other headers of this library. Characters are looked at as bytes:
 * those of a text cost twice as much on Bun.
 */
function numbersIn(text: string, data: Uint8Array, end: number, previous: number): Numbers | undefined {
  let version = NaN;
  let epoch = 0;
  for (let at = nextLine(data, STATUS_LINE, end); at < end; at = nextLine(data, at, end)) {
    if (data[at] !== A) continue;
    if (Number.isNaN(version) && text.startsWith(VERSION, at)) version = numberAt(data, at += VERSION.length);
    else if (Number.isNaN(previous) && text.startsWith(PREVIOUS, at)) previous = numberAt(data, at += PREVIOUS.length);
    else if (epoch === 0 && text.startsWith(EPOCH, at)) epoch = numberAt(data, at += EPOCH.length);
    else if (text.startsWith(OURS, at)) return undefined;
  }
  return Number.isNaN(version + previous + epoch) ? undefined : { version, previous, epoch };
}

function nextLine(data: Uint8Array, begin: number, end: number): number {
  let at = begin + 1;
  while (at < end && (data[at] !== LF || data[at - 1] !== CR)) at++;
  return at + 1;
}

/** The digits up to the end of the line; NaN if they are no whole number. */
export function numberAt(data: Uint8Array, begin: number): number {
  let value = 0;
  let at = begin;
  for (; data[at] !== CR; at++) {
    const digit = (data[at] ?? NaN) - ZERO;
    if (!(digit >= 0 && digit <= 9)) return NaN;
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
