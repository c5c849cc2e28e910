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
