/** Measuring by ratio: the candidates take turns on one connection, so that a noisy machine is noisy for all of them. */

/** Something to be timed. */
export interface Candidate {
  readonly name: string;
  run(): Promise<unknown>;
}

/** Milliseconds of each candidate, by name: its median over so many rounds, in which all take turns in changing order. */
export async function medians(candidates: readonly Candidate[], rounds: number): Promise<Map<string, number>> {
  const times = new Map(candidates.map(({ name }) => [name, [] as number[]]));
  for (let round = -Math.ceil(rounds / 10); round < rounds; round++) { // the first ones warm up
    for (let turn = 0; turn < candidates.length; turn++) {
      const { name, run } = candidates[(turn + Math.abs(round)) % candidates.length] as Candidate;
      const start = performance.now();
      await run();
      const time = performance.now() - start;
      if (round >= 0) times.get(name)?.push(time);
    }
  }
  return new Map([...times].map(([name, list]) => [name, median(list)]));
}

/** The middle one. */
export function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? NaN;
}

/** The best of several tries of something that gives a figure. */
export async function best(
  tries: number,
  figure: () => Promise<number>,
  better: (a: number, b: number) => number,
): Promise<number> {
  let found = await figure();
  for (let count = 1; count < tries; count++) found = better(found, await figure());
  return found;
}

/** A line of the table that `task bench` prints. */
export interface Row {
  readonly work: string;
  readonly figure: string;
  /** What it must be, and whether it is. */
  readonly bar?: { readonly text: string; readonly met: boolean };
}

/** A Markdown table, for the README. */
export function table(rows: readonly Row[]): string {
  const cells = rows.map((
    { work, figure, bar },
  ) => [work, figure, bar ? bar.text : "–", bar ? (bar.met ? "yes" : "NO") : "–"]);
  const all = [["work", "measured", "bar", "met"], ...cells];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const lines = all.map((row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`);
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return [lines[0], rule, ...lines.slice(1)].join("\n");
}
