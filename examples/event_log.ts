/**
 * Loads an event log into a namespace, replays the namespace, and checks that what comes out is what went in.
 *
 * ```
 * deno run -A examples/event_log.ts FILE
 * ```
 *
 * FILE is NDJSON, gzipped or not: an event a line, with `actorId`, `eventType`, `timestamp` and `data`. The version of an
 * event is its place within its actor, and its id is made of both: a second load stores nothing twice, and goes on where
 * the first one ended.
 */
import { connect } from "@nats-io/transport-node";
import cliProgress from "cli-progress";
import process from "node:process";
import { parseArgs } from "node:util";
import { AetherError, type EventStore, InMemoryEventStore, JetStreamEventStore } from "../mod.ts";
import { loadLog } from "./event_log/load.ts";
import { countEvents, LogError } from "./event_log/log.ts";
import { replayLog } from "./event_log/replay.ts";

const USAGE = `usage: event_log.ts FILE [options]

  --namespace NAME   where the events go, by default "event-log"
  --server URL       the nats-server, by default $NATS_URL, or else in memory
  --memory           in memory, whatever $NATS_URL says
  --help             this text`;

class UsageError extends Error {}

const interrupt = new AbortController();
process.once("SIGINT", () => interrupt.abort()); // a second one ends the process at once

try {
  await main(process.argv.slice(2), interrupt.signal);
} catch (error) {
  const { message } = error as Error;
  if (interrupt.signal.aborted) {
    console.error("Interrupted. Load the file again to go on: nothing is stored twice.");
    process.exitCode = 130; // 128 and the number of the signal, as shells have it
  } else if (error instanceof UsageError) {
    console.error(`${message}\n\n${USAGE}`);
    process.exitCode = 2;
  } else if (error instanceof LogError || error instanceof AetherError) {
    console.error(message);
    process.exitCode = 1;
  } else throw error;
}

async function main(args: string[], signal: AbortSignal): Promise<void> {
  const { path, namespace, server, help } = parse(args);
  if (help) return console.log(USAGE);
  if (path === undefined) throw new UsageError("One FILE is needed.");
  if (server === undefined) {
    console.log(`Namespace ${namespace}, in memory.`);
    return await run(new InMemoryEventStore({ namespace }), path, signal);
  }
  const nc = await connect({ servers: server }).catch((cause: Error) => {
    throw new LogError(`There is no connection to ${server}: ${cause.message}`, { cause });
  });
  try {
    const store = await JetStreamEventStore.open(nc, { namespace, signal });
    console.log(`Namespace ${namespace}, on JetStream: stream ${store.stream} of ${nc.getServer()}.`);
    await run(store, path, signal);
  } finally {
    await nc.close();
  }
}

interface Arguments {
  readonly path: string | undefined;
  readonly namespace: string;
  /** Undefined: in memory. */
  readonly server: string | undefined;
  readonly help: boolean | undefined;
}

function parse(args: string[]): Arguments {
  const options = {
    namespace: { type: "string", default: "event-log" },
    server: { type: "string" },
    memory: { type: "boolean" },
    help: { type: "boolean" },
  } as const;
  try {
    const { values, positionals: [path, ...more] } = parseArgs({ args, options, allowPositionals: true });
    const { namespace, server = process.env.NATS_URL || undefined, memory, help } = values;
    if (more.length > 0) throw new Error(`One FILE, not ${more.length + 1}.`);
    if (memory && values.server !== undefined) throw new Error("--memory and --server do not go together.");
    return { path, namespace, server: memory ? undefined : server, help };
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}

async function run(store: EventStore, path: string, signal: AbortSignal): Promise<void> {
  const counts = await countEvents(path, signal); // a log with a mistake is refused before anything is stored
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const what = `${number(total)} events of ${number(counts.size)} actors`;

  const loading = begin("loading", total);
  const duplicates = await loadLog(store, path, { signal, onEvent: loading.onEvent }).finally(loading.end);
  console.log(`Loaded ${what} in ${loading.time()}; of those ${number(duplicates)} were there already.`);

  const replaying = begin("replaying", total);
  const options = { signal, onEvent: replaying.onEvent };
  const { types, others } = await replayLog(store, path, counts, options).finally(replaying.end);
  console.log(`Replayed ${what} in ${replaying.time()}: what came out is what went in.`);
  if (others > 0) console.log(`The namespace holds ${number(others)} events of other actors, too.`);

  console.log();
  for (const [type, count] of [...types].sort(([, a], [, b]) => b - a)) {
    console.log(`${number(count).padStart(11)}  ${type}`);
  }
}

/** Progress on the standard error: a bar in a terminal, a line now and then elsewhere. */
function begin(title: string, total: number): { onEvent(): void; end(): void; time(): string } {
  const format = `${title} {bar} {percentage} % | {value} of {total} events | {eta_formatted} left`;
  const bar = new cliProgress.SingleBar(
    { format, clearOnComplete: true, etaBuffer: 1_000, noTTYOutput: true, notTTYSchedule: 5_000 },
    cliProgress.Presets.shades_classic,
  );
  bar.start(total, 0);
  const started = performance.now();
  let seconds = 0;
  return {
    onEvent: () => bar.increment(),
    end: () => {
      seconds = (performance.now() - started) / 1000;
      bar.stop();
    },
    time: () => `${seconds.toFixed(2)} s (${number(Math.round(total / seconds))}/s)`,
  };
}

function number(value: number): string {
  return value.toLocaleString("en");
}
