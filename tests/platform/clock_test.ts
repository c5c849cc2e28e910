/** What Deno, Bun and Node do, as far as leases lean on it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** Milliseconds for which a process stands still. */
const PAUSE = 400;

it("a process that was stopped finds that its monotonic clock ran on, as the wall clock did", {
  skip: process.platform === "win32",
}, async () => {
  const deno = "Deno" in globalThis ? ["run", "-A", "--no-check", "--quiet"] : [];
  const script = fileURLToPath(new URL("clock.ts", import.meta.url));
  const child = spawn(process.execPath, [...deno, script], { stdio: ["pipe", "pipe", "inherit"] });
  try {
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    assert.equal((await lines.next()).value, "ready");
    const ask = async (): Promise<readonly [number, number]> => {
      child.stdin.write("\n");
      const { value = "" } = await lines.next();
      return JSON.parse(value);
    };
    const [monotonic, wall] = await ask();
    process.kill(child.pid ?? 0, "SIGSTOP");
    await delay(PAUSE);
    process.kill(child.pid ?? 0, "SIGCONT");
    const [later, wallLater] = await ask();
    assert.ok(later - monotonic > PAUSE - 50, `${later - monotonic} ms`);
    assert.ok(Math.abs((later - monotonic) - (wallLater - wall)) < 50);
  } finally {
    process.kill(child.pid ?? 0, "SIGKILL");
  }
});
