import type { FramedMessage } from "./nats_frames.ts";

/** Much more than a server needs for one. */
const MAX_PUB_ACK = 4096;

/** Where something on the way between a client and a server is going. */
export type NetworkDirection = "server" | "client";

/** A message on its way between a client and a server. */
export class NetworkMessage {
  /** What a client publishes goes to the server, what it is delivered goes to the client. */
  readonly to: NetworkDirection;
  /** Its subject. */
  readonly subject: string;
  /** Where an answer to it goes, if one is wanted. */
  readonly reply: string | undefined;
  /** Of an answer: the subject of the request, if that went over the same connection not long ago. */
  readonly answerTo: string | undefined;
  /** Which subscription of the client it is delivered to, if it goes to the client. */
  readonly sid: string | undefined;
  /** What it carries, headers apart. */
  readonly payload: Uint8Array;
  readonly #headers: Uint8Array;

  /** From what its frame holds. */
  constructor(to: NetworkDirection, framed: FramedMessage, answerTo: string | undefined) {
    this.to = to;
    this.subject = framed.subject;
    this.reply = framed.reply;
    this.answerTo = answerTo;
    this.sid = framed.sid;
    this.payload = framed.payload;
    this.#headers = framed.headers;
  }

  /** The first value of each of its headers; names have the capitals that they were sent with. */
  get headers(): ReadonlyMap<string, string> {
    const headers = new Map<string, string>();
    for (const line of decode(this.#headers).split("\r\n").slice(1)) {
      const colon = line.indexOf(":");
      const name = line.slice(0, colon);
      if (colon > 0 && !headers.has(name)) headers.set(name, line.slice(colon + 1).trim());
    }
    return headers;
  }

  /** The payload as text. */
  get text(): string {
    return decode(this.payload);
  }

  /** Whether with it JetStream acknowledges to a client that something was stored. */
  get isPubAck(): boolean {
    if (this.payload.length > MAX_PUB_ACK || !this.text.startsWith("{")) return false;
    try {
      const answer = JSON.parse(this.text);
      return typeof answer.stream === "string" && answer.seq > 0 && answer.error === undefined;
    } catch {
      return false;
    }
  }
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
