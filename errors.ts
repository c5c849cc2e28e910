/**
 * Every error that the library throws. Each has a stable `code`; its facts are fields, not text.
 * @module
 */
import { pathText } from "./json.ts";

/** A problem that a schema found: an issue of Standard Schema v1 (standardschema.dev). */
export interface StandardIssue {
  /** What is wrong, for people. */
  readonly message: string;
  /** Where in the value it is wrong. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** A setting that is not as it must be. */
export interface Difference {
  /** Its name, as the server or the cluster calls it. */
  readonly setting: string;
  /** What it must be. */
  readonly expected: string;
  /** What it is. */
  readonly actual: string;
}

/** The fields of each error, by its stable code. Codes of which there is no class are of parts that are still to come. */
export interface ErrorFields {
  /** Another writer was first. */
  VERSION_CONFLICT: {
    readonly actorId: string;
    readonly expectedVersion: number | "exists";
    readonly actualVersion: number;
  };
  /** The write was sent and nobody knows whether it was stored. */
  UNKNOWN_OUTCOME: {
    readonly actorIds: readonly string[];
    readonly eventIds: readonly string[];
    readonly expectedVersion?: number | undefined;
    readonly commandId?: string | undefined;
  };
  /** The actor was deleted and may not come back. */
  ACTOR_DELETED: { readonly actorId: string; readonly deletedAtVersion: number };
  /** One event is larger than a message may be; both in bytes. */
  EVENT_TOO_LARGE: { readonly size: number; readonly limit: number };
  /** A field of an event is not what it must be. */
  INVALID_EVENT: { readonly path: string };
  /** Empty, too long or not text. */
  INVALID_ACTOR_ID: { readonly actorId: string };
  /** Not 1 to 64 characters of `A-Za-z0-9_-`. */
  INVALID_NAMESPACE: { readonly namespace: string };
  /** An event does not fit its schema. */
  SCHEMA: {
    readonly eventType: string;
    readonly actorId: string;
    readonly version?: number;
    readonly issues: readonly StandardIssue[];
  };
  /** A stored message is no commit. */
  EVENT_DECODE: { readonly stream: string; readonly position: number; readonly subject: string };
  /** Another instance moved the checkpoint. */
  CHECKPOINT_CONFLICT: { readonly projection: string; readonly expected: number; readonly actual: number };
  /** Another node has taken the shard over. */
  FENCED: { readonly shard: number; readonly epoch: number };
  /** The lease does not certainly hold any more. */
  LEADERSHIP_LOST: { readonly token: number };
  /** Nobody took the command of a shard in time. */
  NO_OWNER: { readonly shard: number; readonly nodeId?: string };
  /** The commits of a transaction make no sense together. */
  INVALID_TRANSACTION: { readonly actorIds: readonly string[] };
  /** More messages than the server takes in one batch. */
  BATCH_TOO_LARGE: { readonly messages: number; readonly limit: number };
  /** A stream that is there is set differently. */
  STREAM_CONFIG: { readonly stream: string; readonly differences: readonly Difference[] };
  /** The server is too old. */
  UNSUPPORTED_SERVER: { readonly version: string; readonly missing: readonly string[] };
  /** The server refuses this connection a subject. */
  PERMISSION: { readonly subject: string };
  /** Nothing was stored: the server did not answer or has no leader at the moment. */
  UNAVAILABLE: { readonly reason: string };
  /** The stream or the account is full. */
  LIMIT_REACHED: { readonly stream: string; readonly limit: string };
  /** It was closed. */
  CLOSED: { readonly what: string };
  /** An argument makes no sense. */
  INVALID_ARGUMENT: { readonly argument: string };
  /** A subscriber was slower than its events. */
  OVERFLOW: { readonly buffer: number };
  /** The members of a cluster are set differently. */
  CLUSTER_CONFIG: { readonly differences: readonly Difference[] };
  /** Another living node has this id. */
  NODE_ID_IN_USE: { readonly nodeId: string };
  /** The command's handler refused it. */
  COMMAND_REJECTED: {
    readonly actorId: string;
    readonly commandId: string;
    readonly reason: { readonly name: string; readonly message: string; readonly code?: string };
  };
  /** Too many commands wait for one actor, or too many actors have something to do. */
  OVERLOADED: { readonly shard: number; readonly limit: number; readonly of: "commands" | "actors" };
  /** The owner of the shard serves no such actor type. */
  NO_HANDLER: { readonly actorType: string; readonly nodeId: string };
  /** `evolve` threw, or gave undefined. */
  REPLAY: { readonly actorId: string; readonly version: number; readonly eventType: string };
}

/** A stable code. */
export type ErrorCode = keyof ErrorFields;

/** A copy of an error is recognised by its code and the fields that go with it. */
const FIELDS: { readonly [C in ErrorCode]: readonly (keyof ErrorFields[C] & string)[] } = {
  VERSION_CONFLICT: ["actorId", "expectedVersion", "actualVersion"],
  UNKNOWN_OUTCOME: ["actorIds", "eventIds"],
  ACTOR_DELETED: ["actorId", "deletedAtVersion"],
  EVENT_TOO_LARGE: ["size", "limit"],
  INVALID_EVENT: ["path"],
  INVALID_ACTOR_ID: ["actorId"],
  INVALID_NAMESPACE: ["namespace"],
  SCHEMA: ["eventType", "actorId", "issues"],
  EVENT_DECODE: ["stream", "position", "subject"],
  CHECKPOINT_CONFLICT: ["projection", "expected", "actual"],
  FENCED: ["shard", "epoch"],
  LEADERSHIP_LOST: ["token"],
  NO_OWNER: ["shard"],
  INVALID_TRANSACTION: ["actorIds"],
  BATCH_TOO_LARGE: ["messages", "limit"],
  STREAM_CONFIG: ["stream", "differences"],
  UNSUPPORTED_SERVER: ["version", "missing"],
  PERMISSION: ["subject"],
  UNAVAILABLE: ["reason"],
  LIMIT_REACHED: ["stream", "limit"],
  CLOSED: ["what"],
  INVALID_ARGUMENT: ["argument"],
  OVERFLOW: ["buffer"],
  CLUSTER_CONFIG: ["differences"],
  NODE_ID_IN_USE: ["nodeId"],
  COMMAND_REJECTED: ["actorId", "commandId", "reason"],
  OVERLOADED: ["shard", "limit", "of"],
  NO_HANDLER: ["actorType", "nodeId"],
  REPLAY: ["actorId", "version", "eventType"],
};

/** The same in every copy of the package, so that `instanceof` holds across them. */
const BRAND = Symbol.for("aether.error");

/** The base of every error. `instanceof` goes by a registered symbol and `code`, so it holds across copies of the package. */
export class AetherError<Code extends ErrorCode = ErrorCode> extends Error {
  /** Stable, in UPPER_CASE: what to branch on. */
  readonly code: Code;

  /** Users catch errors and do not make them. */
  constructor(code: Code, fields: ErrorFields[Code], message: string, options?: ErrorOptions) {
    super(message, options);
    Object.defineProperty(this, BRAND, { value: true });
    this.code = code;
    this.name = new.target.name;
    Object.assign(this, fields);
  }

  /** True for errors of any copy of the package that have this class's code. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (typeof value !== "object" || value === null || !(BRAND in value) || !("code" in value)) return false;
    if (this === AetherError) return true;
    if (Object.hasOwn(this, "code")) return value.code === (this as unknown as { readonly code: ErrorCode }).code;
    return Object.prototype.isPrototypeOf.call(this.prototype, value);
  }
}

/**
 * Narrows a caught value to the fields of a code. Needs no class, and knows a copy (of another version of the package,
 * from a worker, out of JSON) by its code and the fields that belong to it.
 *
 * @example
 * ```ts
 * import { InMemoryEventStore, isAetherError } from "@aether/aether";
 *
 * const store = new InMemoryEventStore();
 * try {
 *   await store.append("order-1", [], { expectedVersion: 3 });
 * } catch (error) {
 *   if (isAetherError(error, "VERSION_CONFLICT")) console.log(error.actualVersion); // 0
 *   else throw error;
 * }
 * ```
 */
export function isAetherError<const Code extends ErrorCode = ErrorCode>(
  error: unknown,
  code?: Code,
): error is { [C in Code]: Error & { readonly code: C } & ErrorFields[C] }[Code] {
  if (typeof error !== "object" || error === null || !("code" in error)) return false;
  if (code !== undefined && error.code !== code) return false;
  const own = error.code;
  return typeof own === "string" && Object.hasOwn(FIELDS, own) &&
    FIELDS[own as ErrorCode].every((field) => field in error);
}

/**
 * Another writer was first: the actor is not at the version that was expected. What was missed is
 * `getEvents(actorId, n + 1)`, with `n` the version that was expected.
 */
export class VersionConflictError extends AetherError<"VERSION_CONFLICT"> {
  /** The code of the class. */
  static readonly code = "VERSION_CONFLICT";
  /** Whose. */
  declare readonly actorId: string;
  /** What the writer expected. */
  declare readonly expectedVersion: number | "exists";
  /** What the leader of the stream said. */
  declare readonly actualVersion: number;

  /** From the facts. */
  constructor(fields: ErrorFields["VERSION_CONFLICT"], options?: ErrorOptions) {
    super(
      "VERSION_CONFLICT",
      fields,
      fields.expectedVersion === "exists"
        ? `${fields.actorId} has no events`
        : `${fields.actorId} is at version ${fields.actualVersion}, not ${fields.expectedVersion}`,
      options,
    );
  }
}

/**
 * The write was sent, and no answer came: it may be stored or not. How to repeat it, so that it is stored once, or found
 * (`duplicate: true`), or a conflict:
 *
 * - `append`: with the `eventIds` and the `expectedVersion` of this error, whatever was expected before;
 * - `saveEvent`: as it was. `execute`: with the same `commandId`. `deleteActor`: as it was;
 * - `transact`: with the `eventIds`, and the same `expectedVersion` of each commit; where none that has events expected a
 *   number, that may store it twice: look for the `eventIds` in `getEvents` first.
 */
export class UnknownOutcomeError extends AetherError<"UNKNOWN_OUTCOME"> {
  /** The code of the class. */
  static readonly code = "UNKNOWN_OUTCOME";
  /** Whose events. */
  declare readonly actorIds: readonly string[];
  /** The ids to repeat it with, in the order of the events. */
  declare readonly eventIds: readonly string[];
  /** Of an append: the version that it went onto. To be repeated with, also where it expected `"any"` or `"exists"`. */
  declare readonly expectedVersion?: number;
  /** Of the command, if it had one. */
  declare readonly commandId?: string;

  /** From the facts; `problem`: where more is known than that. */
  constructor(fields: ErrorFields["UNKNOWN_OUTCOME"], options?: ErrorOptions, problem: string = problemOf(fields)) {
    super("UNKNOWN_OUTCOME", fields, problem, options);
  }
}

/** A command of which nobody knows what it wrote, or a write. */
function problemOf(fields: ErrorFields["UNKNOWN_OUTCOME"]): string {
  const { actorIds, eventIds, commandId } = fields;
  const what = commandId !== undefined && eventIds.length === 0
    ? `What became of the command to ${actorIds.join(", ")}`
    : `Whether the write to ${actorIds.join(", ")} is stored`;
  return `${what} is unknown: ${remedyOf(fields)}`;
}

/** How such a write is repeated. */
function remedyOf({ actorIds, eventIds, expectedVersion, commandId }: ErrorFields["UNKNOWN_OUTCOME"]): string {
  if (commandId !== undefined) return `repeat it with the same commandId, ${JSON.stringify(commandId)}`;
  if (expectedVersion !== undefined) {
    return `repeat it with the event ids of this error and expectedVersion: ${expectedVersion}`;
  }
  if (eventIds.length === 0 || actorIds.length === 1) return "repeat it as it was";
  return "repeat it with the event ids of this error and the same expectedVersion of each commit; " +
    "if none of them was a number, look for the event ids in getEvents first, since that may store it twice";
}

/** The actor was deleted and may not come back. */
export class ActorDeletedError extends AetherError<"ACTOR_DELETED"> {
  /** The code of the class. */
  static readonly code = "ACTOR_DELETED";
  /** Whose. */
  declare readonly actorId: string;
  /** Its last version. */
  declare readonly deletedAtVersion: number;

  /** From the facts. */
  constructor(fields: ErrorFields["ACTOR_DELETED"], options?: ErrorOptions) {
    super("ACTOR_DELETED", fields, `${fields.actorId} was deleted at version ${fields.deletedAtVersion}`, options);
  }
}

/** One event is larger than a message may be. Nothing was sent. */
export class EventTooLargeError extends AetherError<"EVENT_TOO_LARGE"> {
  /** The code of the class. */
  static readonly code = "EVENT_TOO_LARGE";
  /** Bytes of the event, with the headers where there are any. */
  declare readonly size: number;
  /** Bytes that are allowed. */
  declare readonly limit: number;

  /** From the facts. */
  constructor(fields: ErrorFields["EVENT_TOO_LARGE"], options?: ErrorOptions) {
    super("EVENT_TOO_LARGE", fields, `The event takes ${fields.size} bytes, ${fields.limit} are allowed`, options);
  }
}

/** A field of an event is not what it must be, or its data is not what JSON can carry. Nothing was sent. */
export class InvalidEventError extends AetherError<"INVALID_EVENT"> {
  /** The code of the class. */
  static readonly code = "INVALID_EVENT";
  /** Where: `data.items[2]`, `id`, `metadata.x`, … */
  declare readonly path: string;

  /** From the facts, and what is wrong. */
  constructor(fields: ErrorFields["INVALID_EVENT"], problem: string, options?: ErrorOptions) {
    super("INVALID_EVENT", fields, problem, options);
  }
}

/** An actor id is empty, over 512 bytes encoded, or not well-formed text. Nothing was sent. */
export class InvalidActorIdError extends AetherError<"INVALID_ACTOR_ID"> {
  /** The code of the class. */
  static readonly code = "INVALID_ACTOR_ID";
  /** The id. */
  declare readonly actorId: string;

  /** From the facts, and what is wrong. */
  constructor(fields: ErrorFields["INVALID_ACTOR_ID"], problem: string, options?: ErrorOptions) {
    super("INVALID_ACTOR_ID", fields, problem, options);
  }
}

/** A namespace is 1 to 64 characters of `A-Za-z0-9_-`. */
export class InvalidNamespaceError extends AetherError<"INVALID_NAMESPACE"> {
  /** The code of the class. */
  static readonly code = "INVALID_NAMESPACE";
  /** The name that was given. */
  declare readonly namespace: string;

  /** From the facts. */
  constructor(fields: ErrorFields["INVALID_NAMESPACE"], options?: ErrorOptions) {
    super(
      "INVALID_NAMESPACE",
      fields,
      // The text "undefined" would be one.
      fields.namespace === "undefined"
        ? "The namespace is missing: 1 to 64 characters of A-Z, a-z, 0-9, _ and -"
        : `Not a namespace: ${JSON.stringify(fields.namespace)}; 1 to 64 characters of A-Z, a-z, 0-9, _ and - are`,
      options,
    );
  }
}

/** A message in the stream is no commit that this version understands. */
export class EventDecodeError extends AetherError<"EVENT_DECODE"> {
  /** The code of the class. */
  static readonly code = "EVENT_DECODE";
  /** The stream. */
  declare readonly stream: string;
  /** The message's sequence. */
  declare readonly position: number;
  /** Its subject. */
  declare readonly subject: string;

  /** From the facts, and what is wrong. */
  constructor(fields: ErrorFields["EVENT_DECODE"], problem: string, options?: ErrorOptions) {
    super("EVENT_DECODE", fields, problem, options);
  }
}

/** Another node has taken the shard over. */
export class FencedError extends AetherError<"FENCED"> {
  /** The code of the class. */
  static readonly code = "FENCED";
  /** The shard. */
  declare readonly shard: number;
  /** The epoch that was found. */
  declare readonly epoch: number;

  /** From the facts. */
  constructor(fields: ErrorFields["FENCED"], options?: ErrorOptions) {
    super("FENCED", fields, `Shard ${fields.shard} was taken over: epoch ${fields.epoch}`, options);
  }
}

/** The commits of a transaction make no sense together: an actor twice, no events at all, a check with `"any"`. */
export class InvalidTransactionError extends AetherError<"INVALID_TRANSACTION"> {
  /** The code of the class. */
  static readonly code = "INVALID_TRANSACTION";
  /** The actors that are meant. */
  declare readonly actorIds: readonly string[];

  /** From the facts, and what is wrong. */
  constructor(fields: ErrorFields["INVALID_TRANSACTION"], problem: string, options?: ErrorOptions) {
    super("INVALID_TRANSACTION", fields, problem, options);
  }
}

/** More messages than the server takes in one atomic batch. Nothing was sent. */
export class BatchTooLargeError extends AetherError<"BATCH_TOO_LARGE"> {
  /** The code of the class. */
  static readonly code = "BATCH_TOO_LARGE";
  /** How many it would be. */
  declare readonly messages: number;
  /** How many the server takes. */
  declare readonly limit: number;

  /** From the facts. */
  constructor(fields: ErrorFields["BATCH_TOO_LARGE"], options?: ErrorOptions) {
    super(
      "BATCH_TOO_LARGE",
      fields,
      `${fields.messages} messages in one batch, ${fields.limit} are allowed: write fewer or smaller events at once`,
      options,
    );
  }
}

/** The stream of the namespace is not there and may not be made, or is set so that the guarantees would not hold. */
export class StreamConfigError extends AetherError<"STREAM_CONFIG"> {
  /** The code of the class. */
  static readonly code = "STREAM_CONFIG";
  /** The stream. */
  declare readonly stream: string;
  /** Each setting that differs. */
  declare readonly differences: readonly Difference[];

  /** From the facts, and what is wrong. */
  constructor(fields: ErrorFields["STREAM_CONFIG"], problem: string, options?: ErrorOptions) {
    super("STREAM_CONFIG", fields, problem, options);
  }
}

/** The server is older than 2.12, the first with atomic batches. */
export class UnsupportedServerError extends AetherError<"UNSUPPORTED_SERVER"> {
  /** The code of the class. */
  static readonly code = "UNSUPPORTED_SERVER";
  /** The server's version. */
  declare readonly version: string;
  /** What it cannot do. */
  declare readonly missing: readonly string[];

  /** From the facts. */
  constructor(fields: ErrorFields["UNSUPPORTED_SERVER"], options?: ErrorOptions) {
    super(
      "UNSUPPORTED_SERVER",
      fields,
      `nats-server ${fields.version} lacks ${fields.missing.join(", ")}: 2.12 or later is needed`,
      options,
    );
  }
}

/** The server refuses this connection a subject. Nothing was stored. */
export class PermissionError extends AetherError<"PERMISSION"> {
  /** The code of the class. */
  static readonly code = "PERMISSION";
  /** The subject. */
  declare readonly subject: string;

  /** From the facts. */
  constructor(fields: ErrorFields["PERMISSION"], options?: ErrorOptions) {
    super("PERMISSION", fields, `No permission for ${fields.subject}: the user of the connection needs it`, options);
  }
}

/** The server did not answer, or has no leader at the moment. Nothing was stored. */
export class UnavailableError extends AetherError<"UNAVAILABLE"> {
  /** The code of the class. */
  static readonly code = "UNAVAILABLE";
  /** What was seen. */
  declare readonly reason: string;

  /** From the facts. */
  constructor(fields: ErrorFields["UNAVAILABLE"], options?: ErrorOptions) {
    super("UNAVAILABLE", fields, `Unavailable: ${fields.reason}`, options);
  }
}

/** The stream or the account is full. Nothing was stored, nothing was dropped. */
export class LimitReachedError extends AetherError<"LIMIT_REACHED"> {
  /** The code of the class. */
  static readonly code = "LIMIT_REACHED";
  /** The stream. */
  declare readonly stream: string;
  /** What the server said. */
  declare readonly limit: string;

  /** From the facts. */
  constructor(fields: ErrorFields["LIMIT_REACHED"], options?: ErrorOptions) {
    super("LIMIT_REACHED", fields, `${fields.stream} takes no more: ${fields.limit}`, options);
  }
}

/** It was closed and takes no more calls. */
export class ClosedError extends AetherError<"CLOSED"> {
  /** The code of the class. */
  static readonly code = "CLOSED";
  /** What was closed. */
  declare readonly what: string;

  /** From the facts. */
  constructor(fields: ErrorFields["CLOSED"], options?: ErrorOptions) {
    super("CLOSED", fields, `${fields.what} is closed`, options);
  }
}

/** An argument makes no sense. Nothing was sent. */
export class InvalidArgumentError extends AetherError<"INVALID_ARGUMENT"> {
  /** The code of the class. */
  static readonly code = "INVALID_ARGUMENT";
  /** Which one. */
  declare readonly argument: string;

  /** From the facts, and what is wrong. */
  constructor(fields: ErrorFields["INVALID_ARGUMENT"], problem: string, options?: ErrorOptions) {
    super("INVALID_ARGUMENT", fields, problem, options);
  }
}

/** A subscriber was slower than its events, and was to lose none: its subscription ended. */
export class OverflowError extends AetherError<"OVERFLOW"> {
  /** The code of the class. */
  static readonly code = "OVERFLOW";
  /** How many events could wait. */
  declare readonly buffer: number;

  /** From the facts. */
  constructor(fields: ErrorFields["OVERFLOW"], options?: ErrorOptions) {
    super(
      "OVERFLOW",
      fields,
      `The subscriber is too slow: ${fields.buffer} events wait already. A larger buffer, or another overflow, helps`,
      options,
    );
  }
}

/**
 * An event does not fit its schema: what is to be stored was not sent, what is stored was not given. `version` is there
 * where it is stored.
 */
export class SchemaError extends AetherError<"SCHEMA"> {
  /** The code of the class. */
  static readonly code = "SCHEMA";
  /** By its name of today, if it has one. */
  declare readonly eventType: string;
  /** Whose. */
  declare readonly actorId: string;
  /** Of the stored event. */
  declare readonly version?: number;
  /** What is wrong, and where in the data. */
  declare readonly issues: readonly StandardIssue[];

  /** From the facts. */
  constructor(fields: ErrorFields["SCHEMA"], options?: ErrorOptions) {
    const { eventType, actorId, version, issues } = fields;
    const where = version === undefined ? "" : `, version ${version}`;
    const list = issues.map(({ message, path }) =>
      path === undefined ? message : `${pathText("data", path)}: ${message}`
    );
    super("SCHEMA", fields, `${eventType} of ${actorId}${where}: ${list.join("; ")}`, options);
  }
}

/** `evolve` threw, or gave undefined: the cause says why. Nothing was stored. */
export class ReplayError extends AetherError<"REPLAY"> {
  /** The code of the class. */
  static readonly code = "REPLAY";
  /** Whose state. */
  declare readonly actorId: string;
  /** Of the event that could not be folded. */
  declare readonly version: number;
  /** Of that event. */
  declare readonly eventType: string;

  /** From the facts. */
  constructor(fields: ErrorFields["REPLAY"], options?: ErrorOptions) {
    const { actorId, version, eventType } = fields;
    const reason = options?.cause instanceof Error ? `: ${options.cause.message}` : "";
    super("REPLAY", fields, `evolve failed at ${eventType}, version ${version} of ${actorId}${reason}`, options);
  }
}

/** Leadership does not certainly hold at this moment: what was about to be done is another's now. */
export class LeadershipLostError extends AetherError<"LEADERSHIP_LOST"> {
  /** The code of the class. */
  static readonly code = "LEADERSHIP_LOST";
  /** Of the term that is over, or paused. */
  declare readonly token: number;

  /** From the facts. */
  constructor(fields: ErrorFields["LEADERSHIP_LOST"], options?: ErrorOptions) {
    super("LEADERSHIP_LOST", fields, `Leadership of token ${fields.token} does not certainly hold`, options);
  }
}

/** Nobody took the command: it certainly did not run. */
export class NoOwnerError extends AetherError<"NO_OWNER"> {
  /** The code of the class. */
  static readonly code = "NO_OWNER";
  /** Whose owner was not there. */
  declare readonly shard: number;
  /** Who owns it by what the sender knows, and did not take the command; absent: nobody. */
  declare readonly nodeId?: string;

  /** From the facts. */
  constructor(fields: ErrorFields["NO_OWNER"], options?: ErrorOptions) {
    const { shard, nodeId } = fields;
    const problem = nodeId === undefined
      ? `Nobody owns shard ${shard} (nodes own shards while they serve actors)`
      : `Node ${nodeId}, which owns shard ${shard}, took no command in time`;
    super("NO_OWNER", fields, `${problem}: it did not run`, options);
  }
}

/** The nodes of a namespace are set differently, or it is not what this version understands. */
export class ClusterConfigError extends AetherError<"CLUSTER_CONFIG"> {
  /** The code of the class. */
  static readonly code = "CLUSTER_CONFIG";
  /** Each setting that differs. */
  declare readonly differences: readonly Difference[];

  /** From the facts, and what is wrong. */
  constructor(fields: ErrorFields["CLUSTER_CONFIG"], problem: string, options?: ErrorOptions) {
    super("CLUSTER_CONFIG", fields, problem, options);
  }
}

/** Another node that has this id is alive. */
export class NodeIdInUseError extends AetherError<"NODE_ID_IN_USE"> {
  /** The code of the class. */
  static readonly code = "NODE_ID_IN_USE";
  /** The id. */
  declare readonly nodeId: string;

  /** From the facts. */
  constructor(fields: ErrorFields["NODE_ID_IN_USE"], options?: ErrorOptions) {
    const id = JSON.stringify(fields.nodeId);
    super(
      "NODE_ID_IN_USE",
      fields,
      `Another node that is alive has the id ${id}: each needs an id of its own`,
      options,
    );
  }
}

/** The handler of the command threw: `reason` says what, as it was where the actor lives. Nothing was stored. */
export class CommandRejectedError extends AetherError<"COMMAND_REJECTED"> {
  /** The code of the class. */
  static readonly code = "COMMAND_REJECTED";
  /** Whose command. */
  declare readonly actorId: string;
  /** The command's. */
  declare readonly commandId: string;
  /** Of the error that was thrown there. */
  declare readonly reason: { readonly name: string; readonly message: string; readonly code?: string };

  /** From the facts. */
  constructor(fields: ErrorFields["COMMAND_REJECTED"], options?: ErrorOptions) {
    const { actorId, reason: { name, message } } = fields;
    super("COMMAND_REJECTED", fields, `${actorId}: ${name}: ${message}`, options);
  }
}

/** Too many commands wait for the actor, or too many actors are at work on its owner: this one did not run. */
export class OverloadedError extends AetherError<"OVERLOADED"> {
  /** The code of the class. */
  static readonly code = "OVERLOADED";
  /** Of the actor. */
  declare readonly shard: number;
  /** How many may wait, or be at work. */
  declare readonly limit: number;
  /** Of what there are so many. */
  declare readonly of: "commands" | "actors";

  /** From the facts. */
  constructor(fields: ErrorFields["OVERLOADED"], options?: ErrorOptions) {
    const { shard, limit, of } = fields;
    const problem = of === "commands"
      ? `${limit} commands wait for an actor of shard ${shard} already`
      : `${limit} actors are at work on the owner of shard ${shard} already`;
    super("OVERLOADED", fields, `${problem}: the command did not run`, options);
  }
}

/** The owner of the shard serves no such actor type: the command did not run. */
export class NoHandlerError extends AetherError<"NO_HANDLER"> {
  /** The code of the class. */
  static readonly code = "NO_HANDLER";
  /** Of the command's actor. */
  declare readonly actorType: string;
  /** The owner. */
  declare readonly nodeId: string;

  /** From the facts. */
  constructor(fields: ErrorFields["NO_HANDLER"], options?: ErrorOptions) {
    super("NO_HANDLER", fields, `Node ${fields.nodeId} serves no actors of the type ${fields.actorType}`, options);
  }
}
