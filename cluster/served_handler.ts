import { isAetherError } from "../errors.ts";
import type { Metadata } from "../event.ts";
import type { Fence } from "../store/fence.ts";
import type { StandardSchema } from "../schema/standard_schema.ts";
import type { Actor } from "./actor_host.ts";
import { type Answer, reasonOf } from "./command_messages.ts";
import { validated } from "./command_schema.ts";
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

/** Does a command, as it came from the sender or as its schema gave it; what it gives is JSON. */
export type CommandHandler<Command = unknown> = (command: Command, context: CommandContext) => unknown;

/**
 * Actors without a decider: what they do is not known to be idempotent, so that every outcome is kept. `commands` checks
 * what comes as a command.
 */
export function servedHandler<Command>(
  handler: CommandHandler<Command>,
  commands?: StandardSchema<unknown, Command>,
): Actor {
  return {
    async run(task: Task): Promise<Outcome> {
      if (commands === undefined) return await outcomeIn(task, handler, task.command as Command);
      const checked = await validated(commands, task.command);
      return "told" in checked ? outcomeOf(checked.told) : await outcomeIn(task, handler, checked.command);
    },
    passivate(): void {},
  };
}

async function outcomeIn<Command>(
  { actorId, commandId, metadata, tenure: { fence, signal } }: Task,
  handler: CommandHandler<Command>,
  command: Command,
): Promise<Outcome> {
  let result: unknown;
  try {
    result = await handler(command, { actorId, commandId, fence, signal, metadata });
  } catch (error) {
    // It may have done a part of its work: another owner does it all, under the same id.
    if (isAetherError(error, "FENCED")) {
      const answer = { kind: "unknown" } as const;
      return outcomeOf(error.shard === fence.shard ? { answer, fencedBy: error.epoch } : { answer });
    }
    if (isAetherError(error, "UNKNOWN_OUTCOME") || hasReturned(error, signal)) {
      return outcomeOf({ answer: { kind: "unknown" } });
    }
    return kept({ kind: "rejected", reason: reasonOf(error) });
  }
  try {
    return kept({ kind: "result", result });
  } catch (error) { // it has run all the same
    return kept({ kind: "untold", problem: reasonOf(error).message });
  }
}

function kept(answer: Answer): Outcome {
  return outcomeOf({ answer, otherwise: { kind: "unknown" }, memory: "kept" });
}
