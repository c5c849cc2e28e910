/**
 * `deno task browser`: serves the live page of `examples/browser/` and lets Node commit something each second, until it
 * is ended. With `--check` it opens the page in a headless Chromium (`CHROMIUM`, or one on the `PATH`) instead, and
 * checks that it shows exactly what Node commits meanwhile, and what it commits itself.
 * @module
 */
import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { lineOf, type OrderEvent } from "../examples/browser/order.ts";
import { JetStreamEventStore } from "../mod.ts";
import { NatsServer } from "../testing/nats_server.ts";
import { Sandbox } from "../testing/sandbox.ts";
import { Chromium, findChromium } from "./chromium.ts";
import { find, ROOT, run } from "./runtimes.ts";

/** Of the check, which usually takes 3 s. */
const LIMIT_SECONDS = 90;
/** Until the page shows something; then it is compared as it is. */
const PAGE_SECONDS = 30;
/** Each is two events. */
const ORDERS_BEFORE = 10;
const ORDERS_LIVE = 50;
const NAMESPACE = "browser";

/** What the page shows. */
interface Shown {
  readonly status: string;
  readonly stored: readonly string[];
  readonly live: readonly string[];
}

let doing = "starting";
const interrupted = new AbortController();
for (const name of ["SIGINT", "SIGTERM"]) process.once(name, () => interrupted.abort(new Error(`ended by ${name}`)));

process.exit(
  await main(process.argv.slice(2)).catch((error: Error) => {
    console.error(`browser: ${doing}: ${error.message}`);
    return interrupted.signal.aborted ? 130 : 1;
  }),
);

async function main(args: readonly string[]): Promise<number> {
  const unknown = args.find((arg) => arg !== "--check");
  if (unknown !== undefined) throw new Error(`${unknown} is none of its arguments: --check`);
  const binary = args.length > 0 ? findChromium() : undefined;
  if (args.length > 0 && binary === undefined) {
    console.log("browser: skipped, no Chromium on this machine");
    return 0;
  }
  const { signal } = interrupted;
  // It removes what there is when the work is done or aborted; what is being made at that moment goes with the process.
  await using parts = new AsyncDisposableStack();
  if (binary === undefined) return await unlessAborted(serve(parts, signal), signal);
  const limited = AbortSignal.any([signal, AbortSignal.timeout(LIMIT_SECONDS * 1000)]);
  return await unlessAborted(check(parts, binary, limited), limited);
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  signal.addEventListener("abort", () => {
    const isLate = signal.reason instanceof DOMException && signal.reason.name === "TimeoutError";
    aborted.reject(isLate ? new Error(`not done within ${LIMIT_SECONDS} s`) : signal.reason);
  });
  return await Promise.race([work, aborted.promise]);
}

async function serve(parts: AsyncDisposableStack, signal: AbortSignal): Promise<number> {
  const { server, url } = await publish(parts, signal);
  console.log(`${url}\nNode commits an order a second; Ctrl-C ends it.`);
  doing = "committing";
  await commit(parts, server);
  return 0;
}

async function check(parts: AsyncDisposableStack, binary: string, signal: AbortSignal): Promise<number> {
  const { server, url } = await publish(parts, signal);
  doing = "Node commits before the page is open";
  const before = await commit(parts, server, ORDERS_BEFORE);

  doing = "opening the page in Chromium";
  const chromium = parts.use(await Chromium.open(binary, url, signal));
  await shows(chromium, { status: "live", stored: before, live: [] });

  doing = "Node commits while the page is open";
  const live = await commit(parts, server, ORDERS_LIVE);
  await shows(chromium, { status: "live", stored: before, live });

  doing = "the page commits";
  await chromium.evaluate("document.querySelector('button').click()");
  const nc = await connect({ servers: server.url });
  parts.defer(() => nc.close());
  const store = await JetStreamEventStore.open<OrderEvent>(nc, { namespace: NAMESPACE, create: false });
  const own = await firstBehind(store, before.length + live.length);
  assert.match(own, /^order-\S+ 1 OrderPlaced .*from this page/);

  // Whatever comes too often has come before these.
  doing = "Node commits once more";
  const last = await commit(parts, server, 1);
  await shows(chromium, { status: "live", stored: before, live: [...live, own, ...last] });
  const stored: string[] = [];
  for await (const { events } of store.readAll()) stored.push(...events.map(lineOf));
  assert.deepEqual(stored, [...before, ...live, own, ...last]);

  console.log(`browser: ${live.length + 1 + last.length} events seen live in Chromium ${chromium.version}`);
  return 0;
}

/** A server, and the page about it. */
async function publish(parts: AsyncDisposableStack, signal: AbortSignal): Promise<{ server: NatsServer; url: string }> {
  doing = "bundling the page";
  const folder = new Sandbox();
  parts.defer(() => folder.remove());
  const script = join(folder.directory, "page.js");
  const page = join(ROOT, "examples/browser/page.ts");
  const code = await run("deno", ["bundle", "--quiet", "--platform", "browser", "--minify", "-o", script, page]);
  if (code !== 0) throw new Error(`deno bundle ended with ${code}`);
  const files = {
    "/": new Blob([await readFile(join(ROOT, "examples/browser/index.html"))], { type: "text/html; charset=utf-8" }),
    "/page.js": new Blob([await readFile(script)], { type: "text/javascript; charset=utf-8" }),
  };

  doing = "starting a nats-server";
  const server = parts.use(await NatsServer.start({ websocket: true, signal }));
  const http = parts.use(Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ url }) => {
    const file = files[new URL(url).pathname as keyof typeof files];
    return file ? new Response(file) : new Response("no such file", { status: 404 });
  }));
  const query = new URLSearchParams({ nats: server.websocketUrl ?? "", namespace: NAMESPACE });
  return { server, url: `http://127.0.0.1:${http.addr.port}/?${query}` };
}

/** Has a process of Node commit orders, and gives its events in the order of the stream. */
async function commit(parts: AsyncDisposableStack, { url }: NatsServer, orders?: number): Promise<string[]> {
  const { path } = await find("node");
  const node = new Sandbox();
  parts.defer(() => node.remove());
  const count = orders === undefined ? [] : [String(orders)];
  const how = await node.start(path, [join(ROOT, "examples/browser/commit.ts"), url, NAMESPACE, ...count]).ended;
  const log = (await node.log()).trim();
  if (how !== "exit code 0") throw new Error(`Node ended with ${how}\n${log}`);
  return log.split("\n");
}

/** Waits until the page shows as many events, has failed, or takes too long, and compares. */
async function shows(chromium: Chromium, expected: Shown): Promise<void> {
  const count = expected.stored.length + expected.live.length;
  const shown = await chromium.evaluate<Shown>(`new Promise((resolve) => {
    const lines = (list) => [...document.querySelectorAll(list + " > li")].map((item) => item.textContent);
    const look = (late) => {
      const status = document.querySelector("#status").textContent;
      const [stored, live] = [lines("#stored"), lines("#live")];
      const isThere = status === "live" && stored.length + live.length >= ${count};
      if (isThere || late || status.startsWith("failed")) resolve({ status, stored, live });
    };
    setTimeout(() => look(true), ${PAGE_SECONDS * 1000});
    new MutationObserver(() => look(false)).observe(document, { subtree: true, childList: true, characterData: true });
    look(false);
  })`);
  assert.deepEqual(shown, expected);
}

/** The first event behind so many, once it is stored. */
async function firstBehind(store: JetStreamEventStore<OrderEvent>, count: number): Promise<string> {
  let seen = 0;
  for await (const { events } of store.readAll({ live: true })) {
    for (const event of events) if (seen++ === count) return lineOf(event);
  }
  throw new Error("the store was closed");
}
