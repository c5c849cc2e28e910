/** What both stores check alike, before anything is stored. Pure. */
import { checkActorId } from "../actor_id.ts";
import { InvalidArgumentError } from "../errors.ts";
import { copyJson } from "../json.ts";
import { isTimestamp, TIMESTAMP_RULE } from "../validate.ts";
import type { CommandRecord, Snapshot } from "./snapshot_store.ts";

/** Throws the error that names a field of a snapshot. */
function reject(argument: string, problem: string): never {
  throw new InvalidArgumentError({ argument }, `Invalid snapshot: ${argument}: ${problem}`);
}

/**
 * A copy, which nobody who keeps the original can change. Fields that a snapshot does not have are left out.
 * @throws {InvalidArgumentError} naming the field, or the path of what JSON cannot carry
 * @throws {InvalidActorIdError}
 */
export function checkSnapshot(snapshot: Snapshot): Snapshot {
  const { state, ...facts } = checkObject("snapshot", snapshot);
  return { ...checkFacts(facts), state: copyJson(state, "state", reject) };
}

/**
 * All but the state.
 * @throws as {@linkcode checkSnapshot}
 */
export function checkFacts(facts: Readonly<Record<string, unknown>>): Omit<Snapshot, "state"> {
  const { actorId, version, position, schemaVersion, timestamp, commands } = facts;
  checkActorId(actorId as string);
  return {
    actorId: actorId as string,
    version: checkPositive("version", version),
    position: checkPositive("position", position),
    schemaVersion: checkPositive("schemaVersion", schemaVersion),
    timestamp: isTimestamp(timestamp) ? timestamp : reject("timestamp", TIMESTAMP_RULE),
    ...(commands !== undefined && { commands: checkCommands(commands) }),
  };
}

/** @throws {InvalidArgumentError} unless it is absent or a positive whole number */
export function checkSchemaVersion(schemaVersion: unknown): number | undefined {
  return schemaVersion === undefined ? undefined : checkPositive("schemaVersion", schemaVersion);
}

function checkCommands(commands: unknown): CommandRecord[] {
  if (!Array.isArray(commands)) return reject("commands", "must be a list");
  return Array.from(commands, (command, index) => { // a hole is undefined, and refused as that
    const path = `commands[${index}]`;
    const { id, version, position } = checkObject(path, command);
    if (typeof id !== "string" || id === "") return reject(`${path}.id`, "must be a text that is not empty");
    return {
      id,
      version: checkPositive(`${path}.version`, version),
      position: checkPositive(`${path}.position`, position),
    };
  });
}

function checkObject(argument: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null) return value as Readonly<Record<string, unknown>>;
  return reject(argument, "must be an object");
}

function checkPositive(argument: string, value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) > 0) return value as number;
  return reject(argument, "must be an integer from 1 to 2^53 - 1");
}
