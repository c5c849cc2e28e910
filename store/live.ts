import { encodeToken } from "../actor_id.ts";
import type { Event } from "../event.ts";
import { CommitReader } from "./commit_reader.ts";
import { OrderedConsumer } from "./consumer.ts";
import type { Commit, ReadAllOptions } from "./event_store.ts";
import { checkFilter, checkMoment, type Filter } from "./filter.ts";
import { Lag, Leader } from "./leader.ts";
import { OneByOne } from "./one_by_one.ts";
import { whole } from "./range.ts";
import type { ReaderParts } from "./reader_parts.ts";
import { shardOfToken } from "./shard.ts";
import type { Subjects } from "./subjects.ts";

/** Commits that are given without waiting in between. */
const TOGETHER = 256;
/** Messages between two calls of `onProgress`, at least. */
const PROGRESS = 1_000;
/** Milliseconds between two calls of `onProgress` while nothing comes. */
const IDLE_PROGRESS = 5_000;

/**
 * Reads all commits of the namespace in order, and goes on with what comes if that is wanted. `begin` is called with the
 * first one: it gives the signal that ends the reading, or throws.
 */
export function readStream(
  parts: ReaderParts,
  options: ReadAllOptions<Event, string, string>,
  begin: () => AbortSignal,
): AsyncIterableIterator<Commit> {
  return new OneByOne(() => {
    const signal = begin();
    return { lists: read(parts, options, signal), signal };
  });
}

/** Commits in lists: those that arrived together. */
async function* read(
  parts: ReaderParts,
  options: ReadAllOptions<Event, string, string>,
  signal: AbortSignal,
): AsyncGenerator<readonly Commit[], void, undefined> {
  const { api, subjects, shards, timeout, observer } = parts;
  const { live = false, onCaughtUp, onProgress, onUndecodable } = options;
  const after = whole("after", options.after, 0);
  const since = checkMoment("since", options.since);
  const filter = checkFilter(options, shards);
  const subject = serverFilter(filter, subjects, shards);

  const { target, start } = await placeOf(new Leader(parts, signal, timeout), after, since);
  const leader = new Leader(parts, signal, live ? Infinity : timeout);
  const lag = new Lag(leader, target);
  const consumer = new OrderedConsumer(api, { start, filter: subject, signal, observer });
  const reader = new CommitReader(parts, leader, { after, since, filter, onUndecodable, target });
  let reached = after;
  let caughtUp = false;
  let told = { position: 0, at: 0 };
  const tell = (): void => {
    told = { position: reached, at: performance.now() };
    onProgress?.(reached);
  };
  /** Everything of the filter that the leader had when it was asked first. */
  const hasTarget = async (): Promise<boolean> =>
    reached >= target || consumer.isBehind(target) ||
    consumer.isEmpty && !await leader.hasBetween(reached, target, subject);
  try {
    for (let messages = 0;;) {
      let commits: Commit[] = [];
      while (commits.length < TOGETHER) {
        const message = consumer.take(caughtUp ? Infinity : target);
        if (message === undefined) break;
        const commit = reader.take(message);
        if (reader.isUnsettled) {
          if (commits.length > 0) yield commits;
          commits = [];
          await reader.settle();
        }
        if (commit !== undefined) commits.push(commit);
        reached = Math.max(reached, message.sequence);
        messages++;
      }
      if (commits.length > 0) yield commits;
      signal.throwIfAborted();
      if (messages >= PROGRESS) {
        messages = 0;
        tell();
      }
      if (!caughtUp && await hasTarget()) {
        await reader.finish();
        caughtUp = true;
        reached = Math.max(reached, target);
        tell();
        onCaughtUp?.(reached);
        if (!live) return;
      } else {
        await consumer.wait(live && consumer.opened ? Infinity : timeout);
        reached = Math.max(reached, consumer.passed);
        const behind = consumer.isEmpty ? lag.behind(reached) : 0;
        if (behind > 0) consumer.replace(behind);
        if (caughtUp && reached > told.position && performance.now() - told.at >= IDLE_PROGRESS) tell();
      }
    }
  } finally {
    await consumer[Symbol.asyncDispose]();
  }
}

/** What is there by now, and where the first commit begins that may be wanted: a reader never gets half of one. */
async function placeOf(
  leader: Leader,
  after: number,
  since: number | undefined,
): Promise<{ readonly target: number; readonly start: number }> {
  const target = await leader.last();
  const first = since === undefined ? 1 : await leader.firstSince(since) ?? target + 1;
  const sequence = Math.max(after + 1, first);
  return { target, start: sequence === 1 ? 1 : await leader.beginOf(sequence) };
}

/** One subject that the server can filter by: several in one consumer cost more than they save. */
function serverFilter(filter: Filter, subjects: Subjects, shards: number): string | undefined {
  if (filter.actorId !== undefined) {
    const token = encodeToken(filter.actorId);
    return subjects.ofActor(token, shardOfToken(token, shards));
  }
  const only = <T>(set: ReadonlySet<T> | undefined): T | undefined => set?.size === 1 ? [...set][0] : undefined;
  return subjects.covering(only(filter.shards), only(filter.actorTypes));
}
