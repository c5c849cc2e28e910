/** `metadata.schemaVersion`: decimal text, absent for version 1. */
import type { Metadata } from "../event.ts";

/** NaN for what is no version. */
export function schemaVersionOf(metadata: Metadata | undefined): number {
  const text = metadata?.schemaVersion;
  if (text === undefined) return 1;
  const version = typeof text === "string" && /^[1-9]\d*$/.test(text) ? Number(text) : NaN;
  return Number.isSafeInteger(version) ? version : NaN;
}

/** The metadata with this version; undefined where nothing is left. */
export function withSchemaVersion(metadata: Metadata | undefined, version: number): Metadata | undefined {
  if (version > 1) return { ...metadata, schemaVersion: String(version) };
  return withoutSchemaVersion(metadata);
}

/** The metadata without a version: the view sets it, no caller does. */
export function withoutSchemaVersion(metadata: Metadata | undefined): Metadata | undefined {
  if (typeof metadata !== "object" || metadata === null || !("schemaVersion" in metadata)) return metadata;
  const { schemaVersion: _, ...rest } = metadata;
  return Object.keys(rest).length > 0 ? rest : undefined;
}
