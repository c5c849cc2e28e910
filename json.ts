/** What JSON can carry, copied: nobody who keeps the original can change the copy. */

/** Deeper than any event is; without a bound a deep value ends in a stack overflow somewhere inside a runtime's JSON. */
export const MAX_DEPTH = 1000;

/** Called with the path to the offending place (`data.items[2]`) and what is wrong there; throws. */
export type Reject = (path: string, problem: string) => never;

/**
 * A deep copy of a JSON value, equal to `JSON.parse(JSON.stringify(value))`. Anything that JSON would lose or change is
 * rejected, but for two things: a property whose value is `undefined` is absent, `-0` is `0`.
 */
export function copyJson(value: unknown, root: string, reject: Reject): unknown {
  return new Copier(root, reject).copy(value, 0);
}

class Copier {
  readonly #root: string;
  readonly #reject: Reject;
  /** Where the walk is: the key at each depth, and the object that it is a key of. */
  readonly #keys: (string | number)[] = [];
  readonly #parents: object[] = [];

  constructor(root: string, reject: Reject) {
    this.#root = root;
    this.#reject = reject;
  }

  copy(value: unknown, depth: number): unknown {
    switch (typeof value) {
      case "string":
      case "boolean":
        return value;
      case "number":
        if (!Number.isFinite(value)) this.#fail(depth, `${value} is not a JSON number`);
        return value === 0 ? 0 : value;
      case "object":
        if (value === null) return null;
        return this.#copyObject(value, depth);
      case "undefined":
        return this.#fail(depth, "undefined is not a JSON value");
      default:
        return this.#fail(depth, `a ${typeof value} is not a JSON value`);
    }
  }

  #copyObject(value: object, depth: number): unknown {
    for (let above = 0; above < depth; above++) {
      if (this.#parents[above] === value) this.#fail(depth, "a cycle is not a JSON value");
    }
    if (depth === MAX_DEPTH) this.#fail(depth, `nested deeper than ${MAX_DEPTH} levels`);
    this.#parents[depth] = value;
    const isArray = Array.isArray(value);
    if (!(isArray ? isPlainArray(value) : isPlainObject(value))) {
      this.#fail(depth, `${nameOf(value)} is not a plain object or array`);
    }
    if (typeof (value as { toJSON?: unknown }).toJSON === "function") {
      this.#keys[depth] = "toJSON";
      this.#fail(depth + 1, "what toJSON gives is not what is here");
    }
    if (Object.getOwnPropertySymbols(value).length > 0) this.#fail(depth, "a symbol key is lost in JSON");
    return isArray ? this.#copyArray(value, depth) : this.#copyProperties(value, depth);
  }

  #copyArray(value: readonly unknown[], depth: number): unknown[] {
    const copy = new Array<unknown>(value.length);
    for (let index = 0; index < value.length; index++) {
      this.#keys[depth] = index;
      copy[index] = this.copy(value[index], depth + 1); // a hole is undefined, and refused as that
    }
    if (Object.keys(value).length > value.length) this.#fail(depth, "a named property of an array is lost in JSON");
    return copy;
  }

  #copyProperties(value: object, depth: number): Record<string, unknown> {
    const copy: Record<string, unknown> = {};
    for (const key of Object.keys(value)) {
      const property = (value as Record<string, unknown>)[key];
      if (property === undefined) continue;
      this.#keys[depth] = key;
      const copied = this.copy(property, depth + 1);
      if (key === "__proto__") Object.defineProperty(copy, key, { value: copied, ...OWN }); // assigning would set the prototype
      else copy[key] = copied;
    }
    return copy;
  }

  #fail(depth: number, problem: string): never {
    return this.#reject(this.#keys.slice(0, depth).reduce<string>(appendKey, this.#root), problem);
  }
}

const OWN = { writable: true, enumerable: true, configurable: true } as const;

/** `data` and `items` to `data.items`, `data.items` and `2` to `data.items[2]`. */
export function appendKey(path: string, key: string | number): string {
  if (typeof key === "number") return `${path}[${key}]`;
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;
}

// Values of another realm (a test runner's, a vm's) have other prototypes, so these are known by their own marks.
function isPlainArray(value: readonly unknown[]): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Array.prototype || Array.isArray(prototype) && !Array.isArray(Object.getPrototypeOf(prototype));
}

function isPlainObject(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return true;
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "hasOwnProperty");
}

function nameOf(value: object): string {
  const name: unknown = value.constructor?.name;
  return typeof name === "string" && name !== "" ? `a value of class ${name}` : "a value with a prototype";
}

/** The path of a schema's issue (Standard Schema v1), from what it leads into. */
export function pathText(root: string, path: readonly (PropertyKey | { readonly key: PropertyKey })[]): string {
  const keys = path.map((step) => typeof step === "object" ? step.key : step);
  return keys.reduce<string>((text, key) => appendKey(text, typeof key === "symbol" ? String(key) : key), root);
}
