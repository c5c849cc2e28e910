/** A PostgreSQL of its own, in a temporary folder, reached by a socket in it. */
import { type ChildProcess, spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { chown, mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";

/** Milliseconds until it takes connections, and until it must have ended. */
const PATIENCE = 10_000;

/** A server that runs. */
export interface Postgres {
  readonly connectionString: string;
  readonly version: string;
  stop(): Promise<void>;
}

/** Starts one; undefined if there is no PostgreSQL on this machine. */
export async function startPostgres(): Promise<Postgres | undefined> {
  const binaries = await findBinaries();
  if (binaries === undefined) return undefined;
  const directory = await mkdtemp(join(tmpdir(), "aether-postgres-"));
  let server: ChildProcess | undefined;
  let ended: Promise<unknown> = Promise.resolve();
  const abandon = (): void => {
    server?.kill("SIGQUIT");
    rmSync(directory, { recursive: true, force: true });
  };
  process.once("exit", abandon);
  const stop = async (): Promise<void> => {
    server?.kill("SIGTERM"); // waits for its clients to go
    const impatient = setTimeout(() => server?.kill("SIGINT"), PATIENCE);
    await ended;
    clearTimeout(impatient);
    process.off("exit", abandon);
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const user = await unprivileged();
    if (user) await chown(directory, user.uid, user.gid);
    const data = join(directory, "data");
    const run = { cwd: directory, ...user };
    await output(join(binaries, "initdb"), [
      "-D",
      data,
      "-U",
      "bench",
      "-A",
      "trust",
      "-E",
      "UTF8",
      "--locale=C",
    ], run);
    const version = await output(
      join(binaries, "postgres"),
      ["--version"],
      run,
    );
    const child = spawn(join(binaries, "postgres"), [
      "-D",
      data,
      "-k",
      directory,
      "-h",
      "",
    ], { ...run, stdio: "ignore" });
    server = child;
    ended = new Promise((resolve) => child.once("exit", resolve));
    await ready(data);
    const connectionString = `postgresql://bench@localhost/postgres?host=${encodeURIComponent(directory)}`;
    return { connectionString, version: version.trim(), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The folder of `initdb` and `postgres`: on the PATH, or the newest where Debian has them. */
async function findBinaries(): Promise<string | undefined> {
  const debian = "/usr/lib/postgresql";
  const versions = await readdir(debian).catch(() => []);
  const newest = versions.map(Number).filter(Number.isFinite).sort((a, b) => b - a);
  const folders = [
    ...(process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== ""),
    ...newest.map((version) => join(debian, String(version), "bin")),
  ];
  for (const folder of folders) {
    const found = await Promise.all(
      ["initdb", "postgres"].map((name) => stat(join(folder, name)).catch(() => undefined)),
    );
    if (found.every((file) => file?.isFile())) return folder;
  }
  return undefined;
}

/** PostgreSQL does not run as root: who it then runs as. */
async function unprivileged(): Promise<
  { uid: number; gid: number } | undefined
> {
  if (process.getuid?.() !== 0) return undefined;
  const lines = (await readFile("/etc/passwd", "utf8")).split("\n").map((
    line,
  ) => line.split(":"));
  const [, , uid, gid] = lines.find(([name]) => name === "postgres") ??
    lines.find(([name]) => name === "nobody") ?? [];
  return { uid: Number(uid), gid: Number(gid) };
}

/** `postmaster.pid` says so. */
async function ready(data: string): Promise<void> {
  for (const end = performance.now() + PATIENCE; performance.now() < end;) {
    const text = await readFile(join(data, "postmaster.pid"), "utf8").catch(
      () => "",
    );
    if (text.split("\n").some((line) => line.trim() === "ready")) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`PostgreSQL is not ready after ${PATIENCE} ms`);
}

async function output(
  file: string,
  args: readonly string[],
  options: object,
): Promise<string> {
  const child = spawn(file, args, {
    ...options,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (piece: string) => text += piece);
  child.stderr.setEncoding("utf8").on("data", (piece: string) => text += piece);
  const code = await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
  if (code !== 0) throw new Error(`${file} ended with ${code}: ${text}`);
  return text;
}
