import { actorTypeOf } from "../actor_id.ts";
import type { ListedActor } from "./event_store.ts";
import { Operation } from "./operation.ts";
import type { ReaderParts } from "./reader_parts.ts";
import type { StreamInfo } from "./stream_config.ts";
import type { Head } from "./wire.ts";

/** Actors whose versions are asked for at once; the server takes up to 1,024. */
const LOT = 512;
/** Subjects to go back by where some were erased meanwhile; a page is 100,000 (nats-server `JSMaxSubjectDetails`). */
const STEP_BACK = 10_000;

/**
 * The living actors, shard by shard: their subjects from the leader, their versions in lots. A consumer would stall all
 * appends for seconds where there are millions.
 */
export async function* listActors(
  parts: ReaderParts,
  actorType: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<ListedActor, void, undefined> {
  for (let shard = 0; shard < parts.shards; shard++) {
    for await (const subjects of subjectsOf(parts, shard, actorType, signal)) {
      for (const lot of lots(subjects, (parts.api.nc.info?.max_payload ?? Infinity) / 2)) {
        for (const actor of await livingOf(parts, lot, signal)) {
          if (actorType === undefined || actorTypeOf(actor.actorId) === actorType) yield actor;
          signal.throwIfAborted();
        }
      }
    }
  }
}

/** As many as one request may hold. */
function* lots(subjects: readonly string[], bytes: number): Generator<string[]> {
  let lot: string[] = [];
  let size = 0;
  for (const subject of subjects) {
    if (lot.length === LOT || lot.length > 0 && size + subject.length > bytes) {
      yield lot;
      lot = [];
      size = 0;
    }
    lot.push(subject);
    size += subject.length + 3; // quotes and a comma
  }
  if (lot.length > 0) yield lot;
}

/** In pages, sorted: what is added or erased while they are read moves those behind it, and is told by the overlap. */
async function* subjectsOf(
  { api, subjects, timeout }: ReaderParts,
  shard: number,
  actorType: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<string[]> {
  const filter = subjects.covering(shard, actorType);
  for (let offset = 0, last = "";;) {
    const operation = new Operation(timeout, signal);
    const request = { subjects_filter: filter, offset };
    const info = await api.reading(operation, () => api.call<StreamInfo>("STREAM.INFO", request, operation));
    const page = Object.keys(info.state.subjects ?? {}).sort();
    const [first] = page;
    if (offset > 0 && (first === undefined || first > last)) {
      offset = Math.max(0, offset - STEP_BACK);
      continue;
    }
    const more = page.filter((subject) => subject > last);
    if (more.length > 0) yield more;
    last = page.at(-1) ?? last;
    if (offset + page.length >= (info.total ?? 0)) return;
    offset += page.length - 1; // from the last one on
  }
}

async function livingOf(parts: ReaderParts, wanted: string[], signal: AbortSignal): Promise<ListedActor[]> {
  const { api, direct, subjects, decoder, heads, timeout } = parts;
  const operation = new Operation(timeout, signal);
  const found = new Map<string, Head>();
  const request = { multi_last: wanted, batch: wanted.length };
  for (const message of (await api.reading(operation, () => direct.batch(request, operation))).messages) {
    found.set(message.subject, decoder.head(message));
  }
  const living: ListedActor[] = [];
  for (const subject of wanted) {
    const address = subjects.parse(subject);
    if (address === undefined) {
      throw decoder.error({ sequence: found.get(subject)?.sequence ?? 0, subject }, "the subject is no actor's");
    }
    const { actorId } = address;
    const known = heads.known(actorId)?.sequence ?? 0;
    let head = found.get(subject);
    if (head === undefined || head.sequence < known) head = await heads.head({ actorId, subject }, "leader", operation); // a replica lags
    if (!head.deleted && head.version > 0) living.push({ actorId, version: head.version });
  }
  return living;
}
