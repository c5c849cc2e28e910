/** Actor ids, and how they become tokens of subjects and keys: reversibly, and each in one way only. */
import { InvalidActorIdError } from "./errors.ts";
import { shown } from "./shown.ts";

/** Bytes of an encoded id: a subject with it stays far under the server's line limit of 4,096. */
export const MAX_TOKEN_LENGTH = 512;

const SAFE = /^[A-Za-z0-9_-]+$/;
const CANONICAL = /^(?:[A-Za-z0-9_-]|=[0-9A-F]{2})+$/;
const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Every UTF-8 byte outside `[A-Za-z0-9_-]` becomes `=XX`. */
export function encodeToken(text: string): string {
  if (SAFE.test(text)) return text;
  let token = "";
  for (const byte of utf8.encode(text)) {
    const character = String.fromCharCode(byte);
    token += SAFE.test(character) ? character : `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return token;
}

/** The text of a token; undefined if it is not the one form that {@linkcode encodeToken} gives. */
export function decodeToken(token: string): string | undefined {
  if (SAFE.test(token)) return token;
  if (!CANONICAL.test(token)) return undefined;
  const bytes: number[] = [];
  for (let index = 0; index < token.length; index++) {
    if (token[index] === "=") {
      bytes.push(Number.parseInt(token.slice(index + 1, index + 3), 16));
      index += 2;
    } else bytes.push(token.charCodeAt(index));
  }
  try {
    const text = strictUtf8.decode(Uint8Array.from(bytes));
    return encodeToken(text) === token ? text : undefined;
  } catch {
    return undefined; // not UTF-8
  }
}

/** The part of an id before its first `-`, if that is not empty; else the whole id. */
export function actorTypeOf(actorId: string): string {
  const dash = actorId.indexOf("-");
  return dash > 0 ? actorId.slice(0, dash) : actorId;
}

/**
 * The token of an actor id.
 * @throws {InvalidActorIdError} if it is empty, not text, has lone surrogates, or is over 512 bytes encoded
 */
export function checkActorId(actorId: string): string {
  if (typeof actorId !== "string" || actorId === "") {
    const given = actorId === "" ? "" : `, not ${shown(actorId)}`;
    throw new InvalidActorIdError({ actorId: String(actorId) }, `An actor id is a text that is not empty${given}`);
  }
  // One character is at least one byte: a text of megabytes is refused before it is encoded.
  const token = actorId.length <= MAX_TOKEN_LENGTH && actorId.isWellFormed() ? encodeToken(actorId) : undefined;
  if (token !== undefined && token.length <= MAX_TOKEN_LENGTH) return token;
  const problem = actorId.isWellFormed() ? `is over ${MAX_TOKEN_LENGTH} bytes encoded` : "has lone surrogates";
  const start = actorId.length > 64 ? `${actorId.slice(0, 64)}…` : actorId;
  throw new InvalidActorIdError({ actorId }, `The actor id ${JSON.stringify(start)} ${problem}`);
}
