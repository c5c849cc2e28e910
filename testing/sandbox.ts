import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** On Windows a file may be in use for a moment after the program that used it. */
const REMOVE = { recursive: true, force: true, maxRetries: 5, retryDelay: 50 } as const;

/**
 * Waits until its input ends, which it does when this process has, also by a signal on which no code of ours runs. The
 * program that it kills may still write into the folder, hence twice.
 */
const GUARD = `read -r _
[ -f "$1/pid" ] && kill -9 "$(cat "$1/pid")"
rm -rf "$1" || { sleep 1; rm -rf "$1"; }`;

const sandboxes: Set<Sandbox> = new Set();
let hooked = false;

/** A program that was started. */
export interface Program {
  /** The id of its process; 0 if there is none. */
  readonly pid: number;
  /** How it ended, once it has. */
  readonly ended: Promise<string>;
}

/**
 * A temporary folder and a program that runs with it. Both are gone when this process is, however that ends; neither
 * keeps this process alive.
 */
export class Sandbox {
  /** The folder. */
  readonly directory: string = mkdtempSync(join(tmpdir(), "aether-"));
  readonly #log: string = join(this.directory, "log");
  readonly #pid: string = join(this.directory, "pid");
  readonly #guard: ChildProcess | undefined = startGuard(this.directory);
  #child: ChildProcess | undefined;
  #ended: Promise<string> | undefined;
  #removed = false;

  /** Makes the folder. */
  constructor() {
    sandboxes.add(this);
    if (hooked) return;
    hooked = true;
    process.on("exit", removeAllNow);
    // `deno test` emits no "exit".
    if ("Deno" in globalThis) addEventListener("unload", removeAllNow);
  }

  /** Whether the program runs. */
  get running(): boolean {
    return this.#child !== undefined;
  }

  /** Whether it was removed. */
  get removed(): boolean {
    return this.#removed;
  }

  /** Starts a program, if none runs. */
  start(file: string, args: readonly string[]): Program {
    if (this.#child) throw new Error("it runs already");
    const log = openSync(this.#log, "a");
    // In a session of its own: a Ctrl-C is meant for this process, which may need the program to end in order.
    const child = spawn(file, args, { stdio: ["ignore", log, log], detached: true, windowsHide: true });
    closeSync(log);
    if (child.pid !== undefined) {
      writeFileSync(this.#pid, String(child.pid));
      child.unref();
    }
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      const end = (how: string): void => {
        this.#child = undefined;
        rmSync(this.#pid, REMOVE);
        resolve(how);
      };
      child.once("exit", (code, signal) => end(signal ?? `exit code ${code}`));
      child.once("error", (error) => end(error.message));
    });
    return { pid: child.pid ?? 0, ended: this.#ended };
  }

  /** Sends a signal to the program, if it runs. */
  signal(name: NodeJS.Signals): void {
    if (this.#child?.pid === undefined) return;
    try {
      // `child.kill` of Deno 2.9 sends one signal only: it takes the first for the end, SIGCONT too.
      process.kill(this.#child.pid, name);
    } catch {
      // It ended just now.
    }
  }

  /** Sends a signal to the program, if it runs, and waits for its end. */
  async end(name: NodeJS.Signals): Promise<void> {
    if (this.#child?.pid !== undefined) this.#child.ref();
    this.signal(name);
    await this.#ended;
  }

  /** What the program wrote to its output. */
  async log(): Promise<string> {
    return await readFile(this.#log, "utf8");
  }

  /** Kills the program and removes the folder. */
  async remove(): Promise<void> {
    this.#removed = true;
    await this.end("SIGKILL");
    await rm(this.directory, REMOVE);
    sandboxes.delete(this);
    this.#guard?.kill("SIGKILL");
  }

  /** The same as far as it can be done without waiting. */
  removeNow(): void {
    this.signal("SIGKILL");
    rmSync(this.directory, REMOVE);
  }
}

function startGuard(directory: string): ChildProcess | undefined {
  if (process.platform === "win32") return undefined;
  const guard = spawn("sh", ["-c", GUARD, "sh", directory], { stdio: ["pipe", "ignore", "ignore"], detached: true });
  // A machine without a shell has no guard.
  guard.on("error", () => {});
  if (guard.pid === undefined) return undefined;
  guard.unref();
  return guard;
}

function removeAllNow(): void {
  for (const sandbox of sandboxes) {
    try {
      sandbox.removeNow();
    } catch {
      // The program may write until it is dead. The guard comes later.
    }
  }
}
