import { type NatsConnection, wsconnect } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { ClosedError, InvalidArgumentError, UnavailableError } from "../errors.ts";
import { findNatsServer } from "../testing/nats_binary.ts";
import { NatsCluster } from "../testing/nats_cluster.ts";
import { NatsServer } from "../testing/nats_server.ts";

/** Bun takes a test for lost after 5 s, and a cluster may need some to elect a leader. */
const SLOW = { timeout: 60_000 };

describe("NatsServer", () => {
  it("takes clients and makes streams as soon as it has started", async () => {
    await using server = await NatsServer.start();
    await using client = await clientOf(server.url);
    assert.equal(server.url, `nats://127.0.0.1:${server.port}`);
    assert.equal(client.connection.info?.server_name, server.name);
    assert.equal(client.connection.info?.jetstream, true);
    await api(client, "STREAM.CREATE.X", { name: "X", subjects: ["x"] });
    await client.connection.request("x", "1");
    assert.equal(await messagesOf(client, "X"), 1);
  });

  it("leaves JetStream out if asked to", async () => {
    await using server = await NatsServer.start({ jetstream: false });
    await using client = await clientOf(server.url);
    assert.equal(client.connection.info?.jetstream ?? false, false);
    assert.equal(existsSync(server.storeDirectory), false);
  });

  it("takes WebSocket connections if asked to", async () => {
    await using server = await NatsServer.start({ websocket: true });
    assert.ok(server.websocketUrl);
    const connection = await wsconnect({ servers: server.websocketUrl });
    await connection.flush();
    await connection.close();
    await using plain = await NatsServer.start();
    assert.equal(plain.websocketUrl, undefined);
  });

  it("keeps to the limits that it is given", async () => {
    await using server = await NatsServer.start({
      maxPayload: 4096,
      maxStorage: 1_000_000,
      maxMemory: 2_000_000,
      syncInterval: 1500,
      jetstream: { domain: "shop" },
      config: "max_subscriptions: 77",
    });
    await using client = await clientOf(server.url);
    assert.equal(client.connection.info?.max_payload, 4096);
    const { config } = await monitor(server, "jsz", "config=true");
    assert.deepEqual(
      [config.max_storage, config.max_memory, config.sync_interval, config.domain],
      [1_000_000, 2_000_000, 1_500_000_000, "shop"],
    );
    assert.equal((await monitor(server, "varz")).max_subscriptions, 77);
    await assert.rejects(
      api(client, "STREAM.CREATE.X", { name: "X", subjects: ["x"], max_bytes: 1_000_001 }),
      /insufficient storage/,
    );
    await using careful = await NatsServer.start({ syncInterval: "always" });
    assert.equal((await monitor(careful, "jsz", "config=true")).config.sync_always, true);
  });

  it("keeps its files in its folder, also if the text of the caller sets JetStream up anew", async () => {
    await using server = await NatsServer.start({ config: "jetstream { domain: shop }" });
    const { config } = await monitor(server, "jsz", "config=true");
    assert.deepEqual([config.domain, config.store_dir], ["shop", join(server.storeDirectory, "jetstream")]);
    assert.ok(server.storeDirectory.startsWith(server.directory));
  });

  it("keeps accounts apart and users to their permissions and limits", async () => {
    const password = "p";
    await using server = await NatsServer.start({
      accounts: {
        A: { users: [{ user: "a", password }], jetstream: { maxStreams: 1 } },
        B: {
          users: [{ user: "b", password, permissions: { publish: { allow: ["b"] }, subscribe: { deny: ["secret"] } } }],
          jetstream: false,
        },
        C: {
          users: [
            { user: "c", password, permissions: { publish: { deny: [">"] }, allowResponses: true } },
            { user: "d", password },
          ],
        },
      },
    });
    await assert.rejects(connect({ servers: server.url }), /Authorization Violation/);
    await assert.rejects(connect({ servers: server.url, user: "a", pass: "q" }), /Authorization Violation/);
    await using a = await clientOf(server.url, { user: "a", pass: password });
    await using b = await clientOf(server.url, { user: "b", pass: password });

    const heard = a.connection.subscribe("b");
    await a.connection.flush();
    b.connection.publish("b", "from b");
    b.connection.publish("b.2");
    await b.connection.flush();
    a.connection.publish("b", "from a");
    for await (const message of heard) {
      assert.equal(message.string(), "from a");
      break;
    }
    await assert.rejects(b.connection.request("not-b"), /Permissions Violation/);
    const secret = b.connection.subscribe("secret");
    await assert.rejects(secret[Symbol.asyncIterator]().next(), /Permissions Violation/);

    await using c = await clientOf(server.url, { user: "c", pass: password });
    await using d = await clientOf(server.url, { user: "d", pass: password });
    c.connection.subscribe("ask", { callback: (_, message) => void message.respond("answer") });
    await c.connection.flush();
    assert.equal((await d.connection.request("ask")).string(), "answer");
    await assert.rejects(c.connection.request("not-asked"), /Permissions Violation/);

    await api(a, "STREAM.CREATE.X", { name: "X", subjects: ["x"] });
    await assert.rejects(api(a, "STREAM.CREATE.Y", { name: "Y", subjects: ["y"] }), /maximum number of streams/);
  });

  it("has its streams and ports again after a kill and a restart", async () => {
    await using server = await NatsServer.start({ websocket: true });
    const { pid, url, monitorUrl, websocketUrl } = server;
    {
      await using client = await clientOf(server.url);
      await api(client, "STREAM.CREATE.X", { name: "X", subjects: ["x"] });
      await client.connection.request("x", "1");
      await server.kill();
    }
    assert.equal(isAlive(pid), false);
    assert.ok(existsSync(server.storeDirectory));
    await server.restart();
    assert.notEqual(server.pid, pid);
    await server.restart();
    assert.deepEqual([server.url, server.monitorUrl, server.websocketUrl], [url, monitorUrl, websocketUrl]);
    await using client = await clientOf(url);
    assert.equal(await messagesOf(client, "X"), 1);
    assert.match(await server.log(), /Server is ready[^]*Server is ready[^]*Initiating Shutdown[^]*Server is ready/);
  });

  it("answers nothing while it is paused", async () => {
    await using server = await NatsServer.start();
    await using client = await clientOf(server.url);
    await server.pause();
    const answered = client.connection.flush().then(() => "answered");
    assert.equal(await Promise.race([answered, delay(50, "silent")]), "silent");
    await server.resume();
    assert.equal(await answered, "answered");
    await server.kill();
    await assert.rejects(server.pause(), UnavailableError);
    await assert.rejects(server.resume(), UnavailableError);
  });

  it("says why it does not start, at once, and leaves nothing", async () => {
    const started = performance.now();
    await assert.rejects(NatsServer.start({ config: "no_such_setting: 1" }), (error) => {
      assert.ok(error instanceof UnavailableError);
      assert.match(error.reason, /exit code 1\n.*unknown field "no_such_setting"/);
      return !existsSync(/\S+(?=.nats\.conf)/.exec(error.reason)?.[0] ?? ".");
    });
    await assert.rejects(NatsServer.start({ binary: join(tmpdir(), "no-such-file") }), /ENOENT/);
    assert.ok(performance.now() - started < 5_000);
  });

  it("gives a start up with the reason of the signal", async () => {
    const reason = new Error("changed my mind");
    await assert.rejects(NatsServer.start({ signal: AbortSignal.abort(reason) }), reason);
    const later = new AbortController();
    const start = NatsServer.start({ signal: later.signal });
    later.abort(reason);
    await assert.rejects(start, reason);
  });

  it("is gone after stop, and also when the body throws", async () => {
    let last: NatsServer | undefined;
    await assert.rejects(async () => {
      await using server = await NatsServer.start();
      last = server;
      await server.pause();
      throw new Error("from the body");
    }, /from the body/);
    assert.ok(last);
    assertGone(last);
    await last.stop();
    await assert.rejects(last.restart(), ClosedError);
    await assert.rejects(last.log(), ClosedError);
  });

  it("can be stopped while it restarts", async () => {
    const server = await NatsServer.start();
    const restarted = server.restart().catch((error) => error);
    await server.stop();
    assert.ok(await restarted instanceof Error);
    assertGone(server);
  });
});

describe("NatsCluster", () => {
  it("makes a stream with three replicas as soon as it has started", SLOW, async () => {
    await using cluster = await NatsCluster.start();
    assert.deepEqual(cluster.servers.map((server) => server.name), ["n1", "n2", "n3"]);
    for (const url of cluster.urls) {
      await using client = await clientOf(url);
      const { cluster: place } = await api(client, "STREAM.CREATE.X", { name: "X", subjects: ["x"], num_replicas: 3 });
      const members = [place.leader, ...place.replicas.map((replica: { readonly name: string }) => replica.name)];
      assert.deepEqual(members.sort(), ["n1", "n2", "n3"]);
      await api(client, "STREAM.DELETE.X", {});
    }
  });

  it("is connected all round as soon as it has started", SLOW, async () => {
    await using cluster = await NatsCluster.start({ jetstream: false });
    for (const server of cluster.servers) assert.equal((await neighboursOf(server)).size, 2);
  });

  it("has a killed member again, with its data, after a restart", SLOW, async () => {
    await using cluster = await NatsCluster.start();
    await using client = await clientOf(cluster.urls);
    const stream = await api(client, "STREAM.CREATE.X", { name: "X", subjects: ["x"], num_replicas: 3 });
    // The stream's leader subscribes after that answer.
    await eventually(() => client.connection.request("x", "1").then(() => true, () => false));
    // Of a server that leads nothing: an election takes seconds.
    const leaders = [stream.cluster.leader, (await monitor(cluster.servers[0], "jsz")).meta_cluster.leader];
    const follower = cluster.servers.find((server) => !leaders.includes(server.name));
    assert.ok(follower);
    await follower.kill();
    await follower.restart();
    await cluster.ready();
    await eventually(async () => {
      const { account_details: accounts } = await monitor(follower, "jsz", "accounts=true&streams=true");
      return accounts[0].stream_detail[0].state.messages === 1;
    });
  });

  it("finds together again without the server that was started first", SLOW, async () => {
    await using cluster = await NatsCluster.start({ jetstream: false });
    const [first, second, third] = cluster.servers;
    assert.ok(first && second && third);
    await Promise.all(cluster.servers.map((server) => server.kill()));
    await Promise.all([second.restart(), third.restart()]);
    await eventually(async () => (await neighboursOf(second)).has("n3"));
    await first.restart();
    await cluster.ready();
  });

  it("leaves nothing, however it ends", SLOW, async () => {
    const cluster = await NatsCluster.start({ size: 2 });
    await cluster.stop();
    cluster.servers.forEach(assertGone);
    await using folder = await temporaryFolder();
    const [binary, seen] = [join(folder.path, "nats-server"), join(folder.path, "seen")];
    const script =
      `#!/bin/sh\necho "$2" >> ${seen}\ngrep -q '"n2"' "$2" && exit 3\nexec ${await findNatsServer()} "$@"\n`;
    await writeFile(binary, script, { mode: 0o755 });
    await assert.rejects(NatsCluster.start({ binary }), /did not start: exit code 3/);
    const configs = (await readFile(seen, "utf8")).trim().split("\n");
    assert.deepEqual(configs.map((config) => existsSync(config)), [false, false, false]);
    const reason = new Error("changed my mind");
    const later = new AbortController();
    const start = NatsCluster.start({ signal: later.signal });
    later.abort(reason);
    await assert.rejects(start, reason);
    await assert.rejects(NatsCluster.start({ size: 1 }), InvalidArgumentError);
  });
});

describe("a process that ends without stopping its server leaves nothing", () => {
  const ends = {
    "at its last line": ["", 0],
    "by process.exit": ["process.exit(7);", 7],
    "by an error that nobody catches": ["throw new Error('uncaught');", 1],
    "by SIGTERM": ["process.kill(process.pid, 'SIGTERM'); await new Promise(() => setInterval(() => {}, 1000));", null],
    "by SIGINT": ["process.kill(process.pid, 'SIGINT'); await new Promise(() => setInterval(() => {}, 1000));", null],
    "by SIGKILL": ["process.kill(process.pid, 'SIGKILL'); await new Promise(() => setInterval(() => {}, 1000));", null],
  } as const;
  for (const [how, [code, exitCode]] of Object.entries(ends)) {
    it(how, async () => {
      await using script = await Script.run(`
        const server = await NatsServer.start();
        console.log(server.monitorUrl);
        ${code}`);
      const url = (await script.output).trim();
      assert.match(url, /^http:/);
      assert.equal(await script.exitCode, exitCode);
      // A process id stays taken until its new parent has noticed.
      await eventually(() => fetch(url, { method: "HEAD" }).then(() => false, () => true));
      await eventually(() => isEmpty(script.temporary));
    });
  }

  it("once its own handler of a signal, which may still use the server, is done", async () => {
    await using script = await Script.run(`
      const server = await NatsServer.start();
      process.on("SIGINT", async () => {
        const health = await fetch(server.monitorUrl + "/healthz");
        console.log(await health.text());
        process.exit(7);
      });
      // As a Ctrl-C, which goes to the whole group of processes.
      process.kill(-process.pid, "SIGINT");
      await new Promise(() => setInterval(() => {}, 1000));`);
    assert.match(await script.output, /"status":"ok"/);
    assert.equal(await script.exitCode, 7);
    await eventually(() => isEmpty(script.temporary));
  });

  it("and a stopped one does not keep the process from ending", async () => {
    await using script = await Script.run(`
      const server = await NatsServer.start();
      await server.stop();`);
    assert.equal(await script.exitCode, 0);
    assert.deepEqual(await readdir(script.temporary), []);
  });
});

/** A program in a process of the runtime that runs the tests, with a folder for temporary files of its own. */
class Script implements AsyncDisposable {
  readonly temporary: string;
  readonly output: Promise<string>;
  readonly exitCode: Promise<number | null>;
  readonly #folder: string;

  static async run(body: string): Promise<Script> {
    const binary = await findNatsServer();
    const folder = await mkdtemp(join(tmpdir(), "aether-script-"));
    const temporary = await mkdtemp(join(folder, "tmp-"));
    const file = join(folder, "script.ts");
    const module = new URL("../testing/nats_server.ts", import.meta.url).href;
    await writeFile(
      file,
      `import process from "node:process";\nimport { NatsServer } from ${JSON.stringify(module)};\n${body}\n`,
    );
    const run = "Deno" in globalThis ? ["run", "-A", "--no-check"] : [];
    const child = spawn(process.execPath, [...run, file], {
      env: { ...process.env, NATS_SERVER: binary, TMPDIR: temporary },
      stdio: ["ignore", "pipe", "ignore"],
      detached: true,
      timeout: 20_000,
      killSignal: "SIGKILL",
    });
    return new Script(folder, temporary, child);
  }

  private constructor(folder: string, temporary: string, child: ChildProcess) {
    this.#folder = folder;
    this.temporary = temporary;
    this.exitCode = new Promise((resolve) => child.once("close", resolve));
    this.output = (async () => {
      let text = "";
      for await (const chunk of child.stdout ?? []) text += chunk;
      return text;
    })();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.exitCode;
    await rm(this.#folder, { recursive: true, force: true });
  }
}

interface Client extends AsyncDisposable {
  readonly connection: NatsConnection;
}

async function clientOf(
  servers: string | readonly string[],
  options: { user?: string; pass?: string } = {},
): Promise<Client> {
  const connection = await connect({ servers: [servers].flat(), ...options, reconnect: false });
  return { connection, [Symbol.asyncDispose]: () => connection.close() };
}

// deno-lint-ignore no-explicit-any -- what the server answers is looked at, not declared
async function api(client: Client, what: string, body: unknown): Promise<any> {
  const answer = (await client.connection.request(`$JS.API.${what}`, JSON.stringify(body), { timeout: 10_000 })).json();
  // deno-lint-ignore no-explicit-any
  const { error } = answer as any;
  if (error) throw new Error(error.description);
  return answer;
}

async function messagesOf(client: Client, stream: string): Promise<number> {
  return (await api(client, `STREAM.INFO.${stream}`, {})).state.messages;
}

// deno-lint-ignore no-explicit-any -- the same
async function monitor(server: NatsServer | undefined, what: string, query = ""): Promise<any> {
  return await (await fetch(`${server?.monitorUrl}/${what}?${query}`)).json();
}

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "aether-test-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

async function neighboursOf(server: NatsServer): Promise<Set<string>> {
  const { routes } = await monitor(server, "routez");
  return new Set(routes?.map((route: { readonly remote_name: string }) => route.remote_name));
}

/** Waits for it, 30 s at most. */
async function eventually(holds: () => Promise<boolean>): Promise<void> {
  const limit = performance.now() + 30_000;
  while (!await holds()) {
    assert.ok(performance.now() < limit, `not within 30 s: ${holds}`);
    await delay(5);
  }
}

async function isEmpty(folder: string): Promise<boolean> {
  return (await readdir(folder)).length === 0;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function assertGone(server: NatsServer): void {
  assert.equal(isAlive(server.pid), false);
  assert.equal(existsSync(server.directory), false);
}
