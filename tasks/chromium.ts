/** A headless Chromium, led by its DevTools protocol: as much of it as showing one page takes. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { until } from "../testing/nats_health.ts";
import { Sandbox } from "../testing/sandbox.ts";

/** It usually takes 100. */
const CLOSING_MILLISECONDS = 5000;

const NAMES = ["chromium", "chromium-browser", "google-chrome"];

/** The path of a Chromium: `CHROMIUM`, or one on the `PATH`. */
export function findChromium(): string | undefined {
  const { CHROMIUM, PATH = "" } = process.env;
  if (CHROMIUM) return CHROMIUM;
  return NAMES.flatMap((name) => PATH.split(delimiter).map((folder) => join(folder, name))).find(existsSync);
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

/** One page in a Chromium with a profile of its own; both are gone when this process is, however that ends. */
export class Chromium {
  readonly #sandbox = new Sandbox();
  readonly #calls = new Map<number, PromiseWithResolvers<Record<string, unknown>>>();
  readonly #failed = Promise.withResolvers<never>();
  readonly #loaded = Promise.withResolvers<void>();
  #socket: WebSocket | undefined;
  #session: string | undefined;
  #version = "?";
  #count = 0;

  private constructor() {
    this.#failed.promise.catch(() => {});
  }

  /** Starts it and loads a page. */
  static async open(binary: string, url: string, signal: AbortSignal): Promise<Chromium> {
    const chromium = new Chromium();
    try {
      await chromium.#open(binary, url, signal);
      return chromium;
    } catch (error) {
      await chromium[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Such as `156.0.8078.108`. */
  get version(): string {
    return this.#version;
  }

  /** The value, or what its promise resolves to, in JSON. Rejects as well when anything in the page throws. */
  async evaluate<T>(expression: string): Promise<T> {
    const params = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await this.#call("Runtime.evaluate", params);
    if (exceptionDetails !== undefined) throw new Error(`in the page: ${JSON.stringify(exceptionDetails)}`);
    return (result as { value: T }).value;
  }

  /** Ends it and removes its profile. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#fail(new Error("Chromium was closed"));
    this.#socket?.close();
    // In order, for the sake of its other processes; if it hangs it is killed.
    const over = new AbortController();
    const late = delay(CLOSING_MILLISECONDS, undefined, over).catch(() => {});
    await Promise.race([this.#sandbox.end("SIGTERM"), late]);
    over.abort();
    // They may write into the profile for a moment after it has ended.
    await until(() => this.#sandbox.remove(), undefined);
  }

  async #open(binary: string, url: string, signal: AbortSignal): Promise<void> {
    const profile = join(this.#sandbox.directory, "profile");
    const { ended } = this.#sandbox.start(binary, [
      "--headless=new",
      "--no-sandbox",
      "--no-first-run",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--remote-debugging-port=0",
      `--user-data-dir=${profile}`,
      "about:blank",
    ]);
    void ended.then(async (how) => {
      const log = await this.#sandbox.log().catch(() => "");
      this.#fail(new Error(`Chromium ended: ${how}\n${log.trim().split("\n").slice(-10).join("\n")}`));
    });
    const over = new AbortController();
    const file = join(profile, "DevToolsActivePort");
    let lines: readonly string[] = [];
    const read = async (): Promise<void> => {
      lines = (await readFile(file, "utf8")).split("\n");
      if (lines.length < 2) throw new Error("its port is not known yet");
    };
    try {
      await Promise.race([until(read, AbortSignal.any([signal, over.signal])), this.#failed.promise]);
    } finally {
      over.abort();
    }

    const [port, path] = lines;
    await this.#connect(`ws://127.0.0.1:${port}${path}`);
    const { product } = await this.#call("Browser.getVersion");
    this.#version = String(product).split("/").at(-1) ?? "?";
    const { targetInfos } = await this.#call("Target.getTargets");
    const page = (targetInfos as { type: string; targetId: string }[]).find(({ type }) => type === "page");
    const { sessionId } = await this.#call("Target.attachToTarget", { targetId: page?.targetId, flatten: true });
    this.#session = String(sessionId);
    await this.#call("Runtime.enable");
    await this.#call("Page.enable");
    const { errorText } = await this.#call("Page.navigate", { url });
    if (errorText !== undefined) throw new Error(`${url}: ${errorText}`);
    await Promise.race([this.#loaded.promise, this.#failed.promise]);
  }

  async #connect(url: string): Promise<void> {
    const socket = new WebSocket(url);
    this.#socket = socket;
    const opened = new Promise<void>((resolve) => socket.onopen = () => resolve());
    socket.onclose = () => this.#fail(new Error("Chromium closed the connection"));
    socket.onmessage = ({ data }) => this.#take(JSON.parse(data));
    await Promise.race([opened, this.#failed.promise]);
  }

  #call(method: string, params: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const id = ++this.#count;
    const call = Promise.withResolvers<Record<string, unknown>>();
    this.#calls.set(id, call);
    this.#socket?.send(JSON.stringify({ id, method, params, sessionId: this.#session }));
    return Promise.race([call.promise, this.#failed.promise]).finally(() => this.#calls.delete(id));
  }

  #take({ id, method, params, result, error }: Message): void {
    if (id !== undefined) {
      if (error !== undefined) this.#calls.get(id)?.reject(new Error(error.message));
      else this.#calls.get(id)?.resolve(result ?? {});
    } else if (method === "Page.loadEventFired") this.#loaded.resolve();
    else if (method === "Runtime.exceptionThrown") this.#fail(new Error(`in the page: ${JSON.stringify(params)}`));
  }

  #fail(error: Error): void {
    this.#failed.reject(error);
  }
}
