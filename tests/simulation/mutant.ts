import { spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { type Guard, GUARDS } from "./guards.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** What a simulation needs of the library, beside the files at its root. */
const FOLDERS = ["cluster", "store", "decider", "schema", "snapshot", "bus", "tests/simulation", "tests/support"];
const FILES = ["deno.json", "package.json", "tasks/simulate.ts"];

/** What a simulation of a copy printed. */
export interface MutantRun {
  readonly output: string;
  /** The last line of it. */
  readonly result: string;
  readonly exitCode: number;
}

/** Copies the library and takes a guard out of the copy. Gives the folder. */
export async function copyWithout(guard: Guard): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "aether-mutant-"));
  const sources = (await readdir(ROOT)).filter((name) => name.endsWith(".ts"));
  for (const path of [...FOLDERS, ...FILES, ...sources]) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await cp(join(ROOT, path), join(folder, path), { recursive: true });
  }
  await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"));
  for (const { file, code, without } of guard.patches) {
    const text = await readFile(join(folder, file), "utf8");
    const parts = text.split(code);
    if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times what is to be taken out: ${code}`);
    await writeFile(join(folder, file), parts.join(without));
  }
  return folder;
}

/** Runs as many seeds without a guard, until something breaks. */
export async function runWithout(name: string, seeds: number): Promise<MutantRun> {
  const guard = GUARDS[name];
  if (guard === undefined) throw new Error(`No guard is called ${name}: ${Object.keys(GUARDS).join(", ")}`);
  const folder = await copyWithout(guard);
  try {
    const { variant, fenced, from = 1 } = guard;
    const args = [
      "run",
      "-A",
      "--no-lock",
      "--node-modules-dir=manual",
      "tasks/simulate.ts",
      "--first",
      "--seeds",
      `${seeds}`,
      "--from",
      `${from}`,
    ];
    if (variant !== undefined) args.push("--variant", variant);
    if (fenced !== undefined) args.push("--fenced", `${fenced}`);
    const running = spawn(process.execPath, args, { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    running.stdout.setEncoding("utf8").on("data", (text) => output += text);
    const exitCode = await new Promise<number>((resolve, reject) => {
      running.on("error", reject).on("close", (code) => resolve(code ?? 1));
    });
    return { output, result: output.trimEnd().split("\n").at(-1) ?? "", exitCode };
  } finally {
    await rm(folder, { recursive: true });
  }
}
