/**
 * The headers of a message without the client's `MsgHdrs`: decoding those costs as much as the JSON of a small event,
 * and readers need few of them.
 */
import type { Msg } from "@nats-io/nats-core";

const ascii = new TextDecoder();

/**
 * A message as it came: its headers (`NATS/1.0`, a status if there is one, a line each, and an empty line), and behind
 * them its payload. Undefined if this version of the client keeps them elsewhere, since no public field gives them: what
 * is done then is slower.
 */
export function insideOf(message: Msg): { readonly data: Uint8Array; readonly headersLength: number } | undefined {
  const { _rdata: data, _msg } = message as Msg & Inside;
  const length = _msg?.hdr;
  if (typeof length !== "number" || !(data instanceof Uint8Array)) return undefined;
  return { data, headersLength: Math.max(0, length) };
}

/** The subject as it came; undefined if this version of the client keeps it elsewhere. */
export function subjectOf(message: Msg): Uint8Array | undefined {
  const subject = (message as Msg & Inside)._msg?.subject;
  return subject instanceof Uint8Array ? subject : undefined;
}

/** The headers as text; empty if the message has none. */
export function headerText(message: Msg): string {
  const inside = insideOf(message);
  if (inside === undefined) return message.headers?.toString() ?? "";
  return ascii.decode(inside.data.subarray(0, inside.headersLength));
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
  readonly _msg?: { readonly hdr?: unknown; readonly subject?: unknown };
}
