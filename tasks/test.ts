/**
 * The whole suite on Deno, Bun and Node: `deno task test [deno|bun|node ...] [-- part of a file's path ...]`.
 * What is missing of them, and a nats-server, is fetched once. Each folder on each runtime is a process, and some of
 * them run at once.
 * @module
 */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { stripVTControlCharacters } from "node:util";
import { findNatsServer } from "../testing/nats_binary.ts";
import { find, ROOT, run, type Runtime, RUNTIMES } from "./runtimes.ts";
import { closingLine, type Counts, countTests, table, total } from "./summary.ts";

/** Of one test; a cluster of servers on a busy machine takes its time. */
const TEST_SECONDS = 120;
/** Of a folder on one runtime; Deno has no limit for a test. */
const FOLDER_SECONDS = 15 * 60;
/** How many run at once: the tests wait about as long as they compute. */
const AT_ONCE = Math.max(2, availableParallelism());
/** They take longest, hence first, so that none of them is left to the end; the others follow by name. */
const SLOW = ["./tests/history", "./tests/store", "./tests", "./tests/snapshot"];

/** What each runner is to be told to run these files and to write a JUnit report. */
const ARGUMENTS: Readonly<Record<Runtime, (files: readonly string[], report: string) => string[]>> = {
  deno: (files, report) => [
    "test",
    "-A",
    // The types are checked in a step of their own.
    "--no-check",
    "--preload=./tasks/test_on_deno.ts",
    "--reporter=dot",
    `--junit-path=${report}`,
    ...files,
  ],
  bun: (files, report) => [
    "test",
    // 5 s by default.
    `--timeout=${TEST_SECONDS * 1000}`,
    "--dots",
    "--reporter=junit",
    `--reporter-outfile=${report}`,
    ...files,
  ],
  // Each file in a process of its own.
  node: (files, report) => [
    "--test",
    "--test-concurrency=1",
    // None by default.
    `--test-timeout=${TEST_SECONDS * 1000}`,
    "--test-reporter=./tasks/test_on_node.ts",
    "--test-reporter-destination=stdout",
    "--test-reporter=junit",
    `--test-reporter-destination=${report}`,
    ...files,
  ],
};

/** The files of a folder on a runtime: what a process runs, one file after the other. */
interface Part {
  readonly runtime: Runtime;
  readonly folder: string;
  readonly files: readonly string[];
}

interface Result extends Counts {
  readonly runtime: Runtime;
  readonly seconds: number;
}

process.exitCode = await main(process.argv.slice(2)).catch((error: Error) => complain(error.message));

async function main(args: readonly string[]): Promise<number> {
  const end = args.includes("--") ? args.indexOf("--") : args.length;
  const [names, filters] = [args.slice(0, end), args.slice(end + 1)];
  const unknown = names.find((name) => !(RUNTIMES as readonly string[]).includes(name));
  if (unknown !== undefined) return complain(`${unknown} is none of ${RUNTIMES.join(", ")}; parts of paths follow --`);
  const files = await testFiles(filters);
  if (files.length === 0) return complain(`no file in tests/ has ${filters.join(" or ")} in its path`);

  const natsServer = await findNatsServer({ download: false }).catch(() => {
    console.log("nats-server: none at hand, fetching one");
    return findNatsServer();
  });
  console.log(`nats-server: ${natsServer}`);
  // Deno finds packages in its cache, too; Bun and Node need node_modules.
  if (await run("deno", ["install", "--quiet"]) !== 0) return complain("deno install failed");

  const runtimes = RUNTIMES.filter((runtime) => names.length === 0 || names.includes(runtime));
  const versions = new Map<Runtime, string>();
  const results: Result[] = [];
  for (const runtime of runtimes) {
    try {
      versions.set(runtime, (await find(runtime)).version);
    } catch (error) {
      console.error(`${runtime}: ${error instanceof Error ? error.message : error}`);
      results.push({ runtime, passed: 0, failed: 1, skipped: 0, seconds: 0 });
    }
  }

  const began = performance.now();
  const parts = partsOf(files, [...versions.keys()]);
  const waiting = parts.values();
  const worker = async (): Promise<void> => {
    // They share the iterator: each part is taken once.
    for (const part of waiting) results.push(await runPart(part, natsServer, parts.length > 1));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  console.log(`\nparts: ${parts.length}, ${AT_ONCE} at once, in ${secondsSince(began).toFixed(0)} s together`);

  const head = ["runtime", "version", "passed", "failed", "skipped", "seconds"];
  const rows = runtimes.map((runtime) => {
    const own = results.filter((result) => result.runtime === runtime);
    const { passed, failed, skipped } = total(own);
    const seconds = own.reduce((sum, result) => sum + result.seconds, 0).toFixed(1);
    return [runtime, versions.get(runtime) ?? "-", passed, failed, skipped, seconds];
  });
  console.log(`\n${table([head, ...rows])}\n`);
  const counts = total(results);
  console.log(closingLine(counts));
  return counts.failed === 0 ? 0 : 1;
}

function complain(what: string): number {
  console.error(what);
  return 1;
}

/** With `./` in front: Bun takes another path for a pattern. */
async function testFiles(filters: readonly string[]): Promise<string[]> {
  const paths = (await readdir(join(ROOT, "tests"), { recursive: true })).map((path) => path.replaceAll("\\", "/"));
  return paths.filter((path) => path.endsWith("_test.ts")).map((path) => `./tests/${path}`)
    .filter((path) => filters.length === 0 || filters.some((filter) => path.includes(filter))).sort();
}

function partsOf(files: readonly string[], runtimes: readonly Runtime[]): Part[] {
  const folders = [...Map.groupBy(files, (file) => dirname(file).split("/").slice(0, 3).join("/"))];
  const rank = ([folder]: [string, string[]]): number => (SLOW.indexOf(folder) + 1) || SLOW.length + 1;
  folders.sort((a, b) => rank(a) - rank(b));
  return folders.flatMap(([folder, files]) => runtimes.map((runtime) => ({ runtime, folder, files })));
}

/** Where others run beside it, what it prints is kept to its end. */
async function runPart({ runtime, folder, files }: Part, natsServer: string, isOneOfMany: boolean): Promise<Result> {
  const temporary = await mkdtemp(join(tmpdir(), "aether-test-"));
  const lines: string[] = [];
  const keep = (line: string): void => void lines.push(line);
  const began = performance.now();
  try {
    const report = join(temporary, "report.xml");
    const code = await run(runtime, ARGUMENTS[runtime](files, report), {
      environment: { NATS_SERVER: natsServer },
      seconds: FOLDER_SECONDS,
      ...(isOneOfMany ? { line: keep, errorLine: keep } : {}),
    }).catch((error: Error) => {
      keep(error.message);
      return 1;
    });
    const counts = countTests(await readFile(report, "utf8").catch(() => ""));
    // A file that cannot be loaded, a hook that throws, a crash: not every runner counts them as a test.
    const failedSomehow = code !== 0 || counts.passed + counts.failed + counts.skipped === 0;
    const failed = Math.max(counts.failed, failedSomehow ? 1 : 0);
    const seconds = secondsSince(began);
    console.log(`\n# ${runtime}, ${folder}: ${closingLine({ ...counts, failed })}, ${seconds.toFixed(1)} s`);
    console.log(joinDots(lines));
    if (failed > counts.failed) console.log(`${runtime}: ${counts.passed} passed, then exit code ${code}`);
    if (seconds >= FOLDER_SECONDS) console.log(`${runtime}: stopped after ${FOLDER_SECONDS} s`);
    return { runtime, ...counts, failed, seconds };
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

function secondsSince(began: number): number {
  return (performance.now() - began) / 1000;
}

/** Deno gives each dot a line of its own where it sees no terminal of known width. */
function joinDots(lines: readonly string[]): string {
  const text = lines.map(stripVTControlCharacters).join("\n");
  return text.replaceAll(/(?<=^|\n)(?:[.,!]\n)+/g, (dots) => `${dots.replaceAll("\n", "")}\n`);
}
