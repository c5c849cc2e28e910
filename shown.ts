/** A value in the text of an error. */

/** More of a text than anybody reads. */
const LONG = 64;

/** So that `"3"` is not taken for `3`, nor an object shown as `[object Object]`. */
export function shown(value: unknown): string {
  switch (typeof value) {
    case "string":
      return `the string ${JSON.stringify(value.length > LONG ? `${value.slice(0, LONG)}…` : value)}`;
    case "bigint":
      return `the bigint ${value}n`;
    case "function":
      return "a function";
    case "object":
      if (value !== null) return Array.isArray(value) ? "an array" : "an object";
      return "null";
    default:
      return String(value);
  }
}
