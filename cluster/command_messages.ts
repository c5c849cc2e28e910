/** What nodes say to each other about commands: JSON, whose version says who understands it. */
import type { Metadata } from "../event.ts";
import { isCommandId } from "../decider/recent_commands.ts";

/** One try of a command. */
export interface CommandMessage {
  readonly actorId: string;
  /** JSON. */
  readonly command: unknown;
  /** The same in every try. */
  readonly commandId: string;
  /** 1, 2, 3, …: which try this is. */
  readonly attempt: number;
  /** Milliseconds that its sender still waits, over all tries. */
  readonly left: number;
  readonly metadata?: Metadata | undefined;
}

/** What an error says of itself where it cannot be thrown. */
export interface Reason {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
}

/** What the owner of a shard, or who was it until a moment ago, answers to a try. */
export type Answer =
  /** What the command gave; absent: undefined. */
  | { readonly kind: "result"; readonly result?: unknown }
  /** It refused, for good. */
  | { readonly kind: "rejected"; readonly reason: Reason }
  /** This try did not run here: another node owns the shard, or nobody. */
  | { readonly kind: "notOwner" }
  /** This try did not run: the store took no writes. */
  | { readonly kind: "unavailable"; readonly reason: string }
  /** This try did not run: so many commands of its actor wait already, or so many actors have something to do. */
  | { readonly kind: "overloaded"; readonly limit: number; readonly of: "commands" | "actors" }
  /** This try did not run: nobody there serves the actor's type. */
  | { readonly kind: "noHandler"; readonly nodeId: string }
  /** This try did not run here: it was not understood. */
  | { readonly kind: "malformed" }
  /** It may have run. */
  | { readonly kind: "unknown" }
  /** It has run, and what it gave cannot be told: the problem says why. */
  | { readonly kind: "untold"; readonly problem: string };

/** Characters of an error's message that are handed on. */
const MAX_MESSAGE = 4_096;

/** A try as it is sent. */
export function encodeCommand(message: CommandMessage): string {
  return JSON.stringify({ v: 1, ...message });
}

/** Undefined for what this version does not understand. */
export function decodeCommand(body: string): CommandMessage | undefined {
  const value = parse(body);
  if (value?.v !== 1) return undefined;
  const { actorId, command, commandId, attempt, left, metadata } = value;
  if (typeof actorId !== "string" || !isCommandId(commandId) || command === undefined) return undefined;
  if (!isNumber(attempt) || !isNumber(left)) return undefined;
  if (metadata !== undefined && !isMetadata(metadata)) return undefined;
  return { actorId, command, commandId, attempt, left, metadata };
}

/** An answer as it is sent. */
export function encodeAnswer(answer: Answer): string {
  return JSON.stringify({ v: 1, ...answer });
}

/** Undefined for what this version does not understand. */
export function decodeAnswer(body: string): Answer | undefined {
  const value = parse(body);
  if (value?.v !== 1 || !isAnswer(value)) return undefined;
  const { v: _, ...answer } = value;
  return answer as unknown as Answer;
}

/** The answer to a command that was executed before, with the same id. */
export function asDuplicate(body: string): string {
  const value = parse(body);
  const result = value?.result;
  if (value === undefined || !isObject(result)) return body;
  return JSON.stringify({ ...value, result: { ...result, duplicate: true } });
}

/** Of whatever was thrown. */
export function reasonOf(error: unknown): Reason {
  try {
    if (!isObject(error) || !("message" in error)) return { name: "Error", message: shortened(String(error)) };
    const { name, message, code } = error;
    return {
      name: typeof name === "string" ? shortened(name) : "Error",
      message: shortened(String(message)),
      ...(typeof code === "string" ? { code: shortened(code) } : {}),
    };
  } catch {
    return { name: "Error", message: "What was thrown cannot be read" };
  }
}

function shortened(text: string): string {
  return text.length > MAX_MESSAGE ? `${text.slice(0, MAX_MESSAGE)}…` : text;
}

type Fields = Readonly<Record<string, unknown>>;

function parse(body: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isAnswer({ kind, reason, limit, of, nodeId, problem }: Fields): boolean {
  switch (kind) {
    case "result":
    case "notOwner":
    case "malformed":
    case "unknown":
      return true;
    case "rejected":
      return isObject(reason) && typeof reason.name === "string" && typeof reason.message === "string";
    case "unavailable":
      return typeof reason === "string";
    case "overloaded":
      return isNumber(limit) && (of === "commands" || of === "actors");
    case "noHandler":
      return typeof nodeId === "string";
    case "untold":
      return typeof problem === "string";
    default:
      return false;
  }
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && value >= 0;
}

function isMetadata(value: unknown): value is Metadata {
  return isObject(value) && Object.values(value).every((text) => typeof text === "string");
}

const utf8 = new TextEncoder();

/** Bytes of a text, if they are more than allowed; else undefined. */
export function excessOf(body: string, limit: number): number | undefined {
  if (body.length * 3 <= limit) return undefined; // no character takes more
  const { length } = utf8.encode(body);
  return length > limit ? length : undefined;
}
