/** What the parts of the library report to: small enough that telemetry needs no change in them. */
import { isAetherError } from "../errors.ts";

/** Facts beside a report. */
export type Attributes = Readonly<Record<string, string | number | boolean>>;

/** An operation that began. */
export interface Observed {
  /** Called once. `"ok"`, the `code` of the error that it ended with, `"aborted"`, or `"error"` for any other. */
  end(outcome: string, attributes?: Attributes): void;
}

/**
 * What the parts report to; costs nothing where it is not set. What it throws fails no operation: it goes unhandled.
 *
 * A store starts an operation for each call, by the name of the method, with `namespace`, and `actorId` where it is of
 * one actor; so do a snapshot store, and `load` and `execute` with an observer of their own. Their events:
 *
 * | event | when | attributes |
 * | --- | --- | --- |
 * | `conflict` | a write lost | `actorId`, `expectedVersion`, `actualVersion` |
 * | `duplicate` | a write was stored already | `actorId`, `version` |
 * | `retry` | the server refused a write for the moment, or did not answer | `stream`, `reason` |
 * | `cacheHit` | a write or a look-up needed no round trip to know the version | `actorId` |
 * | `stall` | a reader found the server silent and began anew | `stream`, `silence` in milliseconds |
 * | `snapshotIgnored` | a stored snapshot was not to be used | `actorId`, `reason` |
 * | `snapshotFailed` | a state could not be saved, or a snapshot not be deleted | `actorId`, `reason` |
 *
 * A bus has events only, each with `namespace`:
 *
 * | event | when | attributes |
 * | --- | --- | --- |
 * | `dropped` | a subscriber was too slow, and is meant to lose events | `actorId`, `count`, `overflow` |
 * | `overflow` | a subscriber was too slow, and its subscription ended | `buffer` |
 * | `subscriberError` | a callback failed, and no `onError` took it | `callback`, `error`; of a handler `actorId`, `eventType` |
 * | `undecodable` | a message on the bus was no event | `stream`, `position` (0: it was not stored), `subject`, `error` |
 * | `gap` | commits of an actor were missed; found where a subscription has `onGap` or `fill` | `actorId`, `afterPosition`, `beforePosition` |
 * | `incomplete` | a part of a large commit was missed, or could not be read for a group, and so the commit | `actorId`, `position` |
 * | `late` | a commit came behind a later one, as of two leaders, and was left out | `actorId`, `position` |
 * | `publishRefused` | the server refused what was published | `subject` |
 *
 * So has a node of a cluster:
 *
 * | event | when | attributes |
 * | --- | --- | --- |
 * | `rejoin` | it was taken for dead, or the bucket is gone: it begins anew | `nodeId` |
 * | `joinFailed` | it could not yet | `nodeId`, `error` |
 * | `bucketUnavailable` | whether the bucket was made anew was not answered; it is asked again | `error` |
 * | `shardWorkFailed` | work failed, and starts again; told to the console without an observer | `nodeId`, `shard`, `error` |
 * | `leaderWorkFailed` | the same of a leader's work | `nodeId`, `election`, `error` |
 * | `drainLate`, `workLate` | work has not returned in time, and was not waited for | `shard`, `epoch`; `nodeId` |
 * | `drainFailed` | what was on its way here when a shard was given up may be lost: its sender tries again | `shard`, `error` |
 * | `commandMalformed` | a message was no command of this shard | `shard`, `size` |
 * | `commandsRefused` | the server forbids the subscription to commands | `shard`, `error` |
 * | `answerFailed` | an answer could not be sent | `error` |
 * | `resultUntold` | a command ran, and what it gave is no JSON, or too large | `actorId`, `problem` |
 */
export interface Observer {
  /** Something happened. */
  event?(name: string, attributes: Attributes): void;
  /** An operation began. Undefined: its end is of no interest. */
  start?(operation: string, attributes: Attributes): Observed | undefined;
}

/** The observer, whose errors fail nothing. */
export function harmless(observer: Observer | undefined): Observer | undefined {
  if (observer === undefined) return undefined;
  return {
    event(name, attributes): void {
      attempt(() => observer.event?.(name, attributes));
    },
    start(operation, attributes): Observed | undefined {
      const observed = attempt(() => observer.start?.(operation, attributes));
      return observed && { end: (outcome, more): void => attempt(() => observed.end(outcome, more)) };
    },
  };
}

/** Nobody swallows it either. */
function attempt<T>(report: () => T): T | undefined {
  try {
    return report();
  } catch (error) {
    void Promise.reject(error);
    return undefined;
  }
}

/** Reports the begin and the end of some work. */
export async function observed<T>(
  observer: Observer,
  operation: string,
  attributes: Attributes,
  work: () => Promise<T>,
  result: (value: T) => Attributes,
): Promise<T> {
  const begun = observer.start?.(operation, attributes);
  try {
    const value = await work();
    begun?.end("ok", result(value));
    return value;
  } catch (error) {
    begun?.end(outcomeOf(error));
    throw error;
  }
}

/** Reports the begin and the end of a reading, and how many things it gave. */
export async function* observedItems<T>(
  observer: Observer,
  operation: string,
  attributes: Attributes,
  items: AsyncIterable<T>,
): AsyncGenerator<T, void, undefined> {
  const begun = observer.start?.(operation, attributes);
  let outcome = "ok"; // who breaks off has what was wanted
  let count = 0;
  try {
    for await (const item of items) {
      count++;
      yield item;
    }
  } catch (error) {
    outcome = outcomeOf(error);
    throw error;
  } finally {
    begun?.end(outcome, { count });
  }
}

function outcomeOf(error: unknown): string {
  if (isAetherError(error)) return error.code;
  return error instanceof Error && /^(Abort|Timeout)Error$/.test(error.name) ? "aborted" : "error";
}
