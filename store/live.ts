import { encodeToken } from "../actor_id.ts";
import type { Event } from "../event.ts";
import { OrderedConsumer } from "./consumer.ts";
import type { Commit, ReadAllOptions } from "./event_store.ts";
import { checkFilter, type Filter, letsActor, letsEvents } from "./filter.ts";
import { Operation } from "./operation.ts";
import { whole } from "./range.ts";
import type { ReaderParts } from "./reader_parts.ts";
import type { StreamInfo } from "./stream_config.ts";
import type { Subjects } from "./subjects.ts";
import { shardOfToken } from "./shard.ts";
import { Assembler, type Part, partOf, type RawMessage } from "./wire.ts";

/** Messages between two calls of `onProgress`. */
const PROGRESS = 1_000;
/** Milliseconds between two calls of `onProgress` while nothing comes. */
const IDLE_PROGRESS = 5_000;

/** Reads all commits of the namespace in order, and goes on with what comes if that is wanted. */
export async function* readStream(
  parts: ReaderParts,
  options: ReadAllOptions<Event, string, string>,
  signal: AbortSignal,
): AsyncGenerator<Commit, void, undefined> {
  const { api, subjects, shards, decoder, heads, timeout } = parts;
  const { live = false, onCaughtUp, onProgress } = options;
  const after = whole("after", options.after, 0);
  const filter = checkFilter(options, shards);
  const subject = serverFilter(filter, subjects, shards);
  const info = async (): Promise<StreamInfo> => {
    const operation = new Operation(timeout, signal);
    return await api.reading(operation, () => api.call<StreamInfo>("STREAM.INFO", undefined, operation));
  };

  const { state: { last_seq: target }, config: { num_replicas: replicas = 1 } } = await info();
  let reached = after;
  let caughtUp = false;
  let told = performance.now();
  const tell = (position: number): void => {
    reached = Math.max(reached, position);
    told = performance.now();
    onProgress?.(reached);
  };
  /** Whether the leader has anything of the filter up to a position that was not delivered: a replica may lag. */
  const isMissing = async (end: number): Promise<boolean> => {
    const operation = new Operation(timeout, signal);
    const which = { seq: reached + 1, next_by_subj: subject ?? ">" };
    const message = await api.reading(operation, () => api.get(which, operation));
    return message !== undefined && message.sequence <= end;
  };

  const start = after === 0 ? 1 : await commitStart(parts, after + 1, signal);
  const consumer = new OrderedConsumer(api, { start, filter: subject, signal });
  const assembler = new Assembler();
  try {
    for (let messages = 0;;) {
      const delivered = reached >= target && !caughtUp ? undefined : consumer.take();
      if (delivered !== undefined) {
        const commit = await take(delivered.message);
        if (commit !== undefined) yield commit;
        signal.throwIfAborted();
        reached = Math.max(reached, delivered.sequence);
        if (++messages % PROGRESS === 0) tell(reached);
      } else if (!caughtUp && (reached >= target || consumer.isEmpty && (replicas === 1 || !await isMissing(target)))) {
        caughtUp = true;
        tell(target);
        onCaughtUp?.(reached);
        if (!live) return;
      } else {
        await consumer.wait(live && consumer.opened ? Infinity : timeout);
        if (subject === undefined || !onProgress || !caughtUp || performance.now() - told < IDLE_PROGRESS) continue;
        const { state: { last_seq: end } } = await info();
        if (!await isMissing(end)) tell(end);
      }
    }
  } finally {
    await consumer[Symbol.asyncDispose]();
  }

  /** The commit that is complete with this message, if the filter lets it through. */
  async function take(message: RawMessage): Promise<Commit | undefined> {
    if (subjects.isFence(message.subject)) return undefined;
    const address = subjects.parse(message.subject);
    if (address !== undefined && !letsActor(filter, address.actorId, address.shard)) return undefined;
    const part = decoder.part(message);
    const { commit, incomplete } = assembler.add(part);
    if (incomplete !== undefined) await checkErased(parts, incomplete, signal);
    if (commit === undefined || commit.events.length === 0 && !commit.deleted) return undefined; // a seal
    const { actorId, version, sequence, epoch, deleted } = part;
    heads.learn(actorId, { version, sequence, epoch, deleted });
    return letsEvents(filter, commit);
  }
}

/** Where the commit begins that a sequence lies in: a reader never gets half of one. */
async function commitStart({ api, timeout }: ReaderParts, sequence: number, signal: AbortSignal): Promise<number> {
  const operation = new Operation(timeout, signal);
  const message = await api.reading(operation, () => api.get({ seq: sequence }, operation));
  return message === undefined ? sequence : sequence - (partOf(message).part || 1) + 1;
}

/** Parts may be missing only where an actor's history was erased. */
async function checkErased(
  { subjects, decoder, heads, timeout }: ReaderParts,
  part: Part,
  signal: AbortSignal,
): Promise<void> {
  const { actorId, shard, sequence } = part;
  const subject = subjects.ofActor(encodeToken(actorId), shard);
  const head = await heads.head({ actorId, subject }, "leader", new Operation(timeout, signal));
  if (!head.deleted) throw decoder.error({ sequence, subject }, `parts of ${part.part}/${part.parts} are missing`);
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
