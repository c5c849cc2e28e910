/** What atomic batches of appends cost with the bare client: the limit of a lane that has one under way at a time. */
import { headers, type NatsConnection } from "@nats-io/nats-core";
import { median } from "./measure.ts";

const EXPECTED = "Nats-Expected-Last-Subject-Sequence";
const EXPECTED_SUBJECT = "Nats-Expected-Last-Subject-Sequence-Subject";

/** An actor that is appended to, and its shard's fence. */
export interface BareActor {
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly fence: { readonly subject: string; readonly sequence: number };
}

/** Appends a second: one message of each actor in a batch with its own expectation, batch after batch. */
export async function bareBatches(
  nc: NatsConnection,
  actors: readonly BareActor[],
  { withChecks, rounds, milliseconds }: {
    readonly withChecks: boolean;
    readonly rounds: number;
    readonly milliseconds: number;
  },
): Promise<number> {
  const empty = new TextEncoder().encode("[]");
  const lasts = new Map(actors.map(({ subject }) => [subject, 0]));
  const rates: number[] = [];
  for (let round = -1; round < rounds; round++) { // the first one warms up
    let count = 0;
    const began = performance.now();
    while (performance.now() - began < milliseconds) {
      const messages = actors.flatMap(({ subject, payload, fence }) => {
        const own = { subject, payload, fields: [[EXPECTED, String(lasts.get(subject))]] };
        const fields = [[EXPECTED, String(fence.sequence)], [EXPECTED_SUBJECT, fence.subject]];
        return withChecks ? [own, { subject, payload: empty, fields }] : [own];
      });
      const last = await send(nc, messages);
      messages.forEach(({ subject }, index) => lasts.set(subject, last - messages.length + 1 + index));
      count += actors.length;
    }
    if (round >= 0) rates.push(count / (performance.now() - began) * 1_000);
  }
  return median(rates);
}

/** The sequence of the last one. */
async function send(
  nc: NatsConnection,
  messages: readonly { subject: string; payload: Uint8Array; fields: string[][] }[],
): Promise<number> {
  const id = crypto.randomUUID();
  for (const [index, { subject, payload, fields }] of messages.entries()) {
    const own = headers();
    for (const [name = "", value = ""] of fields) own.append(name, value);
    own.append("Nats-Batch-Id", id);
    own.append("Nats-Batch-Sequence", String(index + 1));
    if (index < messages.length - 1) {
      nc.publish(subject, payload, { headers: own });
      continue;
    }
    own.append("Nats-Batch-Commit", "1");
    const { seq, error } = (await nc.request(subject, payload, { headers: own, timeout: 10_000 })).json<{
      readonly seq?: number;
      readonly error?: unknown;
    }>();
    if (seq === undefined) throw new Error(`a bare batch was refused: ${JSON.stringify(error)}`);
    return seq;
  }
  return 0;
}
