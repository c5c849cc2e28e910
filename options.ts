/** Objects of options: a name that is misspelt is refused, for otherwise a write would go unguarded in silence. */
import { InvalidArgumentError } from "./errors.ts";
import { shown } from "./shown.ts";

/** Every name of an options type, checked by the compiler to be all of them and no other. */
export function namesOf<Options>(names: Readonly<Record<keyof Options, true>>): readonly string[] {
  return Object.freeze(Object.keys(names));
}

/**
 * Symbols and inherited names are nobody's misspelling; a name whose value is undefined may be.
 * @throws {InvalidArgumentError} unless it is an object, of whose own names all are known
 */
export function checkOptionNames(of: string, options: object, known: readonly string[]): void {
  if (typeof options !== "object" || options === null) {
    throw new InvalidArgumentError(
      { argument: "options" },
      `The options of ${of} are an object, { ${known[0]}, … }, not ${shown(options)}`,
    );
  }
  for (const name in options) { // makes no list, as Object.keys does
    if (known.includes(name) || !Object.hasOwn(options, name)) continue;
    const near = nearest(name, known);
    const help = near === undefined ? `it has ${known.join(", ")}` : `did you mean ${near}?`;
    throw new InvalidArgumentError({ argument: name }, `${name} is no option of ${of}: ${help}`);
  }
}

/** Letters that a misspelt name differs in, at most. */
const FEW = 2;

/** The word that is meant, if one is near: one that begins with it or with which it begins, or differs in few letters. */
export function nearest(word: string, words: readonly string[]): string | undefined {
  const low = word.toLowerCase();
  let best: string | undefined;
  let least = Math.min(FEW, Math.floor(word.length / 3)) + 1;
  for (const candidate of words) {
    const other = candidate.toLowerCase();
    const isPart = Math.min(low.length, other.length) > FEW && (other.startsWith(low) || low.startsWith(other));
    // Of those that begin so, the one of which the most is there.
    const differences = isPart
      ? 1 - Math.min(low.length, other.length) / Math.max(low.length, other.length)
      : distance(low, other);
    if (differences >= least) continue;
    least = differences;
    best = candidate;
  }
  return best;
}

/** How many letters are added, missing or other (Levenshtein). */
function distance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i++) {
    const next = [i];
    for (let j = 1; j <= right.length; j++) {
      const changed = (row[j - 1] as number) + (left[i - 1] === right[j - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[right.length] as number;
}
