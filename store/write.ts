/** A write, checked and copied at the time of the call: what both stores take from there on. */
import { checkActorId } from "../actor_id.ts";
import { InvalidArgumentError, InvalidEventError, InvalidTransactionError } from "../errors.ts";
import { copyEvent, type Event, eventOf, type Metadata, type NewEvent } from "../event.ts";
import { checkOptionNames } from "../options.ts";
import {
  checkEventType,
  checkId,
  checkTimestamp,
  checkVersion,
  copyData,
  copyMetadata,
  rejectEvent,
  timestampOf,
  withPlace,
} from "../validate.ts";
import type { AppendOptions, CommitRequest, DeleteOptions, SaveOptions, TransactOptions } from "./event_store.ts";
import { checkExpectedVersion, type Expectation } from "./expectation.ts";
import { type Fence, fenceOf } from "./fence.ts";
import { APPEND, COMMIT, DELETE, SAVE, TRANSACT } from "./option_names.ts";
import { shardOfToken } from "./shard.ts";

/** An event before it has a version. */
interface Draft {
  readonly id: string;
  readonly eventType: string;
  readonly data: unknown;
  readonly timestamp: string;
  readonly metadata: Metadata | undefined;
}

/** What is to be stored as one commit, or checked. */
export interface Write {
  readonly actorId: string;
  /** The encoded id. */
  readonly token: string;
  readonly shard: number;
  readonly expectation: Expectation;
  readonly fence: Fence | undefined;
  /** None: a check. */
  readonly drafts: readonly Draft[];
  /** Where the event brings its version. */
  readonly version: number | undefined;
  /** The ids are all the caller's, so that this may be a repetition of what is stored. */
  readonly named: boolean;
}

/** Of a store: what every write needs. */
export interface Writer {
  readonly shards: number;
  /** Milliseconds since 1970. */
  now(): number;
}

/** @throws as `append` says */
export function appendWrite(
  writer: Writer,
  actorId: string,
  events: readonly NewEvent[],
  options: Omit<AppendOptions, "fence"> & Pick<TransactOptions, "fence"> = {},
  /** Before the place of an event, in the text of an error. */
  place = "",
): Write {
  const token = checkActorId(actorId);
  checkOptionNames("append", options, APPEND);
  const expected = checkExpectedVersion(options.expectedVersion);
  if (!Array.isArray(events)) throw new InvalidArgumentError({ argument: "events" }, "events must be an array");
  if (events.length === 0 && expected === "any") {
    throw new InvalidArgumentError({ argument: "events" }, 'No events and the expectation "any": nothing to do');
  }
  const shard = shardOfToken(token, writer.shards);
  const shared = copyMetadata(options.metadata);
  const drafts: Draft[] = [];
  let named = true;
  let given = false;
  for (let index = 0; index < events.length; index++) {
    const event = events[index] as NewEvent;
    if (typeof event !== "object" || event === null) rejectEvent(`${place}events[${index}]`, "must be an object");
    if (event.id === undefined) named = false;
    else given = true;
    try {
      drafts.push(draftOf(writer, event, shared));
    } catch (error) {
      if (events.length === 1 && place === "" || !(error instanceof InvalidEventError)) throw error;
      throw withPlace(error, `${place}events[${index}].`);
    }
  }
  if (drafts.length > 1 && given) checkDistinct(drafts);
  return {
    actorId,
    token,
    shard,
    expectation: { expected, gap: false },
    fence: fenceOf(shard, options.fence),
    drafts,
    version: undefined,
    named: named && drafts.length > 0,
  };
}

function draftOf(writer: Writer, event: NewEvent, shared: Metadata | undefined): Draft {
  const { id, eventType, data, timestamp, metadata } = event; // once: a getter may change its mind
  const own = copyMetadata(metadata);
  return {
    id: id === undefined ? crypto.randomUUID() : checkId(id),
    eventType: checkEventType(eventType, event),
    data: copyData(data),
    timestamp: timestamp === undefined ? timestampOf(writer.now()) : checkTimestamp(timestamp),
    metadata: shared && own ? { ...shared, ...own } : own ?? shared,
  };
}

/** @throws as `saveEvent` says */
export function saveWrite(writer: Writer, event: Event, options: SaveOptions = {}): Write {
  checkOptionNames("saveEvent", options, SAVE);
  const { id, eventType, actorId, version, data, timestamp, metadata } = copyEvent(event);
  const token = checkActorId(actorId);
  const shard = shardOfToken(token, writer.shards);
  return {
    actorId,
    token,
    shard,
    expectation: { expected: version - 1, gap: true },
    fence: fenceOf(shard, options.fence),
    drafts: [{ id, eventType, data, timestamp, metadata }],
    version,
    named: true,
  };
}

/** @throws as `transact` says */
export function transactWrites(
  writer: Writer,
  commits: readonly CommitRequest<Event, string>[],
  options: TransactOptions = {},
): Write[] {
  checkOptionNames("transact", options, TRANSACT);
  if (!Array.isArray(commits)) throw new InvalidArgumentError({ argument: "commits" }, "commits is an array");
  // Read once: a getter may change its mind.
  const requests = commits.map((commit: CommitRequest<Event, string>, index) => {
    if (typeof commit !== "object" || commit === null || !Array.isArray(commit.events)) {
      throw new InvalidArgumentError(
        { argument: `commits[${index}]` },
        "A commit has an actorId and an array of events",
      );
    }
    checkOptionNames(`commits[${index}]`, commit, COMMIT);
    return { ...commit };
  });
  const actorIds = requests.map(({ actorId }) => actorId);
  const twice = actorIds.filter((actorId, index) => actorIds.indexOf(actorId) !== index);
  if (twice.length > 0) {
    throw new InvalidTransactionError({ actorIds: twice }, `An actor twice in one transaction: ${twice.join(", ")}`);
  }
  const empty = requests.filter(({ events, expectedVersion = "any" }) =>
    events.length === 0 && expectedVersion === "any"
  );
  if (empty.length > 0) {
    const ids = empty.map(({ actorId }) => actorId);
    throw new InvalidTransactionError({ actorIds: ids }, `No events and no expectation: ${ids.join(", ")}`);
  }
  if (!requests.some(({ events }) => events.length > 0)) {
    throw new InvalidTransactionError({ actorIds }, "No commit of the transaction has events");
  }
  return requests.map(({ actorId, events, expectedVersion }, index) => {
    // A check is not a write: it needs no fence.
    const fence = events.length > 0 ? options.fence : undefined;
    const { metadata } = options;
    return appendWrite(writer, actorId, events, {
      ...(expectedVersion !== undefined && { expectedVersion }),
      ...(metadata && { metadata }),
      ...(fence && { fence }),
    }, `commits[${index}] (${actorId}), `);
  });
}

/** @throws as `deleteActor` says */
export function deleteWrite(writer: Writer, actorId: string, options: DeleteOptions = {}): Write {
  checkOptionNames("deleteActor", options, DELETE);
  const token = checkActorId(actorId);
  const shard = shardOfToken(token, writer.shards);
  const expectation = { expected: checkExpectedVersion(options.expectedVersion), gap: false };
  const fence = fenceOf(shard, options.fence);
  return { actorId, token, shard, expectation, fence, drafts: [], version: undefined, named: false };
}

/** The events of a write that goes onto a version. */
export function numbered({ actorId, drafts, version }: Write, latest: number): Event[] {
  let next = version ?? latest + 1;
  checkVersion(next - 1 + drafts.length); // in this order: 2^53 + 1 - 1 is 2^53 - 1
  return drafts.map(({ id, eventType, data, timestamp, metadata }) =>
    eventOf(id, eventType, actorId, next++, data, timestamp, metadata)
  );
}

/** Whether a stored commit is the one that this write would store. */
export function isSame({ drafts, expectation: { expected } }: Write, stored: readonly Event[]): boolean {
  if (drafts.length !== stored.length) return false;
  if (typeof expected === "number" && stored[0]?.version !== expected + 1) return false;
  return drafts.every(({ id }, index) => id === stored[index]?.id);
}

function checkDistinct(drafts: readonly Draft[]): void {
  const seen = new Set<string>();
  drafts.forEach(({ id }, index) => {
    if (seen.has(id)) {
      throw new InvalidArgumentError(
        { argument: `events[${index}].id` },
        `The event id ${id} stands twice in one append`,
      );
    }
    seen.add(id);
  });
}
