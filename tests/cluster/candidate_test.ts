import assert from "node:assert/strict";
import { it } from "node:test";
import { Candidate, removeLeft } from "../../cluster/candidate.ts";
import { Timeline } from "../../cluster/clock.ts";
import { LEASE_TIMES } from "../../cluster/lease.ts";
import { candidateKey, leaderKey } from "../../cluster/names.ts";
import type { Presence } from "../../cluster/presence.ts";
import { View } from "../../cluster/view.ts";
import { aborted } from "../../cluster/crew.ts";
import { VirtualClock } from "./support/virtual_clock.ts";

/** Time stands still: nothing happens but by a change. */
const CLOCK = {
  now: () => 0,
  wall: () => 0,
  sleep: (_milliseconds: number, signal?: AbortSignal) => aborted(signal as AbortSignal),
  timer: () => () => {},
};

it("a candidate that lost to one who resigned meanwhile stands again at once", async () => {
  const key = leaderKey("x");
  const view = new View(new Timeline(CLOCK));
  const record = (revision: number, state: string): void =>
    view.see({ key, revision, value: { v: 1, nodeId: "b", incarnation: "b", token: revision, state } });
  const tried: number[] = [];
  const won = Promise.withResolvers<void>();
  const lease = {
    take(): Promise<boolean> {
      if (tried.length === 2) return Promise.resolve(true);
      // Another was first, and is the leader no more before this one has found out.
      record(2, "leads");
      record(3, "resigned");
      return Promise.resolve(false);
    },
    keep: (signal: AbortSignal) => aborted(signal).then(() => true),
    close: () => Promise.resolve(true),
  };
  const presence = {
    view,
    incarnation: "a",
    bucket: { created: 0 },
    watcher: { polled: 0 },
    lease: { isValid: () => true, isSteady: () => true, silence: () => 0 },
    ports: { clock: CLOCK, times: LEASE_TIMES },
    newLease(_key: string, _fields: object, revision: number): typeof lease {
      tried.push(revision);
      return lease;
    },
  } as unknown as Presence;
  record(1, "resigned");
  const over = new AbortController();
  const work = (): Promise<void> => {
    won.resolve();
    over.abort();
    return Promise.resolve();
  };
  const running = new Candidate(presence, { election: "x", nodeId: "a", work }).run(over.signal);
  await won.promise;
  await running;
  assert.deepEqual(tried, [1, 3]);
});

it("the records of candidates that are no more are removed, whoever leads, and asked for until they are", async () => {
  const clock = new VirtualClock();
  const timeline = new Timeline(clock);
  const view = new View(timeline);
  const keys = ["gone", "other", "alive"].map((name) => candidateKey("x", name));
  for (const [index, key] of [...keys, candidateKey("y", "gone")].entries()) {
    view.see({ key, revision: index + 1, value: { state: "left" } });
  }
  const asked: [key: string, at: number][] = [];
  const presence = {
    view,
    bucket: {
      remove({ key }: { readonly key: string }): Promise<boolean> {
        asked.push([key, clock.now()]);
        return Promise.resolve(key !== keys[1] || asked.length > 2); // the first answer is lost
      },
    },
    lease: { isSteady: () => true, silence: ({ since }: { readonly since: number }) => clock.now() - since },
    ports: { clock, times: LEASE_TIMES },
  } as unknown as Presence;
  const over = new AbortController();
  const running = removeLeft(presence, "x", over.signal);
  for (let revision = 10; revision < 70; revision++) {
    await clock.pass(1_000);
    view.renewed(keys[2] as string, revision);
  }
  over.abort();
  await clock.until(running);
  assert.deepEqual(asked.map(([key]) => key), [keys[0], keys[1], keys[1]]);
  assert.ok(asked.every(([, at]) => at >= 10 * LEASE_TIMES.ttl), JSON.stringify(asked));
});
