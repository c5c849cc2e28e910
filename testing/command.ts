import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import process from "node:process";

/** The variables of an environment, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** How to run a command. */
export interface RunOptions {
  /** By default that of this process. */
  readonly environment?: Environment;
  /** How long it may take. */
  readonly seconds: number;
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
}

/** Runs a command to its end, without a shell, and gives what it printed. Its last line of complaint is the error. */
export function run(file: string, args: readonly string[], options: RunOptions): Promise<string> {
  const { environment, seconds, signal } = options;
  return new Promise((resolve, reject) => {
    execFile(
      file,
      args,
      {
        env: { ...(environment ?? process.env) },
        timeout: seconds * 1000,
        windowsHide: true,
        ...(signal && { signal }),
      },
      (error, stdout, stderr) => {
        if (!error) return resolve(stdout);
        if (error.killed && !signal?.aborted) return reject(new Error(`no end after ${seconds} s`, { cause: error }));
        const lines = stderr.split("\n").map((line) => line.trim()).filter((line) => line !== "");
        reject(new Error(lines.at(-1) ?? error.message, { cause: error }));
      },
    );
  });
}

/** Every program of that name on the `PATH`, the first one first. */
export async function programs(name: string, environment: Environment): Promise<string[]> {
  const windows = process.platform === "win32";
  const path = environment.PATH ?? environment.Path ?? "";
  const found: string[] = [];
  for (const folder of path.split(delimiter).filter((folder) => folder !== "")) {
    const file = join(folder, windows ? `${name}.exe` : name);
    if (await canAccess(file, windows ? constants.F_OK : constants.X_OK)) found.push(file);
  }
  return found;
}

/** Whether a file is there and lets itself be used so; any use by default. */
export function canAccess(file: string, mode: number = constants.F_OK): Promise<boolean> {
  return access(file, mode).then(() => true, () => false);
}

/** What an error says, in one line; `fetch` has it in the cause. */
export function complaint(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.name === "TypeError" && error.cause instanceof Error ? `: ${error.cause.message}` : "";
  return `${error.message}${cause}`.replaceAll(/\s+/g, " ").trim();
}
