/** What processes recorded of their work on one store, and what the store held at the end. */
import { createHash } from "node:crypto";
import type { Commit, Consistency, Event } from "../../mod.ts";

/** A call of a process. */
export interface Entry {
  readonly process: string;
  /** When it began: milliseconds of a clock that all processes of a machine share. */
  readonly invoked: number;
  /** When its outcome was there. */
  readonly returned: number;
  readonly call: Call;
}

/** What was called, and what came of it. */
export type Call = WriteCall | ReadCall | VersionCall;

/** An append, or a transaction, with all its repetitions. */
export interface WriteCall {
  readonly kind: "write";
  readonly writes: readonly RecordedWrite[];
  readonly outcome: Outcome;
  /** How often the store was called. */
  readonly attempts: number;
}

/** What was to be stored of one actor; no events: a check. */
export interface RecordedWrite {
  readonly actorId: string;
  readonly expected: number | "any";
  readonly events: readonly { readonly id: string; readonly print: string }[];
}

/** Of a write. */
export type Outcome =
  /** One for each actor, in their order. */
  | { readonly kind: "acknowledged"; readonly commits: readonly Acknowledgement[] }
  /** Nothing is stored. */
  | { readonly kind: "refused"; readonly code: string; readonly conflict?: Conflict }
  | { readonly kind: "unknown" };

/** What the store said of a commit. */
export interface Acknowledgement {
  readonly version: number;
  readonly position: number;
  readonly duplicate: boolean;
}

/** What the store said of a conflict. */
export interface Conflict {
  readonly actorId: string;
  readonly expected: number;
  readonly actual: number;
}

/** Events of an actor from a version on, by `getEvents` or `readActor`. */
export interface ReadCall {
  readonly kind: "read";
  readonly actorId: string;
  readonly from: number;
  readonly consistency: Consistency;
  readonly events: readonly RecordedEvent[];
  /** Where each commit ended, if it was read by commit. */
  readonly commits?: readonly { readonly version: number; readonly position: number }[];
}

/** An actor's latest version. */
export interface VersionCall {
  readonly kind: "version";
  readonly actorId: string;
  readonly consistency: Consistency;
  readonly version: number;
}

/** An event as it was read. */
export interface RecordedEvent {
  readonly id: string;
  readonly version: number;
  /** Of its data. */
  readonly print: string;
}

/** A commit as it was read. */
export interface RecordedCommit {
  readonly actorId: string;
  readonly version: number;
  readonly position: number;
  readonly events: readonly RecordedEvent[];
}

/** Milliseconds since the epoch, with fractions. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}

/** What tells data from other data. */
export function printOf(data: unknown): string {
  return createHash("sha1").update(JSON.stringify(data)).digest("hex").slice(0, 12);
}

/** As it is recorded. */
export function recordedEvent({ id, version, data }: Event): RecordedEvent {
  return { id, version, print: printOf(data) };
}

/** As it is recorded. */
export function recordedCommit({ actorId, version, position, events }: Commit): RecordedCommit {
  return { actorId, version, position, events: events.map(recordedEvent) };
}
