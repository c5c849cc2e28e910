/** What lies under a typed view of a store, and what the view does not show. */
import type { Commit, EventStore } from "../store/event_store.ts";

const bases = new WeakMap<EventStore, EventStore>();
const commandIds = new WeakMap<Commit, string>();

/** Says that a store is a view of another. */
export function isViewOf(view: EventStore, store: EventStore): void {
  bases.set(view, baseStoreOf(store));
}

/** The innermost store of a typed view; a store that is none is its own. */
export function baseStoreOf(store: EventStore): EventStore {
  return bases.get(store) ?? store;
}

/** Keeps the command's id of a commit whose first event a view skipped. */
export function keepCommandId(commit: Commit, commandId: string): void {
  commandIds.set(commit, commandId);
}

/** `metadata.commandId` of the commit's first stored event. */
export function commandIdOf(commit: Commit): string | undefined {
  return commandIds.get(commit) ?? commit.events[0]?.metadata?.commandId;
}
