/**
 * The headers of a message without the client's `MsgHdrs`: decoding those costs as much as the JSON of a small event,
 * and readers need few of them.
 */
import type { Msg } from "@nats-io/nats-core";

const ascii = new TextDecoder();

/**
 * The headers of a message as they came: `NATS/1.0`, a status if there is one, a line each, and an empty line. Undefined
 * if this version of the client keeps them elsewhere, since no public field gives them: what is done then is slower.
 */
export function headerBytes(message: Msg): Uint8Array | undefined {
  const { _rdata: bytes, _msg } = message as Msg & Inside;
  const length = _msg?.hdr;
  if (typeof length !== "number" || !(bytes instanceof Uint8Array)) return undefined;
  return bytes.subarray(0, Math.max(0, length));
}

/** The same as text; empty if the message has none. */
export function headerText(message: Msg): string {
  const bytes = headerBytes(message);
  return bytes === undefined ? message.headers?.toString() ?? "" : ascii.decode(bytes);
}

/** The first value of a header in such a text; empty if it is not there. Names match as they are written. */
export function headerIn(text: string, name: string): string {
  const line = `\r\n${name}:`;
  const found = text.indexOf(line);
  if (found < 0) return "";
  const begins = found + line.length;
  return text.slice(begins, text.indexOf("\r\n", begins)).trim();
}

/** The status of a message in such a text, `code` 0 if it has none: a stored message. */
export function statusIn(text: string): { readonly code: number; readonly description: string } {
  const [, code = "0", description = ""] = /^NATS\/1\.0 +(\d+) *([^\r]*)/.exec(text) ?? [];
  return { code: Number(code), description };
}

/** What the client's message holds: its headers are the first `hdr` bytes. */
interface Inside {
  readonly _rdata?: unknown;
  readonly _msg?: { readonly hdr?: unknown };
}
