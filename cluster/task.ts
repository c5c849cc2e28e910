import type { Metadata } from "../event.ts";
import { type Answer, encodeAnswer } from "./command_messages.ts";
import type { Tenure } from "./tenure.ts";

/** What became of a command, as a behaviour says it. */
export interface Told {
  readonly answer: Answer;
  /** In its place where the shard is not certainly this node's at the moment of the reply; absent: it holds all the same. */
  readonly otherwise?: Answer;
  /** How long a repetition is answered the same: not at all, while its sender may ask, while the shard is owned. */
  readonly memory?: "none" | "timed" | "kept";
  /** Events were stored. */
  readonly isStored?: boolean;
  /** The epoch of a later owner, if a store has found one. */
  readonly fencedBy?: number;
}

/** The same, as it is sent. */
export interface Outcome {
  readonly body: string;
  readonly otherwise: string | undefined;
  readonly memory: "none" | "timed" | "kept";
  readonly isStored: boolean;
  readonly fencedBy: number | undefined;
  /** It ran, and this is why what it gave cannot be told. */
  readonly problem: string | undefined;
}

/** A command in a mailbox. */
export interface TaskFields {
  readonly actorId: string;
  readonly command: unknown;
  readonly commandId: string;
  readonly metadata: Metadata;
  readonly tenure: Tenure;
  /** When its sender stops waiting, by the local clock. */
  until: number;
  /** Milliseconds that its sender waits, at most, as far as it has said. */
  patience: number;
}

/** A command in a mailbox, and those who wait for its outcome. */
export class Task implements TaskFields {
  readonly actorId: string;
  readonly command: unknown;
  readonly commandId: string;
  readonly metadata: Metadata;
  readonly tenure: Tenure;
  until: number;
  patience: number;
  /** Once it has begun, nobody can say that it did not. */
  isRunning = false;
  readonly #outcome = Promise.withResolvers<Outcome>();
  #isSettled = false;

  constructor({ actorId, command, commandId, metadata, tenure, until, patience }: TaskFields) {
    this.actorId = actorId;
    this.command = command;
    this.commandId = commandId;
    this.metadata = metadata;
    this.tenure = tenure;
    this.until = until;
    this.patience = patience;
  }

  /** Settled once. */
  get outcome(): Promise<Outcome> {
    return this.#outcome.promise;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** Another try of it came. */
  join(until: number, patience: number): void {
    this.until = Math.max(this.until, until);
    this.patience = Math.max(this.patience, patience);
  }

  /** Tells all who wait; the first outcome counts. */
  settle(told: Told | Outcome): void {
    this.#isSettled = true;
    this.#outcome.resolve("body" in told ? told : outcomeOf(told));
  }
}

/** @throws what `JSON.stringify` throws */
export function outcomeOf({ answer, otherwise, memory = "none", isStored = false, fencedBy }: Told): Outcome {
  const problem = answer.kind === "untold" ? answer.problem : undefined;
  const body = encodeAnswer(answer);
  return { body, otherwise: otherwise && encodeAnswer(otherwise), memory, isStored, fencedBy, problem };
}
