/**
 * `deno run -A bench/sizing.ts [ACTORS ...]`: the table of docs/sizing.md. By default up to 2,000,000 actors, which takes
 * some minutes and 1 GB of disk.
 */
import { headers } from "@nats-io/nats-core";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { spawn } from "node:child_process";
import { readdir, stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { encodeToken } from "../actor_id.ts";
import { createEvent, JetStreamEventStore } from "../mod.ts";
import { shardOfToken } from "../store/shard.ts";
import { Subjects } from "../store/subjects.ts";
import { encodeCommit } from "../store/wire.ts";
import { NatsServer } from "../testing/mod.ts";
import { median } from "./measure.ts";

const NAMESPACE = "sizing";
/** Data of some 100 bytes. */
const DATA = { total: 99.99, items: 3, customer: "customer-0815", note: "leave it at the door please!", ok: true };
const LOOK_UPS = 2_000;
/** Milliseconds for the appends that nobody disturbs. */
const QUIET = 5_000;
/** Milliseconds between two appends. */
const PAUSE = 5;
/** Milliseconds in which the server drops what it has read. */
const REST = 30_000;

/** What a process finds that did not load the actors. Milliseconds, and bytes of resident memory. */
interface Client {
  readonly open: number;
  readonly lookUp: number;
  readonly list: number;
  readonly listed: number;
  readonly connected: number;
  readonly opened: number;
  /** The most while listing. */
  readonly listing: number;
}

/** What is measured of a number of actors. */
interface Size extends Client {
  readonly actors: number;
  readonly disk: number;
  readonly loaded: number;
  readonly restart: number;
  readonly restarted: number;
  readonly afterListing: number;
  readonly rested: number;
  readonly quietAppend: number;
  readonly longestAppend: number;
  readonly afterKill: number;
}

const [first, ...rest] = process.argv.slice(2);
if (first === "--client") await beClient(rest[0] ?? "", Number(rest[1]));
else await main([first, ...rest].filter((text) => text !== undefined).map(Number));

async function main(given: number[]): Promise<void> {
  const server = await NatsServer.start();
  try {
    const sizes: Size[] = [];
    let loaded = 0;
    for (const actors of given.length > 0 ? given : [100_000, 500_000, 2_000_000]) {
      console.error(`${actors} actors`);
      await load(server, loaded, actors);
      sizes.push(await measure(server, actors));
      loaded = actors;
    }
    console.log(table(sizes));
  } finally {
    await server.stop();
  }
}

/** One event each, of the actors from one number to another. */
async function load(server: NatsServer, from: number, to: number): Promise<void> {
  await connected(server, async (nc, store) => {
    const subjects = new Subjects(NAMESPACE, store.shards);
    for (let number = from; number < to; number++) {
      const actorId = `order-${number}`;
      const token = encodeToken(actorId);
      const subject = subjects.ofActor(token, shardOfToken(token, store.shards));
      const event = createEvent({ actorId, version: 1, eventType: "OrderPlaced", data: DATA });
      for (
        const message of encodeCommit({ subject, events: [event], version: 1, previous: 0, epoch: 0 }, 16_384)
      ) {
        const head = headers();
        for (const [name, value] of Object.entries(message.headers)) head.append(name, value);
        // Every thousandth is answered: the pipeline stays bounded.
        if (number % 1_000 === 999) await nc.request(subject, message.payload, { headers: head, timeout: 60_000 });
        else nc.publish(subject, message.payload, { headers: head });
      }
    }
    await nc.flush();
    if (await store.getLatestVersion(`order-${to - 1}`) !== 1) throw new Error("not all was stored");
  });
}

async function measure(server: NatsServer, actors: number): Promise<Size> {
  const loaded = await memoryOf(server);
  const disk = await bytesIn(server.storeDirectory);
  const restart = await time(() => server.restart());
  const restarted = await memoryOf(server);
  const { client, quietAppend, longestAppend } = await connected(server, async (_, store) => ({
    quietAppend: await appendUntil(store, pause(QUIET)),
    ...await whileListing(server, store, actors),
  }));
  if (client.listed < actors) throw new Error(`${client.listed} of ${actors} actors were listed`);
  const afterListing = await memoryOf(server);
  await pause(REST);
  const rested = await memoryOf(server);
  await connected(server, (_, store) => store.append("writer-1", [{ eventType: "Written", data: DATA }]));
  await server.kill();
  const afterKill = await time(() => server.restart());
  return {
    ...client,
    ...{ actors, disk, loaded, restart, restarted, afterListing, rested, quietAppend, longestAppend, afterKill },
  };
}

/** Appends from here while a process of its own lists. */
async function whileListing(
  server: NatsServer,
  store: JetStreamEventStore,
  actors: number,
): Promise<{ client: Client; longestAppend: number }> {
  const program = [...("Deno" in globalThis ? ["run", "-A"] : []), fileURLToPath(import.meta.url)];
  const child = spawn(process.execPath, [...program, "--client", server.url, String(actors)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  await lines.next(); // it begins to list
  const result = lines.next();
  const longestAppend = await appendUntil(store, result);
  return { client: JSON.parse((await result).value ?? "{}"), longestAppend };
}

async function beClient(url: string, actors: number): Promise<void> {
  const nc = await connect({ servers: url });
  const { rss } = process.memoryUsage;
  const connected = rss();
  const start = performance.now();
  const store = await JetStreamEventStore.open(nc, { namespace: NAMESPACE });
  const open = performance.now() - start;
  const opened = rss();
  const times: number[] = [];
  for (let count = 0; count < LOOK_UPS; count++) {
    const actorId = `order-${Math.floor(Math.random() * actors)}`;
    times.push(await time(() => store.getLatestVersion(actorId)));
  }
  console.log("listing");
  let listed = 0;
  let listing = 0;
  const list = await time(async () => {
    for await (const _ of store.listActors()) if (++listed % 10_000 === 0) listing = Math.max(listing, rss());
  });
  const found: Client = { open, lookUp: median(times), list, listed, connected, opened, listing };
  console.log(JSON.stringify(found));
  await nc.close();
}

async function connected<T>(
  server: NatsServer,
  work: (nc: NatsConnection, store: JetStreamEventStore) => Promise<T>,
): Promise<T> {
  const nc = await connect({ servers: server.url });
  try {
    return await work(nc, await JetStreamEventStore.open(nc, { namespace: NAMESPACE }));
  } finally {
    await nc.close();
  }
}

/** An append now and then, until something has happened: milliseconds of the longest. */
async function appendUntil(store: JetStreamEventStore, end: Promise<unknown>): Promise<number> {
  let ended = false;
  void end.finally(() => ended = true);
  let longest = 0;
  while (!ended) {
    const took = await time(() => store.append("writer-1", [{ eventType: "Written", data: DATA }]));
    longest = Math.max(longest, took);
    await pause(PAUSE);
  }
  return longest;
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Bytes of resident memory. */
async function memoryOf(server: NatsServer): Promise<number> {
  const { mem } = await (await fetch(`${server.monitorUrl}/varz`)).json() as { mem: number };
  return mem;
}

async function bytesIn(directory: string): Promise<number> {
  let sum = 0;
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) sum += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return sum;
}

/** Milliseconds. */
async function time(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

function table(sizes: readonly Size[]): string {
  const number = (value: number): string => value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 2 : 0 });
  const megabytes = (bytes: number): string => `${number(bytes / 1e6)} MB`;
  const milliseconds = (value: number): string =>
    value < 1_000 ? `${number(value)} ms` : `${(value / 1e3).toFixed(1)} s`;
  const rows: [what: string, cell: (size: Size) => string][] = [
    ["actors, one event each", ({ actors }) => number(actors)],
    ["stream on disk", ({ disk }) => megabytes(disk)],
    ["server memory when they were loaded", ({ loaded }) => megabytes(loaded)],
    ["… restarted", ({ restarted }) => megabytes(restarted)],
    ["… after the listing", ({ afterListing }) => megabytes(afterListing)],
    ["… half a minute later", ({ rested }) => megabytes(rested)],
    ["stop in order and start", ({ restart }) => milliseconds(restart)],
    ["start after an append and `kill -9`", ({ afterKill }) => milliseconds(afterKill)],
    ["open the store", ({ open }) => milliseconds(open)],
    ["latest version of an actor, median", ({ lookUp }) => milliseconds(lookUp)],
    ["list all actors", ({ list }) => milliseconds(list)],
    ["longest append meanwhile", ({ longestAppend }) => milliseconds(longestAppend)],
    ["longest append in 5 s without it", ({ quietAppend }) => milliseconds(quietAppend)],
    ["client memory, connected", ({ connected }) => megabytes(connected)],
    ["… store opened", ({ opened }) => megabytes(opened)],
    ["… at most while listing", ({ listing }) => megabytes(listing)],
  ];
  const lines = rows.map(([what, cell]) => `| ${[what, ...sizes.map(cell)].join(" | ")} |`);
  lines.splice(1, 0, `|${" --- |".repeat(sizes.length + 1)}`);
  const runtime = "Deno" in globalThis ? "Deno" : "Bun" in globalThis ? "Bun" : "Node";
  return [`${runtime}, ${availableParallelism()} cores, ${process.platform} ${process.arch}`, "", ...lines].join("\n");
}
