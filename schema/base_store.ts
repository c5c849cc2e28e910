/** What is behind a typed view: for those who need what it leaves out. */
import type { Event } from "../event.ts";
import type { Commit, EventStore } from "../store/event_store.ts";

const bases = new WeakMap<object, EventStore>();

/** The innermost store, which knows no catalogue; a store that is no view is its own. */
export function baseStoreOf<Store extends object>(store: Store): Store | EventStore {
  return bases.get(store) ?? store;
}

/** Notes what a view is a view of. */
export function setBaseStore(view: EventStore, store: EventStore): void {
  bases.set(view, baseStoreOf(store));
}

/** Of commits whose first stored event a view left out. */
const commandIds = new WeakMap<Commit, string | undefined>();

/** `metadata.commandId` of the commit's first stored event, also where a view left that event out. */
export function commandIdOf(commit: Commit): string | undefined {
  return commandIds.has(commit) ? commandIds.get(commit) : commit.events[0]?.metadata?.commandId;
}

/** The commit with what a view gives of its events. */
export function viewOf<C extends Commit>(commit: C, events: readonly Event[]): C {
  const view = { ...commit, events };
  if (commandIds.has(commit) || commit.events[0]?.id !== events[0]?.id) commandIds.set(view, commandIdOf(commit));
  return view;
}
