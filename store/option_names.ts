/** The names of the options of each call of a store. */
import type { Event } from "../event.ts";
import { namesOf } from "../options.ts";
import type {
  Abortable,
  AppendOptions,
  CommitRequest,
  DeleteOptions,
  ListOptions,
  ReadActorOptions,
  ReadAllOptions,
  ReadOptions,
  SaveOptions,
  TransactOptions,
  VersionOptions,
} from "./event_store.ts";

export const ABORTABLE = namesOf<Abortable>({ signal: true });
export const SAVE = namesOf<SaveOptions>({ fence: true, signal: true });
export const APPEND = namesOf<AppendOptions>({ expectedVersion: true, metadata: true, fence: true, signal: true });
export const TRANSACT = namesOf<TransactOptions>({ metadata: true, fence: true, signal: true });
export const COMMIT = namesOf<CommitRequest<Event, string>>({ actorId: true, events: true, expectedVersion: true });
export const DELETE = namesOf<DeleteOptions>({ expectedVersion: true, fence: true, signal: true });
export const VERSION = namesOf<VersionOptions>({ consistency: true, atLeast: true, signal: true });
export const LIST = namesOf<ListOptions<Event>>({ actorType: true, signal: true });
export const READ = namesOf<ReadOptions>({
  toVersion: true,
  afterPosition: true,
  toPosition: true,
  limit: true,
  last: true,
  consistency: true,
  atLeast: true,
  signal: true,
});
export const READ_ACTOR = namesOf<ReadActorOptions>({
  fromVersion: true,
  toVersion: true,
  afterPosition: true,
  toPosition: true,
  limit: true,
  last: true,
  lastCommits: true,
  from: true,
  consistency: true,
  atLeast: true,
  signal: true,
});
export const READ_ALL = namesOf<ReadAllOptions<Event, string, string>>({
  eventTypes: true,
  actorTypes: true,
  actorId: true,
  shards: true,
  after: true,
  since: true,
  live: true,
  onCaughtUp: true,
  onProgress: true,
  onUndecodable: true,
  signal: true,
});
