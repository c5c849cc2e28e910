/**
 * `deno task bench [--full] [deno|bun|node ...] [part of a benchmark's name ...]`: the table of the README, measured on
 * this machine; `--full` takes longer and uses the lengths that the bars are for.
 */
import { cpus } from "node:os";
import process from "node:process";
import type { Row } from "../bench/measure.ts";
import { find, run, type Runtime, RUNTIMES } from "./runtimes.ts";

/** So that heaps can be compared. */
const ARGUMENTS: Readonly<Record<Runtime, readonly string[]>> = {
  deno: ["run", "-A", "--no-check", "--v8-flags=--expose-gc"],
  bun: ["run", "--expose-gc"],
  node: ["--expose-gc"],
};

const args = process.argv.slice(2);
const isRuntime = (arg: string): arg is Runtime => (RUNTIMES as readonly string[]).includes(arg);
const named = args.filter(isRuntime);
const runtimes = named.length > 0 ? named : RUNTIMES;
const rest = args.filter((arg) => !isRuntime(arg));

const results = new Map<string, Row[]>();
for (const runtime of runtimes) {
  const { version } = await find(runtime);
  console.error(`# ${runtime} ${version}`);
  let last = "";
  const code = await run(runtime, [...ARGUMENTS[runtime], "bench/main.ts", ...rest], { line: (line) => last = line });
  if (code !== 0) throw new Error(`${runtime} ended with ${code}`);
  results.set(`${runtime} ${version}`, JSON.parse(last));
}
const all = [...results.values()];
const works = [...new Set(all.flatMap((rows) => rows.map(({ work }) => work)))];
const lines = works.map((work) => {
  const rows = all.map((list) => list.find((row) => row.work === work));
  const cells = rows.map((row) =>
    row === undefined ? "–" : row.bar?.met === false ? `${row.figure} MISSED` : row.figure
  );
  return [work, ...cells, rows.find((row) => row)?.bar?.text ?? "–"];
});
console.log(`\ndeno task bench ${args.join(" ")}: ${process.platform} ${process.arch}, ${cpus().length} cores\n`);
console.log(markdown([["work", ...results.keys(), "bar"], ...lines]));
if (all.flat().some(({ bar }) => bar?.met === false)) process.exitCode = 1;

function markdown(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`);
  return [lines[0], `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...lines.slice(1)].join("\n");
}
