/** Other processes of the runtime that the tests run on. */
import { spawn } from "node:child_process";
import process from "node:process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

/** What a script printed; rejects if it fails. */
export async function runScript(script: URL, args: readonly string[]): Promise<string> {
  const deno = "Deno" in globalThis ? ["run", "-A", "--no-check", "--quiet"] : [];
  const child = spawn(process.execPath, [...deno, fileURLToPath(script), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise<number | null>((resolve, reject) => child.once("error", reject).once("close", resolve));
  const [code, output] = await Promise.all([ended, text(child.stdout)]);
  if (code !== 0) throw new Error(`${script.pathname} ended with ${code}: ${output}`);
  return output;
}
