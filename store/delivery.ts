/** What a consumer says beside each message, in its reply subject. */

/** Of one delivered message. */
export interface Delivery {
  /** Its sequence in the stream. */
  readonly sequence: number;
  /** Its number among what this consumer has delivered, from 1 without a gap. */
  readonly delivered: number;
  /** ISO 8601 with milliseconds. */
  readonly storedAt: string;
  /** How many messages are still to come. */
  readonly pending: number;
}

/**
 * `$JS.ACK.<stream>.<consumer>.<tries>.<stream seq>.<consumer seq>.<time>.<pending>`, since server 2.15 also with domain
 * and account in front of the stream (nats-server `server/consumer.go`, ADR-15). Undefined for any other subject.
 */
export function deliveryOf(reply: string): Delivery | undefined {
  if (!reply.startsWith("$JS.ACK.")) return undefined;
  const tokens = reply.split(".");
  const first = tokens.length === 9 ? 5 : 7;
  const [sequence, delivered, time, pending] = tokens.slice(first, first + 4);
  if (pending === undefined || time === undefined) return undefined;
  return {
    sequence: Number(sequence),
    delivered: Number(delivered),
    storedAt: new Date(Number(time.slice(0, -6))).toISOString(), // nanoseconds
    pending: Number(pending),
  };
}
