import { type AppendResult, type Event, type EventStore, isAetherError } from "../../mod.ts";
import { type LogEntry, LogError, readLog } from "./log.ts";

/** Appends under way at once. */
const UNDER_WAY = 256;

/** Options of `loadLog` and `replayLog`. */
export interface Options {
  readonly signal?: AbortSignal;
  /** Called for each event that is done. */
  readonly onEvent?: () => void;
}

/** Stores the events of a log, each once however often it is loaded; gives how many were there already. */
export async function loadLog(store: EventStore, path: string, options: Options = {}): Promise<number> {
  const { signal, onEvent } = options;
  /** In the order of the log, so that the first event that fails is the one that is named. */
  const underWay: Promise<AppendResult>[] = [];
  let duplicates = 0;
  const finishFirst = async (): Promise<void> => {
    const result = await underWay.shift();
    if (result?.duplicate) duplicates++;
    onEvent?.();
  };
  try {
    for await (const entry of readLog(path, signal)) {
      if (underWay.length === UNDER_WAY) await finishFirst();
      const saved = save(store, path, entry, signal);
      saved.catch(() => {}); // seen when it is its turn
      underWay.push(saved);
    }
    while (underWay.length > 0) await finishFirst();
  } finally {
    await Promise.allSettled(underWay);
  }
  return duplicates;
}

async function save(store: EventStore, path: string, entry: LogEntry, signal?: AbortSignal): Promise<AppendResult> {
  try {
    return await store.saveEvent(entry.event, signal && { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw new LogError(`${path}:${entry.line}: ${problemOf(error as Error, entry.event)}`, { cause: error });
  }
}

function problemOf(error: Error, { actorId, version }: Event): string {
  const name = `version ${version} of ${JSON.stringify(actorId)}`;
  if (isAetherError(error, "VERSION_CONFLICT")) {
    return `${name} is there already, and is another event: load into another namespace`;
  }
  if (isAetherError(error, "UNKNOWN_OUTCOME")) return `it is unknown whether ${name} is stored: load the file again`;
  return error.message;
}
