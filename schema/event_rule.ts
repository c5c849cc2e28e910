/** A definition, checked: what a catalogue knows of one event type. */
import { InvalidArgumentError } from "../errors.ts";
import { checkOptionNames, namesOf } from "../options.ts";
import type { EventDefinition, VersionedDefinition } from "./event_definition.ts";
import type { StandardSchema } from "./standard_schema.ts";

/** One step of a data's history. */
export type Upcast = (data: unknown) => unknown;

/** What a catalogue knows of one event type. */
export interface EventRule {
  /** The name of today. */
  readonly eventType: string;
  readonly validate: StandardSchema["~standard"]["validate"];
  /** The newest. */
  readonly schemaVersion: number;
  /** From version n + 1 to n + 2 at index n. */
  readonly upcasts: readonly Upcast[];
  readonly formerly: readonly string[];
}

/** @throws {InvalidArgumentError} naming the definition's part that makes no sense */
export function ruleOf(eventType: string, definition: EventDefinition): EventRule {
  const argument = `definitions.${eventType}`;
  if (eventType === "") refuse(argument, "An event type is a text that is not empty");
  if (isSchema(definition)) return { eventType, ...FIRST, validate: validatorOf(definition) };
  const versioned = (definition ?? {}) as Partial<VersionedDefinition<unknown>>;
  const { schema, schemaVersion = 1, upcast = {}, formerly = [] } = versioned;
  if (!isSchema(schema)) {
    return refuse(argument, `${eventType} has no schema: a Standard Schema v1, or { schema, … } with one`);
  }
  checkOptionNames(argument, versioned, NAMES);
  if (!Number.isSafeInteger(schemaVersion) || schemaVersion < 1) {
    refuse(`${argument}.schemaVersion`, `schemaVersion is an integer from 1, not ${String(schemaVersion)}`);
  }
  if (!Array.isArray(formerly) || !formerly.every((name) => typeof name === "string" && name !== "")) {
    refuse(`${argument}.formerly`, "formerly is an array of event types");
  }
  const upcasts = upcastsOf(eventType, `${argument}.upcast`, upcast, schemaVersion);
  return { eventType, validate: validatorOf(schema), schemaVersion, upcasts, formerly: [...formerly] };
}

/**
 * The rule of each name, former ones too.
 * @throws {InvalidArgumentError} for a name that two event types claim
 */
export function rulesByName(rules: readonly EventRule[]): Map<string, EventRule> {
  const byName = new Map(rules.map((rule) => [rule.eventType, rule]));
  for (const rule of rules) {
    for (const name of rule.formerly) {
      const other = byName.get(name);
      if (other !== undefined) {
        const claimed = other.eventType === name ? "is an event type of today" : `was also ${other.eventType}'s`;
        refuse(`definitions.${rule.eventType}.formerly`, `${name}, formerly of ${rule.eventType}, ${claimed}`);
      }
      byName.set(name, rule);
    }
  }
  return byName;
}

const NAMES = namesOf<VersionedDefinition<unknown>>({
  schema: true,
  schemaVersion: true,
  upcast: true,
  formerly: true,
});
const FIRST = { schemaVersion: 1, upcasts: [], formerly: [] } as const;

function upcastsOf(eventType: string, argument: string, upcast: unknown, schemaVersion: number): Upcast[] {
  if (typeof upcast !== "object" || upcast === null) return refuse(argument, "upcast is an object: { 1: …, 2: … }");
  const steps = upcast as Readonly<Record<string, unknown>>;
  const names = Object.keys(steps);
  // Before a list is made: a version that is a date would make it billions long.
  if (names.length > schemaVersion - 1) {
    const own = names.find((name) => !(Number(name) >= 1 && Number(name) < schemaVersion));
    const step = own ?? names.at(-1);
    const problem = Number(step) >= 1 ? `leads to version ${Number(step) + 1}` : "is no step from a version";
    refuse(`${argument}.${step}`, `${eventType}: upcast[${step}] ${problem}, and schemaVersion is ${schemaVersion}`);
  }
  const upcasts: Upcast[] = [];
  for (let version = 1; version < schemaVersion; version++) {
    const step = Object.hasOwn(steps, version) ? steps[version] : undefined;
    if (typeof step !== "function") {
      return refuse(
        `${argument}.${version}`,
        `${eventType}: upcast[${version}], a function from version ${version} to ${version + 1}, is missing`,
      );
    }
    upcasts.push(step as Upcast);
  }
  return upcasts;
}

/** Some libraries' schemas are functions. */
function isSchema(value: unknown): value is StandardSchema {
  if (value === null || typeof value !== "object" && typeof value !== "function" || !("~standard" in value)) {
    return false;
  }
  const standard = value["~standard"] as Partial<StandardSchema["~standard"]> | null | undefined;
  return typeof standard === "object" && standard !== null && standard.version === 1 &&
    typeof standard.validate === "function";
}

function validatorOf(schema: StandardSchema): EventRule["validate"] {
  const standard = schema["~standard"];
  return (value) => standard.validate(value);
}

function refuse(argument: string, problem: string): never {
  throw new InvalidArgumentError({ argument }, problem);
}
