/**
 * The whole suite on Deno, Bun and Node: `deno task test [deno|bun|node ...] [-- part of a file's path ...]`.
 * What is missing of them, and a nats-server, is fetched once.
 * @module
 */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { stripVTControlCharacters } from "node:util";
import { findNatsServer } from "../testing/nats_binary.ts";
import { find, ROOT, run, type Runtime, RUNTIMES } from "./runtimes.ts";
import { closingLine, type Counts, countTests, table, total } from "./summary.ts";

/** Of one test; a cluster of servers on a busy machine takes its time. */
const TEST_SECONDS = 120;
/** Of the suite on one runtime; Deno has no limit for a test. */
const SUITE_SECONDS = 15 * 60;

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
  // Each file in a process of its own, and one fewer at once than there are cores.
  node: (files, report) => [
    "--test",
    // None by default.
    `--test-timeout=${TEST_SECONDS * 1000}`,
    "--test-reporter=./tasks/test_on_node.ts",
    "--test-reporter-destination=stdout",
    "--test-reporter=junit",
    `--test-reporter-destination=${report}`,
    ...files,
  ],
};

interface Result extends Counts {
  readonly runtime: Runtime;
  readonly version: string;
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

  const results: Result[] = [];
  for (const runtime of RUNTIMES) {
    if (names.length === 0 || names.includes(runtime)) results.push(await testOn(runtime, files, natsServer));
  }

  const head = ["runtime", "version", "passed", "failed", "skipped", "seconds"];
  const rows = results.map((of) => [of.runtime, of.version, of.passed, of.failed, of.skipped, of.seconds.toFixed(1)]);
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

async function testOn(runtime: Runtime, files: readonly string[], natsServer: string): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), "aether-test-"));
  try {
    const { version } = await find(runtime);
    console.log(`\n# ${runtime} ${version}`);
    const report = join(folder, "report.xml");
    const began = performance.now();
    const code = await run(runtime, ARGUMENTS[runtime](files, report), {
      environment: { NATS_SERVER: natsServer },
      seconds: SUITE_SECONDS,
      line: runtime === "deno" ? joinDots() : undefined,
    });
    const seconds = (performance.now() - began) / 1000;
    const counts = countTests(await readFile(report, "utf8").catch(() => ""));
    // A file that cannot be loaded, a hook that throws, a crash: not every runner counts them as a test.
    const failedSomehow = code !== 0 || counts.passed + counts.failed === 0;
    const failed = Math.max(counts.failed, failedSomehow ? 1 : 0);
    if (failed > counts.failed) console.log(`${runtime}: ${counts.passed} passed, then exit code ${code}`);
    if (seconds >= SUITE_SECONDS) console.log(`${runtime}: stopped after ${SUITE_SECONDS} s`);
    return { runtime, version, ...counts, failed, seconds };
  } catch (error) {
    console.error(`${runtime}: ${error instanceof Error ? error.message : error}`);
    return { runtime, version: "-", passed: 0, failed: 1, skipped: 0, seconds: 0 };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Deno gives each dot a line of its own where it sees no terminal of known width. */
function joinDots(): (line: string) => void {
  let dots = false;
  return (line) => {
    const isDot = /^[.,!]$/.test(stripVTControlCharacters(line));
    process.stdout.write(isDot ? line : `${dots ? "\n" : ""}${line}\n`);
    dots = isDot;
  };
}
