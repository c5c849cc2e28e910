/** Whether two values are the same JSON. */
import { MAX_DEPTH } from "../json.ts";

/**
 * Whether two values are the same JSON as they stand. False where a property is undefined, which JSON has not, and where
 * they are nested too deep (or endlessly): such values are worth a closer look. Values that no JSON has (a Date, NaN) are
 * left to whoever stores them.
 */
export function sameJson(one: unknown, other: unknown, depth = 0): boolean {
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) {
    return one === other || Object.is(one, other);
  }
  if (depth > MAX_DEPTH) return false;
  if (Array.isArray(one)) {
    if (!Array.isArray(other) || one.length !== other.length) return false;
    for (let index = 0; index < one.length; index++) {
      if (!sameJson(one[index], other[index], depth + 1)) return false;
    }
    return true;
  }
  if (Array.isArray(other)) return false;
  const keys = Object.keys(one);
  if (Object.keys(other).length !== keys.length) return false;
  for (const key of keys) {
    const value = (one as Record<string, unknown>)[key];
    if (value === undefined || !Object.hasOwn(other, key)) return false;
    if (!sameJson(value, (other as Record<string, unknown>)[key], depth + 1)) return false;
  }
  return true;
}
