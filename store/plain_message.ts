/** The short way for most messages, by their bytes. Any other goes the long one, to a decoder that says what is wrong. */
import { actorTypeOf, encodeToken } from "../actor_id.ts";
import type { Event } from "../event.ts";
import { shardOfToken } from "./shard.ts";
import type { Address, Subjects } from "./subjects.ts";
import { asEvent, HEADER, type Part } from "./wire.ts";

/** A stored message by its bytes. */
export interface MessageBytes {
  readonly sequence: number;
  readonly storedAt: string;
  readonly subject: Uint8Array;
  /** `NATS/1.0`, a line for each header, and an empty line; each ends with CR and LF. */
  readonly headers: Uint8Array;
  readonly payload: Uint8Array;
}

const utf8 = new TextEncoder();
/** Strict decoding costs three times as much on Deno: what this one replaces shows in the text. */
const lenientUtf8 = new TextDecoder();
const REPLACED = "\ufffd";
const DOT = ".".charCodeAt(0);
const ZERO = "0".charCodeAt(0);
const CR = "\r".charCodeAt(0);
const LF = "\n".charCodeAt(0);
const OURS = utf8.encode("Aether-");
const VERSION = utf8.encode(`${HEADER.version}: `);
const PREVIOUS = utf8.encode(`${HEADER.previous}: `);
const EPOCH = utf8.encode(`${HEADER.epoch}: `);

/** Reads the messages of a namespace that are whole commits with events, of actors whose ids need no encoding. */
export class PlainMessages {
  readonly #prefix: string;
  readonly #shards: number;
  /** `<prefix><shard>.` by shard, of those that were met. */
  readonly #beginnings: Uint8Array[] = [];

  constructor(subjects: Subjects, shards: number) {
    this.#prefix = subjects.events.slice(0, -">".length);
    this.#shards = shards;
  }

  /** Undefined if it is another one, or wrong. Whoever asked for one actor's messages knows whose they are. */
  read({ sequence, storedAt, subject, headers, payload }: MessageBytes, known?: Address): Part | undefined {
    const numbers = numbersIn(headers);
    const events = numbers && eventsIn(payload, numbers.version);
    if (numbers === undefined || events === undefined) return undefined;
    const { actorId } = events[0] as Event;
    const shard = known === undefined ? this.#shardIn(subject, actorId) : known.shard;
    if (shard === undefined || actorId !== (known?.actorId ?? actorId)) return undefined;
    const { version, previous, epoch } = numbers;
    return { actorId, shard, sequence, previous, storedAt, version, epoch, deleted: false, part: 1, parts: 1, events };
  }

  /** The shard of an actor, if the subject is the actor's. */
  #shardIn(subject: Uint8Array, actorId: string): number | undefined {
    const shard = shardOfToken(actorId, this.#shards);
    return encodeToken(actorId) === actorId && this.#isSubject(subject, shard, actorId) ? shard : undefined;
  }

  /** Whether it is what `Subjects.ofActor` gives, without making a text of either. */
  #isSubject(subject: Uint8Array, shard: number, actorId: string): boolean {
    const beginning = this.#beginnings[shard] ??= utf8.encode(`${this.#prefix}${shard}.`);
    const { length: type } = actorTypeOf(actorId);
    const typeAt = beginning.length;
    const idAt = typeAt + type + ".".length;
    return subject.length === idAt + actorId.length && subject[idAt - 1] === DOT && startsWith(subject, 0, beginning) &&
      hasText(subject, typeAt, actorId, type) && hasText(subject, idAt, actorId, actorId.length);
  }
}

/** Whether these bytes are the first so many characters of an ASCII text. */
function hasText(bytes: Uint8Array, at: number, text: string, length: number): boolean {
  for (let index = 0; index < length; index++) if (bytes[at + index] !== text.charCodeAt(index)) return false;
  return true;
}

interface Numbers {
  readonly version: number;
  readonly previous: number;
  readonly epoch: number;
}

/** Undefined if one is missing or wrong, or there are other headers of this library. */
function numbersIn(headers: Uint8Array): Numbers | undefined {
  let version = NaN;
  let previous = NaN;
  let epoch = 0;
  for (let at = nextLine(headers, 0); at < headers.length; at = nextLine(headers, at)) {
    if (!startsWith(headers, at, OURS)) continue;
    if (Number.isNaN(version) && startsWith(headers, at, VERSION)) version = numberAt(headers, at + VERSION.length);
    else if (Number.isNaN(previous) && startsWith(headers, at, PREVIOUS)) {
      previous = numberAt(headers, at + PREVIOUS.length);
    } else if (epoch === 0 && startsWith(headers, at, EPOCH)) epoch = numberAt(headers, at + EPOCH.length);
    else return undefined;
  }
  return Number.isNaN(version + previous + epoch) ? undefined : { version, previous, epoch };
}

function nextLine(bytes: Uint8Array, at: number): number {
  while (at < bytes.length && bytes[at] !== LF) at++;
  return at + 1;
}

function startsWith(bytes: Uint8Array, at: number, prefix: Uint8Array): boolean {
  for (let index = 0; index < prefix.length; index++) if (bytes[at + index] !== prefix[index]) return false;
  return true;
}

/** The digits up to the end of the line; NaN if they are no whole number. */
function numberAt(bytes: Uint8Array, begin: number): number {
  let value = 0;
  let at = begin;
  for (; at < bytes.length && bytes[at] !== CR; at++) {
    const digit = (bytes[at] as number) - ZERO;
    if (digit < 0 || digit > 9) return NaN;
    value = value * 10 + digit;
  }
  return at > begin && Number.isSafeInteger(value) ? value : NaN;
}

/** The events of one actor in a payload, at least one and the last of this version; undefined if it is anything else. */
function eventsIn(payload: Uint8Array, version: number): Event[] | undefined {
  const text = lenientUtf8.decode(payload);
  if (text.includes(REPLACED)) return undefined;
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
