import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { ClosedError, UnavailableError } from "../errors.ts";
import { complaint } from "./command.ts";
import { findNatsServer } from "./nats_binary.ts";
import { natsConfig, type NatsPorts, type NatsServerOptions } from "./nats_config.ts";
import { answers, assertHealthy, until } from "./nats_health.ts";
import { type Program, Sandbox } from "./sandbox.ts";

const LOG_LINES_IN_ERRORS = 10;

/** A server that runs answers within 2 ms. */
const SILENCE_MILLISECONDS = 50;

type Options = NatsServerOptions & { readonly binary: string };

/**
 * A nats-server for tests: on free ports of 127.0.0.1, with its files in a temporary folder. It does not keep this
 * process alive, and is gone with it (on Windows not if that is killed).
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
  #paused = false;

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

  /**
   * Halts it with all connections open, until {@linkcode resume}, and waits until it answers nothing more. Not on
   * Windows. Throws `UnavailableError` if it does not run.
   */
  async pause(): Promise<void> {
    this.#signal("SIGSTOP");
    this.#paused = true;
    // Each of its threads halts when the signal comes to it; under load some answer for milliseconds more.
    while (this.#paused && await answers(this, SILENCE_MILLISECONDS));
  }

  /** Lets it go on after {@linkcode pause}, and waits until it answers. Throws `UnavailableError` if it does not run. */
  async resume(): Promise<void> {
    this.#paused = false;
    this.#signal("SIGCONT");
    await until(() => this.#ready(), undefined);
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

  #signal(name: NodeJS.Signals): void {
    this.#assertOpen();
    if (!this.#sandbox.running) throw new UnavailableError({ reason: `nats-server ${this.name} does not run` });
    this.#sandbox.signal(name);
  }

  async #launch(signal: AbortSignal | undefined): Promise<void> {
    const over = new AbortController();
    try {
      signal?.throwIfAborted();
      const { ended } = this.#spawn();
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

  /** Without a pause in it, so that nothing is written into a folder that `stop` removes at that moment. */
  #spawn(): Program {
    this.#assertOpen();
    this.#paused = false;
    const { directory, name } = this;
    const config = join(directory, "nats.conf");
    writeFileSync(config, natsConfig(this.#options, { directory, name, ports: this.#ports }));
    // The store as an argument: no `jetstream` block in the text of the caller can lead it elsewhere.
    const program = this.#sandbox.start(this.#options.binary, ["-c", config, "-sd", this.storeDirectory]);
    this.#pid = program.pid;
    return program;
  }

  /** Throws what is missing. */
  async #ready(): Promise<void> {
    this.#ports = readPorts(this.directory);
    await assertHealthy(this, this.#options.cluster ? "?js-enabled-only=true" : "");
  }
}

/**
 * Its name begins with the program's and its process id, which are another's if the binary is a script; those of
 * processes that crashed say the same.
 */
function readPorts(directory: string): NatsPorts {
  const file = readdirSync(directory).find((name) => name.endsWith(".ports"));
  if (file === undefined) throw new Error("it listens on no port yet");
  const urls: { readonly [what: string]: readonly string[] | undefined } = JSON.parse(
    readFileSync(join(directory, file), "utf8"),
  );
  const port = (what: string): number => Number(urls[what]?.[0]?.split(":").at(-1) ?? -1);
  return { client: port("nats"), monitor: port("monitoring"), websocket: port("websocket"), cluster: port("cluster") };
}
