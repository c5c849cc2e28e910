import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { ClosedError, UnavailableError } from "../errors.ts";
import { complaint } from "./command.ts";
import { findNatsServer } from "./nats_binary.ts";
import { natsConfig, type NatsPorts, type NatsServerOptions } from "./nats_config.ts";
import { assertHealthy, until } from "./nats_health.ts";
import { Sandbox } from "./sandbox.ts";

const LOG_LINES_IN_ERRORS = 10;

type Options = NatsServerOptions & { readonly binary: string };

/**
 * A nats-server for tests: on free ports of 127.0.0.1, with its files in a temporary folder. It does not keep this
 * process alive, and is gone with it.
 *
 * @example
 * ```ts
 * import { NatsServer } from "@aether/aether/testing";
 *
 * const server = await NatsServer.start();
 * try {
 *   console.log(server.url); // nats://127.0.0.1:…
 * } finally {
 *   await server.stop();
 * }
 * ```
 */
export class NatsServer implements AsyncDisposable {
  readonly #options: Options;
  readonly #sandbox: Sandbox = new Sandbox();
  #ports: NatsPorts = { client: -1, monitor: -1, websocket: -1, cluster: -1 };
  #pid = 0;

  private constructor(options: Options) {
    this.#options = options;
  }

  /**
   * Starts one, and waits until it takes clients and JetStream has recovered. (Members of a cluster start before there
   * is a majority, so they do not wait for JetStream: `NatsCluster` does.)
   *
   * Throws what `findNatsServer` does, and `UnavailableError` with the end of the log if the server ends or is not ready
   * within 30 s.
   */
  static async start(options: NatsServerOptions = {}): Promise<NatsServer> {
    const { signal, binary = await findNatsServer({ signal }) } = options;
    const server = new NatsServer({ ...options, binary });
    try {
      await server.#launch(signal);
      return server;
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  /** What NATS calls it. */
  get name(): string {
    return this.#options.name ?? basename(this.directory);
  }

  /** Where clients connect. */
  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** The port for clients. */
  get port(): number {
    return this.#ports.client;
  }

  /** Where clients connect over WebSocket, if that was asked for. */
  get websocketUrl(): string | undefined {
    return this.#options.websocket ? `ws://127.0.0.1:${this.#ports.websocket}` : undefined;
  }

  /** Where it tells about itself over HTTP: `/varz`, `/jsz`, … */
  get monitorUrl(): string {
    return `http://127.0.0.1:${this.#ports.monitor}`;
  }

  /** Where the other servers of its cluster connect, if it is in one. */
  get clusterUrl(): string | undefined {
    return this.#options.cluster && `nats://127.0.0.1:${this.#ports.cluster}`;
  }

  /** The folder of all its files. */
  get directory(): string {
    return this.#sandbox.directory;
  }

  /** The folder of JetStream's files. */
  get storeDirectory(): string {
    return join(this.directory, "store");
  }

  /** The id of its process; of the last one while it does not run. */
  get pid(): number {
    return this.#pid;
  }

  /** Kills it and removes its folder. May be called at any time and more than once. */
  async stop(): Promise<void> {
    await this.#sandbox.remove();
  }

  /** Ends it as a crash would. The files stay, and {@linkcode restart} goes on with them. */
  async kill(): Promise<void> {
    await this.#sandbox.end("SIGKILL");
  }

  /**
   * Starts it again, on the same ports and with the same files. If it runs, it is told to end in order first. Throws as
   * {@linkcode start} does, but it can be tried again then.
   */
  async restart(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    this.#sandbox.signal("SIGCONT");
    await this.#sandbox.end("SIGTERM");
    await this.#launch(options.signal);
  }

  /** Halts it with all connections open, until {@linkcode resume}. Not on Windows. Throws if it does not run. */
  pause(): void {
    this.#assertRuns();
    this.#sandbox.signal("SIGSTOP");
  }

  /** Lets it go on after {@linkcode pause}. Throws if it does not run. */
  resume(): void {
    this.#assertRuns();
    this.#sandbox.signal("SIGCONT");
  }

  /** What it logged since its first start. */
  async log(): Promise<string> {
    this.#assertOpen();
    return await this.#sandbox.log();
  }

  /** As {@linkcode stop}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #assertOpen(): void {
    if (this.#sandbox.removed) throw new ClosedError({ what: `nats-server ${this.name}` });
  }

  #assertRuns(): void {
    this.#assertOpen();
    if (!this.#sandbox.running) throw new UnavailableError({ reason: `nats-server ${this.name} does not run` });
  }

  async #launch(signal: AbortSignal | undefined): Promise<void> {
    const over = new AbortController();
    try {
      signal?.throwIfAborted();
      const { ended } = await this.#spawn();
      const ready = until(() => this.#ready(), signal ? AbortSignal.any([signal, over.signal]) : over.signal);
      const early = ended.then((how) => Promise.reject(new Error(how)));
      await Promise.race([ready, early]);
    } catch (error) {
      await this.#sandbox.end("SIGKILL");
      signal?.throwIfAborted();
      this.#assertOpen();
      const lines = (await this.#sandbox.log()).trimEnd().split("\n").slice(-LOG_LINES_IN_ERRORS);
      const reason = [`nats-server did not start: ${complaint(error)}`, ...lines].join("\n").trimEnd();
      throw new UnavailableError({ reason }, { cause: error });
    } finally {
      over.abort();
    }
  }

  async #spawn(): Promise<{ readonly ended: Promise<string> }> {
    for (const file of await portsFiles(this.directory)) await rm(file);
    const { directory, name } = this;
    const config = join(directory, "nats.conf");
    await writeFile(config, natsConfig(this.#options, { directory, name, ports: this.#ports }));
    // The store as an argument: no `jetstream` block in the text of the caller can lead it elsewhere.
    const program = this.#sandbox.start(this.#options.binary, ["-c", config, "-sd", this.storeDirectory]);
    this.#pid = program.pid;
    return program;
  }

  /** Throws what is missing. */
  async #ready(): Promise<void> {
    if (this.port === -1) this.#ports = await readPorts(this.directory);
    await assertHealthy(this, this.#options.cluster ? "?js-enabled-only=true" : "");
  }
}

/** Their names begin with the program's name and its process id, which are another's if the binary is a script. */
async function portsFiles(directory: string): Promise<string[]> {
  const names: string[] = await readdir(directory);
  return names.filter((name) => name.endsWith(".ports")).map((name) => join(directory, name));
}

async function readPorts(directory: string): Promise<NatsPorts> {
  const [file] = await portsFiles(directory);
  if (file === undefined) throw new Error("it listens on no port yet");
  const urls: { readonly [what: string]: readonly string[] | undefined } = JSON.parse(await readFile(file, "utf8"));
  const port = (what: string): number => Number(urls[what]?.[0]?.split(":").at(-1) ?? -1);
  return { client: port("nats"), monitor: port("monitoring"), websocket: port("websocket"), cluster: port("cluster") };
}
