/** Sending messages to be stored: one by a publish, several as an atomic batch (ADR-50). */
import { headers, type Msg, type MsgHdrs } from "@nats-io/nats-core";
import { BatchTooLargeError, EventTooLargeError } from "../errors.ts";
import { answerOf, Failed, failureOf, limitOf } from "./answer.ts";
import type { ErrorAnswer, JetStreamApi } from "./jetstream_api.ts";
import type { Operation } from "./operation.ts";
import type { WireMessage } from "./wire.ts";

/** Messages in one atomic batch, unless the server's operator set fewer: nats-server `server/jetstream_batching.go`. */
export const MAX_BATCH = 1_000;
/** Bytes of `NATS/1.0` and the empty line behind the headers. */
const FRAME = 12;

/** A message with the client's headers. */
interface Prepared {
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly headers: MsgHdrs;
}

/**
 * Sends messages once, to be stored all or none; the sequence of the last one. Of a batch only the last message is
 * answered, so that it costs one round trip; the client's own `Batch` hides the server's errors. `careful`: each message
 * is answered, so that the reason shows why one did not arrive.
 * @throws {Failed}
 * @throws {EventTooLargeError} {@linkcode BatchTooLargeError} before anything is sent
 */
export async function publish(
  api: JetStreamApi,
  messages: readonly WireMessage[],
  operation: Operation,
  careful: boolean,
): Promise<number> {
  await api.connected(messages[0]?.subject ?? "", operation); // before that its limits are not known either
  const prepared = prepare(messages, api.nc.info?.max_payload ?? Infinity);
  const last = prepared.pop();
  if (last === undefined) throw new RangeError("nothing to publish");
  operation.signal?.throwIfAborted();
  try {
    if (careful) return await sendAll(api, [...prepared, last], operation);
    for (const message of prepared) post(api, message);
    return await send(api, last, operation);
  } catch (error) {
    const failure = error instanceof Failed ? error.failure : undefined;
    if (failure?.kind !== "answer" || failure.meaning !== "large") throw error;
    throw new BatchTooLargeError({ messages: messages.length, limit: limitOf(failure) }, { cause: error });
  }
}

function prepare(messages: readonly WireMessage[], maxPayload: number): Prepared[] {
  const { length } = messages;
  if (length > MAX_BATCH) throw new BatchTooLargeError({ messages: length, limit: MAX_BATCH });
  const id = length > 1 ? crypto.randomUUID() : undefined;
  return messages.map(({ subject, payload, headers: fields }, index) => {
    const head = headers();
    let size = payload.length + FRAME;
    const add = (name: string, value: string): void => {
      head.append(name, value);
      size += name.length + value.length + 4;
    };
    for (const name in fields) add(name, fields[name] as string);
    if (id !== undefined) {
      add("Nats-Batch-Id", id);
      add("Nats-Batch-Sequence", String(index + 1));
      if (index === length - 1) add("Nats-Batch-Commit", "1");
    }
    if (size > maxPayload) throw new EventTooLargeError({ size, limit: maxPayload });
    return { subject, payload, headers: head };
  });
}

function post(api: JetStreamApi, { subject, payload, headers }: Prepared): void {
  try {
    api.nc.publish(subject, payload, { headers });
  } catch (error) {
    throw new Failed(failureOf(error, subject), error);
  }
}

/** What the first of them that fails fails with says why all of them did. */
async function sendAll(api: JetStreamApi, messages: readonly Prepared[], operation: Operation): Promise<number> {
  let sequence = 0;
  for (const answer of await Promise.allSettled(messages.map((message) => send(api, message, operation)))) {
    if (answer.status === "rejected") throw answer.reason;
    sequence = answer.value;
  }
  return sequence;
}

/** The sequence that it was stored at; 0 for what waits for the rest of its batch. */
async function send(api: JetStreamApi, { subject, payload, headers }: Prepared, operation: Operation): Promise<number> {
  let message: Msg;
  try {
    message = await api.request(subject, payload, operation, headers);
  } catch (error) {
    // Whoever gives up waiting does not know what became of it, nor who may not have the answer.
    if (operation.signal?.aborted) {
      throw new Failed({ kind: "silence", description: "aborted" }, operation.signal.reason);
    }
    const failure = error instanceof Failed ? error.failure : undefined;
    if (failure?.kind !== "forbidden" || failure.subject === subject) throw error;
    throw new Failed({ kind: "silence", description: failure.description }, error);
  }
  if (message.data.length === 0) return 0;
  const { stream, seq, error } = ackOf(message);
  if (error) throw new Failed(answerOf(error));
  if (stream === api.stream && seq !== undefined) return seq;
  throw new Failed({ kind: "silence", description: `${subject}: answered by another than ${api.stream}` });
}

type Ack = { readonly stream?: string; readonly seq?: number } & ErrorAnswer;

/** Anybody may subscribe to the subject, and answer. */
function ackOf(message: Msg): Ack {
  try {
    return message.json<Ack>();
  } catch {
    return {};
  }
}
