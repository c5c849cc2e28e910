import { type Event, type EventStore, importEvents, type ImportProgress, isAetherError } from "../../mod.ts";
import { LogError, readLog } from "./log.ts";

/** Options of `loadLog` and `replayLog`. */
export interface Options {
  readonly signal?: AbortSignal;
  /** Called for each event that is done. */
  readonly onEvent?: () => void;
}

/** Stores the events of a log, each once however often it is loaded; gives how many were there already. */
export async function loadLog(store: EventStore, path: string, options: Options = {}): Promise<number> {
  const { signal, onEvent } = options;
  const lines = new WeakMap<object, number>();
  async function* events(): AsyncGenerator<Event> {
    for await (const { line, event } of readLog(path, signal)) {
      lines.set(event, line);
      yield event;
    }
  }
  let done = 0;
  let failed: ImportProgress["failed"];
  const onProgress = (progress: ImportProgress): void => {
    ({ failed } = progress);
    const { stored, duplicates } = progress;
    for (; done < stored + duplicates; done++) onEvent?.();
  };
  try {
    const { duplicates } = await importEvents(store, events(), { ...(signal && { signal }), onProgress });
    return duplicates;
  } catch (error) {
    if (failed === undefined) throw error;
    throw new LogError(`${path}:${lines.get(failed)}: ${problemOf(error as Error, failed as Event)}`, { cause: error });
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
