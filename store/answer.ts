/** What came back from a server, or did not, and what it means. Pure: no I/O, one table. */
import {
  type AetherError,
  ClosedError,
  LimitReachedError,
  PermissionError,
  StreamConfigError,
  UnavailableError,
} from "../errors.ts";

/** What an answer means to the one who asked. */
export type Meaning =
  /** Another write was first: read again, then decide. */
  | "conflict"
  /** Nothing was stored; in a moment it may be. */
  | "busy"
  /** A part of a batch did not arrive, or was refused; nothing was stored. */
  | "incomplete"
  /** More messages than a batch may have. */
  | "large"
  /** There is no such message. */
  | "none"
  /** There is no such stream. */
  | "gone"
  /** The stream or the account is full. */
  | "limit"
  /** The stream is not set as it was when the store was opened. */
  | "changed"
  /** There is no JetStream. */
  | "off"
  /** Refused for another reason: nothing was stored. */
  | "refused";

/** By `err_code` of the server (nats-server `server/errors.json`). */
const MEANINGS: ReadonlyMap<number, Meaning> = new Map([
  [10071, "conflict"], // wrong last sequence: N
  [10164, "conflict"], // wrong last sequence: on R3 another write of the subject is in flight
  [10008, "busy"], // system temporarily unavailable
  [10009, "busy"], // the cluster cannot handle the request
  [10118, "busy"], // stream is offline
  [10167, "busy"], // too many requests
  [10210, "busy"], // too many batches are open
  [10176, "incomplete"], // batch is incomplete: a message was refused, too many were open, the leader changed
  [10199, "large"], // batch is too large: N
  [10037, "none"], // no message found
  [10043, "none"], // sequence not found
  [10059, "gone"], // stream not found
  [10002, "limit"], // account resources exceeded
  [10023, "limit"], // insufficient resources
  [10028, "limit"], // memory resources exceeded
  [10047, "limit"], // storage resources exceeded
  [10054, "limit"], // message size exceeds the stream's maximum
  [10077, "limit"], // the stream could not store it: maximum messages or bytes exceeded
  [10122, "limit"], // stream maximum bytes exceeds the account's
  [10026, "limit"], // maximum number of consumers reached
  [10027, "limit"], // maximum number of streams reached
  [10039, "off"], // JetStream is not enabled for the account
  [10076, "off"], // JetStream is not enabled
  [10109, "changed"], // the stream is sealed
  [10174, "changed"], // atomic publish is disabled
  [10060, "refused"], // the expected stream does not match: never asked for here
  [10201, "refused"], // a batch with a message id twice: there are no message ids here
]);

const AGAIN: ReadonlySet<Meaning> = new Set(["conflict", "busy", "incomplete"]);

const REMEDY = "Is JetStream on (nats-server -js), for this account too?";

/** Something other than what was asked for. */
export type Failure =
  /** The server answered with an error. */
  | { readonly kind: "answer"; readonly meaning: Meaning; readonly code: number; readonly description: string }
  /** Nobody was there to answer: nothing was stored. */
  | { readonly kind: "absent"; readonly description: string }
  /** No answer: a write may be stored or not. */
  | { readonly kind: "silence"; readonly description: string }
  /** The connection may not use a subject: nothing was stored. */
  | { readonly kind: "forbidden"; readonly subject: string; readonly description: string }
  /** The connection was closed before anything was sent. */
  | { readonly kind: "closed"; readonly description: string };

/** Thrown inside the store, never out of it. */
export class Failed extends Error {
  readonly failure: Failure;

  constructor(failure: Failure, cause?: unknown) {
    super(failure.description, { cause });
    this.failure = failure;
  }
}

/** The meaning of an error that the server answered. */
export function answerOf({ err_code: code, description }: { err_code: number; description: string }): Failure {
  // 10057 is any failed deletion; of a message before the first of the stream it has the text of 10037.
  const meaning = code === 10057 && description === "no message found" ? "none" : MEANINGS.get(code) ?? "refused";
  return { kind: "answer", meaning, code, description: `${description} (${code})` };
}

/** The meaning of an error that the client threw; by name, since there may be several copies of it. */
export function failureOf(error: unknown, subject: string): Failure {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause.name : undefined;
  const description = `${subject}: ${message}`;
  switch (cause ?? name) {
    case "NoResponders":
      return absent(subject);
    case "PermissionViolationError":
      return { kind: "forbidden", subject: forbiddenBy(error) ?? subject, description };
    case "ClosedConnectionError":
    case "DrainingConnectionError":
      return { kind: "closed", description };
    default:
      return { kind: "silence", description };
  }
}

/** The last sequence that a write was refused for, as the server says; NaN if it does not. */
export function lastSequenceOf({ description }: { readonly description: string }): number {
  return Number(/^wrong last sequence: (\d+)/.exec(description)?.[1]);
}

/** How many messages a batch may have, as the server says where there were more; NaN if it does not. */
export function limitOf({ description }: { readonly description: string }): number {
  return Number(/: (\d+) /.exec(description)?.[1]);
}

/** Nobody listens. */
export function absent(subject: string): Failure {
  return { kind: "absent", description: `${subject}: no responders. ${REMEDY}` };
}

/** It may be the subject of the answers. */
function forbiddenBy(error: unknown): string | undefined {
  const { subject, cause } = error as { readonly subject?: unknown; readonly cause?: unknown };
  return typeof subject === "string" ? subject : cause instanceof Error ? forbiddenBy(cause) : undefined;
}

/** Whether a write may do better when it is sent again: it is known not to have been stored this time. */
export function isWorthAnother(failure: Failure): boolean {
  return failure.kind === "absent" || failure.kind === "answer" && AGAIN.has(failure.meaning);
}

/** Whether to ask again: only what reads, or is known not to have been stored. */
export function isPassing(failure: Failure): boolean {
  return failure.kind === "absent" || failure.kind === "silence" ||
    failure.kind === "answer" && failure.meaning === "busy";
}

/** The error that the caller of the store gets. */
export function errorOf(failure: Failure, stream: string, cause?: unknown): AetherError {
  const options = cause === undefined ? undefined : { cause };
  switch (failure.kind) {
    case "forbidden":
      return new PermissionError({ subject: failure.subject }, options);
    case "closed":
      return new ClosedError({ what: "The connection to NATS" }, options);
    case "answer":
      if (failure.meaning === "limit") return new LimitReachedError({ stream, limit: failure.description }, options);
      if (failure.meaning === "gone") return streamGone(stream, options);
      if (failure.meaning === "changed") return streamChanged(stream, failure.description, options);
      return new UnavailableError(
        { reason: failure.meaning === "off" ? `${failure.description}. ${REMEDY}` : failure.description },
        options,
      );
    default:
      return new UnavailableError({ reason: failure.description }, options);
  }
}

/** The error of a namespace that has no stream. */
export function streamGone(stream: string, options?: ErrorOptions): StreamConfigError {
  const differences = [{ setting: "stream", expected: stream, actual: "none" }];
  return new StreamConfigError({ stream, differences }, `There is no stream ${stream}`, options);
}

function streamChanged(stream: string, description: string, options?: ErrorOptions): StreamConfigError {
  const differences = [{ setting: "writes", expected: "allowed", actual: description }];
  return new StreamConfigError(
    { stream, differences },
    `${stream} was changed under the store: ${description}`,
    options,
  );
}
