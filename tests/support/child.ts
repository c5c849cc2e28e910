/** Processes on Deno, Bun and Node that are spoken to by lines of JSON; started by Deno only. */
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { find, ROOT, type Runtime } from "../../tasks/runtimes.ts";

/** A process that was started: what it says is kept, what it is asked it answers by number. */
export class Child<Said extends object> {
  readonly runtime: Runtime;
  readonly pid: number;
  /** All lines but its answers, in order. */
  readonly said: Said[] = [];
  /** Its exit code or the signal that ended it, once it has ended. */
  readonly ended: Promise<number | string>;
  hasEnded = false;
  readonly #process: ChildProcess;
  readonly #answers = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #listeners = new Set<() => void>();
  #count = 0;

  private constructor(runtime: Runtime, child: ChildProcess) {
    this.runtime = runtime;
    this.#process = child;
    this.pid = child.pid ?? 0;
    this.ended = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => resolve(signal ?? code ?? 1));
    });
    void this.ended.catch(() => {}).then(() => {
      this.hasEnded = true;
      for (const { reject } of this.#answers.values()) reject(new Error("the process has ended"));
      this.#tell();
    });
    child.stdin?.on("error", () => {}); // it has ended
    if (child.stdout) createInterface({ input: child.stdout }).on("line", (line) => this.#hear(line));
  }

  static async start<Said extends object>(runtime: Runtime, script: URL, options: object): Promise<Child<Said>> {
    const { path } = await find(runtime);
    const deno = runtime === "deno" ? ["run", "-A", "--no-check", "--quiet"] : [];
    const child = spawn(path, [...deno, fileURLToPath(script), JSON.stringify(options)], {
      cwd: ROOT,
      stdio: ["pipe", "pipe", "inherit"],
    });
    return new Child(runtime, child);
  }

  /** Asks, and waits for the answer. */
  ask(order: object): Promise<unknown> {
    const number = ++this.#count;
    const answer = Promise.withResolvers<unknown>();
    this.#answers.set(number, answer);
    this.#process.stdin?.write(`${JSON.stringify({ number, ...order })}\n`);
    return answer.promise;
  }

  /** The first line that is meant, whether it was said or will be; rejects once it has ended, or after so many seconds. */
  async heard<T>(meant: (said: Said) => T | undefined, seconds = 30, from = 0): Promise<T> {
    const limit = performance.now() + seconds * 1_000;
    for (let index = from;;) {
      for (; index < this.said.length; index++) {
        const found = meant(this.said[index] as Said);
        if (found !== undefined) return found;
      }
      if (this.hasEnded) throw new Error(`${this.runtime} ended: ${JSON.stringify(this.said.slice(-5))}`);
      const left = limit - performance.now();
      if (left <= 0) throw new Error(`not said within ${seconds} s: ${meant}; ${JSON.stringify(this.said.slice(-5))}`);
      await this.#change(left);
    }
  }

  /** `child.kill` of Deno 2.9 sends one signal only. */
  signal(name: NodeJS.Signals): void {
    if (!this.hasEnded && this.pid > 0) process.kill(this.pid, name);
  }

  /** Ends it as a crash would; may be called more than once. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.ended;
  }

  onLine(listener: () => void): void {
    this.#listeners.add(listener);
  }

  async #change(milliseconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, milliseconds);
    this.#listeners.add(resolve);
    await promise;
    this.#listeners.delete(resolve);
    clearTimeout(timer);
  }

  #hear(line: string): void {
    const said = JSON.parse(line) as Said & { readonly answers?: number; readonly value?: unknown };
    if (said.answers === undefined) this.said.push(said);
    else {
      this.#answers.get(said.answers)?.resolve(said.value);
      this.#answers.delete(said.answers);
    }
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}
