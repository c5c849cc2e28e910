/** The NATS protocol as it goes over TCP, cut into its frames. Pure: no I/O. */

const CR_LF_BYTES = 2;
const LINE_FEED = 10;

/** The verbs of frames that carry a message, and the names of the fields between verb and sizes. */
const MESSAGES: Readonly<Record<string, readonly string[] | undefined>> = {
  PUB: ["subject", "reply"],
  HPUB: ["subject", "reply"],
  MSG: ["subject", "sid", "reply"],
  HMSG: ["subject", "sid", "reply"],
};

/** A frame: a line, and behind that of a message its body. */
export interface Frame {
  /** All of it, as it came. */
  readonly bytes: Uint8Array;
  /** `INFO`, `PUB`, …, in capitals. */
  readonly verb: string;
  /** What follows the verb in its line. */
  readonly argument: string;
  /** What it carries, if it is a `PUB`, `HPUB`, `MSG` or `HMSG`. */
  readonly message?: FramedMessage;
}

/** A message in a frame. */
export interface FramedMessage {
  /** Where it goes. */
  readonly subject: string;
  /** Where an answer would go. */
  readonly reply?: string;
  /** The subscription that it is delivered to. */
  readonly sid?: string;
  /** The block of headers as it stands; empty if there is none. */
  readonly headers: Uint8Array;
  /** The payload. */
  readonly payload: Uint8Array;
}

/** Cuts one direction of a connection into frames, however TCP has cut it into chunks. */
export class FrameReader {
  #rest: Uint8Array = new Uint8Array();

  /** The frames that this chunk completes. Throws if it is not the NATS protocol. */
  read(chunk: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    let rest = joined(this.#rest, chunk);
    for (let frame = firstFrame(rest); frame; frame = firstFrame(rest)) {
      frames.push(frame);
      rest = rest.subarray(frame.bytes.length);
    }
    this.#rest = rest;
    return frames;
  }
}

/** The frame by which a server tells about itself. */
export function infoFrame(info: unknown): Uint8Array {
  return new TextEncoder().encode(`INFO ${JSON.stringify(info)}\r\n`);
}

/** The frame that the bytes begin with, if it is complete. */
function firstFrame(bytes: Uint8Array): Frame | undefined {
  const end = bytes.indexOf(LINE_FEED) + 1;
  if (end === 0) return undefined;
  const [, word = "", argument = ""] = /^(\S*)\s*(.*?)\s*$/s.exec(text(bytes.subarray(0, end))) ?? [];
  const verb = word.toUpperCase();
  const names = MESSAGES[verb];
  if (names === undefined) return { bytes: bytes.subarray(0, end), verb, argument };

  const fields = argument.split(/\s+/);
  const size = sizeOf(fields.pop());
  const headerSize = verb.startsWith("H") ? sizeOf(fields.pop()) : 0;
  const length = end + size + CR_LF_BYTES;
  if (bytes.length < length) return undefined;
  return {
    bytes: bytes.subarray(0, length),
    verb,
    argument,
    message: {
      subject: "",
      ...Object.fromEntries(fields.map((field, index) => [names[index], field])),
      headers: bytes.subarray(end, end + headerSize),
      payload: bytes.subarray(end + headerSize, end + size),
    },
  };
}

function sizeOf(field = ""): number {
  if (!/^\d+$/.test(field)) throw new SyntaxError(`not the NATS protocol: ${JSON.stringify(field)} is no size`);
  return Number(field);
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
