/** Reads a commit of several messages, of which the last is at hand. */
import { encodeToken } from "../actor_id.ts";
import { Failed } from "../store/answer.ts";
import { Assembler } from "../store/assembler.ts";
import type { DirectGet } from "../store/direct_get.ts";
import type { Commit } from "../store/event_store.ts";
import type { JetStreamApi } from "../store/jetstream_api.ts";
import type { Operation } from "../store/operation.ts";
import type { Subjects } from "../store/subjects.ts";
import type { Decoder, Part, RawMessage } from "../store/wire.ts";

/** What it is read with. */
export interface WholeParts {
  readonly api: JetStreamApi;
  readonly direct: DirectGet;
  readonly subjects: Subjects;
  readonly decoder: Decoder;
}

/**
 * From any replica, and what that has not got yet from the leader. Undefined if it is there no more: the actor was
 * deleted.
 * @throws {UnavailableError} {@linkcode PermissionError} {@linkcode EventDecodeError}
 */
export async function readWhole(parts: WholeParts, last: Part, operation: Operation): Promise<Commit | undefined> {
  const { api, direct, subjects, decoder } = parts;
  const subject = subjects.ofActor(encodeToken(last.actorId), last.shard);
  const first = last.sequence - last.parts + 1;
  const wanted = last.parts - 1;
  const found = new Map<number, RawMessage>();
  try {
    const { messages } = await direct.batch({ seq: first, next_by_subj: subject, batch: wanted }, operation);
    for (const message of messages) found.set(message.sequence, message);
  } catch (error) {
    if (!(error instanceof Failed)) throw error; // the leader may do better
  }
  const assembler = new Assembler();
  for (let sequence = first; sequence < last.sequence; sequence++) {
    const message = found.get(sequence) ?? await api.reading(operation, () => api.get({ seq: sequence }, operation));
    if (message === undefined) return undefined;
    assembler.add(decoder.part(message));
  }
  const commit = assembler.add(last);
  if (commit === undefined) throw decoder.error({ sequence: last.sequence, subject }, "its parts do not fit together");
  return commit;
}
