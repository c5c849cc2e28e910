import { InvalidArgumentError } from "../errors.ts";
import { pathText } from "../json.ts";
import type { StandardSchema } from "../schema/standard_schema.ts";
import { reasonOf } from "./command_messages.ts";
import type { Told } from "./task.ts";

/** @throws {InvalidArgumentError} unless it is a schema, or undefined */
export function checkCommandSchema(commands: unknown): void {
  const schema = commands as StandardSchema<unknown, unknown> | undefined;
  if (schema === undefined || typeof schema?.["~standard"]?.validate === "function") return;
  throw new InvalidArgumentError({ argument: "commands" }, "commands is a schema (Standard Schema v1)");
}

/** The command as its schema gives it. One that does not fit is refused. */
export async function validated<Command>(
  schema: StandardSchema<unknown, Command>,
  command: unknown,
): Promise<{ readonly command: Command } | { readonly told: Told }> {
  try {
    const result = await schema["~standard"].validate(command);
    if (result.issues === undefined) return { command: result.value };
    const issues = result.issues.map(({ path = [], message }) => ({ argument: pathText("command", path), message }));
    const argument = issues[0]?.argument ?? "command";
    const problem = issues.map(({ argument, message }) => `${argument}: ${message}`).join("; ");
    return { told: rejection(new InvalidArgumentError({ argument }, problem)) };
  } catch (error) {
    return { told: rejection(error) };
  }
}

/** The command stored nothing: it holds while nobody else can own the shard. */
export function rejection(error: unknown): Told {
  const answer = { kind: "rejected", reason: reasonOf(error) } as const;
  return { answer, otherwise: { kind: "notOwner" }, memory: "timed" };
}
