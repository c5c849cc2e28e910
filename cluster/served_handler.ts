import { isAetherError } from "../errors.ts";
import type { Metadata } from "../event.ts";
import type { Fence } from "../store/fence.ts";
import type { Actor } from "./actor_host.ts";
import { reasonOf } from "./command_messages.ts";
import { hasReturned } from "./crew.ts";
import { type Outcome, outcomeOf, type Task } from "./task.ts";

/** What a command handler is told beside the command. */
export interface CommandContext {
  /** Whose command. */
  readonly actorId: string;
  /** The same in every try: what makes an effect idempotent. */
  readonly commandId: string;
  /** For writes: refused once another node has taken the shard over. */
  readonly fence: Fence;
  /** Aborted when the shard is no more this node's. */
  readonly signal: AbortSignal;
  /** That of the `send`. */
  readonly metadata: Metadata;
}

/** Does a command; what it gives is JSON. */
export type CommandHandler = (command: unknown, context: CommandContext) => Promise<unknown>;

/** Actors without a decider: what they do is not known to be idempotent, so that every outcome is kept. */
export function servedHandler(handler: CommandHandler): Actor {
  return {
    async run({ actorId, command, commandId, metadata, tenure }: Task): Promise<Outcome> {
      const { fence, signal } = tenure;
      try {
        const result = await handler(command, { actorId, commandId, fence, signal, metadata });
        return outcomeOf({ answer: { kind: "result", result }, otherwise: { kind: "unknown" }, memory: "kept" });
      } catch (error) {
        // It may have done a part of its work: another owner does it all, under the same id.
        if (isAetherError(error, "FENCED")) {
          const answer = { kind: "unknown" } as const;
          return outcomeOf(error.shard === fence.shard ? { answer, fencedBy: error.epoch } : { answer });
        }
        if (isAetherError(error, "UNKNOWN_OUTCOME") || hasReturned(error, signal)) {
          return outcomeOf({ answer: { kind: "unknown" } });
        }
        const answer = { kind: "rejected", reason: reasonOf(error) } as const;
        return outcomeOf({ answer, otherwise: { kind: "unknown" }, memory: "kept" });
      }
    },
    passivate(): void {},
  };
}
