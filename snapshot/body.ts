/** A state and the bytes that are stored of it. */
import { type BodyFacts, Untrusted } from "./envelope.ts";

const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

type Bytes = Uint8Array<ArrayBuffer>;

/** What is stored of a state. */
export interface Body {
  readonly facts: BodyFacts;
  readonly bytes: Bytes;
}

/** The bytes of a state, compressed if there are more than so many and it makes them fewer. */
export async function pack(state: unknown, compressAbove: number): Promise<Body> {
  const plain = utf8.encode(JSON.stringify(state));
  const size = plain.length;
  const zipped = size > compressAbove ? await through(plain, new CompressionStream("gzip"), size) : undefined;
  const bytes = zipped ?? plain;
  const encoding = zipped === undefined ? "identity" : "gzip";
  return { facts: { encoding, size, checksum: checksumOf(bytes) }, bytes };
}

/**
 * The state of what is stored.
 * @throws {Untrusted}
 */
export async function unpack({ encoding, size, checksum }: BodyFacts, bytes: Bytes): Promise<unknown> {
  if (checksumOf(bytes) !== checksum) throw new Untrusted("its checksum is another");
  const plain = encoding === "gzip" ? await unzip(bytes, size) : bytes;
  if (plain?.length !== size) throw new Untrusted("its size is another");
  try {
    return JSON.parse(strictUtf8.decode(plain));
  } catch {
    throw new Untrusted("its state is no JSON");
  }
}

async function unzip(bytes: Bytes, size: number): Promise<Bytes | undefined> {
  try {
    return await through(bytes, new DecompressionStream("gzip"), size + 1);
  } catch {
    throw new Untrusted("its state is no gzip");
  }
}

/** What a stream makes of bytes; undefined, as soon as it is known, unless there are fewer than so many. */
async function through(
  bytes: Bytes,
  { readable, writable }: { readonly readable: ReadableStream<Bytes>; readonly writable: WritableStream<Bytes> },
  fewerThan: number,
): Promise<Bytes | undefined> {
  const writer = writable.getWriter();
  // What fails here fails the reading too.
  void writer.write(bytes).catch(() => {});
  void writer.close().catch(() => {});
  const parts: Bytes[] = [];
  let length = 0;
  for await (const part of readable) {
    parts.push(part);
    length += part.length;
    if (length >= fewerThan) return undefined; // and cancels the stream
  }
  return concat(parts, length);
}

/** One after another. */
export function concat(
  parts: readonly Uint8Array[],
  length = parts.reduce((sum, part) => sum + part.length, 0),
): Bytes {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** CRC-32, as in gzip and zip. Web Crypto's digests are asynchronous, and cost a load more than the request does. */
function checksumOf(bytes: Bytes): string {
  let crc = -1;
  for (const byte of bytes) crc = (crc >>> 8) ^ (CRC[(crc ^ byte) & 0xff] as number);
  return (~crc >>> 0).toString(16).padStart(8, "0");
}

const CRC = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});
