import type { Event, EventStore } from "../../mod.ts";
import type { Options } from "./load.ts";
import { type LogEntry, LogError, readLog } from "./log.ts";

/** What a replay found. */
export interface Replay {
  /** Events of the log, by type. */
  readonly types: ReadonlyMap<string, number>;
  /** Events of actors that are not in the log. */
  readonly others: number;
}

/**
 * Reads the whole namespace, and compares it with the log: each actor of the log must have exactly the events of the
 * log, in its order. Rejects with a `LogError` that names the first that differs.
 *
 * @param counts the number of events of each actor of the log
 */
export async function replayLog(
  store: EventStore,
  path: string,
  counts: ReadonlyMap<string, number>,
  { signal, onEvent }: Options = {},
): Promise<Replay> {
  const types = new Map<string, number>();
  const missing = new Map(counts);
  let others = 0;
  const log = new EntriesByActor(readLog(path, signal));
  try {
    for await (const { events } of store.readAll(signal && { signal })) {
      for (const event of events) {
        const { actorId, eventType } = event;
        const left = missing.get(actorId);
        if (left === undefined) {
          others++;
          continue;
        }
        const entry = left === 0 ? undefined : await log.next(actorId);
        if (entry === undefined) throw new LogError(`${path}: ${nameOf(event)} came out, and is not in the log`);
        const field = differenceOf(entry.event, event);
        if (field) throw new LogError(`${path}:${entry.line}: ${nameOf(entry.event)} came out different in ${field}`);
        missing.set(actorId, left - 1);
        types.set(eventType, (types.get(eventType) ?? 0) + 1);
        onEvent?.();
      }
    }
    const lost = await log.first();
    if (lost) throw new LogError(`${path}:${lost.line}: ${nameOf(lost.event)} did not come out`);
  } finally {
    await log.close();
  }
  return { types, others };
}

/** What of a stored event is not as the log has it. Compared as JSON, which is what both come from, key order included. */
function differenceOf(event: Event, stored: Event): keyof Event | undefined {
  const fields = ["version", "id", "eventType", "timestamp", "data", "metadata"] as const;
  return fields.find((field) => JSON.stringify(event[field]) !== JSON.stringify(stored[field]));
}

function nameOf({ version, actorId }: Event): string {
  return `version ${version} of ${JSON.stringify(actorId)}`;
}

/**
 * Takes the entries of a log actor by actor. The order of a namespace is that of the log but for the appends that were
 * under way at once, so only so many entries wait here: constant memory, and what differs is known to the line.
 */
class EntriesByActor {
  readonly #entries: AsyncGenerator<LogEntry, undefined>;
  readonly #waiting = new Map<string, LogEntry[]>();

  constructor(entries: AsyncGenerator<LogEntry, undefined>) {
    this.#entries = entries;
  }

  /** The next of an actor; undefined if there is none. */
  async next(actorId: string): Promise<LogEntry | undefined> {
    const own = this.#waiting.get(actorId);
    if (own !== undefined) {
      if (own.length === 1) this.#waiting.delete(actorId);
      return own.shift();
    }
    for (;;) {
      const { value: entry } = await this.#entries.next();
      if (entry === undefined || entry.event.actorId === actorId) return entry;
      const others = this.#waiting.get(entry.event.actorId);
      if (others === undefined) this.#waiting.set(entry.event.actorId, [entry]);
      else others.push(entry);
    }
  }

  /** The first in the log that was not taken. */
  async first(): Promise<LogEntry | undefined> {
    const waiting = [...this.#waiting.values()].flat().sort((a, b) => a.line - b.line);
    return waiting[0] ?? (await this.#entries.next()).value;
  }

  /** Ends the reading of the file. */
  async close(): Promise<void> {
    await this.#entries.return(undefined);
  }
}
