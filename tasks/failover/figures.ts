/** What was measured, and what it is held against. */
import { table } from "../summary.ts";

/** A bar: the greatest value that is good enough. */
export interface Bar {
  readonly of: "p50" | "p99" | "max";
  readonly most: number;
}

/** Values of one measure. */
export interface Figure {
  readonly name: string;
  readonly where: string;
  readonly unit: string;
  readonly bars: readonly Bar[];
  readonly values: number[];
}

/** All of a run. */
export class Figures {
  readonly #figures: Figure[] = [];

  /** Adds values to a measure. */
  add(name: string, where: string, unit: string, bars: readonly Bar[], values: readonly number[]): void {
    const found = this.#figures.find((one) => one.name === name && one.where === where);
    if (found !== undefined) found.values.push(...values);
    else this.#figures.push({ name, where, unit, bars, values: [...values] });
  }

  /** Those that are above a bar. */
  get missed(): string[] {
    return this.#figures.filter((figure) => !isGood(figure)).map(({ name, where }) => `${name}, ${where}`);
  }

  /** A line each. */
  toString(): string {
    const head = ["measure", "where", "n", "p50", "p99", "max", "unit", "bar", ""];
    const rows = this.#figures.map((figure) => {
      const { name, where, unit, bars, values } = figure;
      const numbers = [at(values, 0.5), at(values, 0.99), Math.max(...values)].map(text);
      const bar = bars.map(({ of, most }) => `${of} ≤ ${most}`).join(", ");
      return [name, where, values.length, ...numbers, unit, bar, isGood(figure) ? "ok" : "MISSED"];
    });
    return table([head, ...rows]);
  }
}

function isGood({ values, bars }: Figure): boolean {
  const of = { p50: at(values, 0.5), p99: at(values, 0.99), max: Math.max(...values) };
  return values.length > 0 && bars.every((bar) => of[bar.of] <= bar.most);
}

/** The value below which so many of all are. */
function at(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN;
}

function text(value: number): string {
  return value < 10 && !Number.isInteger(value) ? value.toFixed(1) : value.toFixed(0);
}
