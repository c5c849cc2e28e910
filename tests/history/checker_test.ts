import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Consistency } from "../../mod.ts";
import { check, type Rule } from "./checker.ts";
import { Progress } from "./facts.ts";
import type { Call, Entry, Outcome, RecordedCommit, RecordedEvent, RecordedWrite } from "./history.ts";

const [A1, A2, A3, A4, B1, B2] = [
  event("a", 1),
  event("a", 2),
  event("a", 3),
  event("a", 4),
  event("b", 1),
  event("b", 2),
];

/** Of two actors; the commits of `a` 4 and `b` 1 are one transaction. */
const STORED: readonly RecordedCommit[] = [
  commit(1, "a", A1),
  commit(4, "a", A2, A3),
  commit(5, "a", A4),
  commit(6, "b", B1),
  commit(7, "b", B2),
];

/** What two processes did. Each call takes 10 ms from the moment that is given. */
const ENTRIES: readonly Entry[] = [
  write(100, "p", [append("a", 0, A1)], acknowledged([1, 1])),
  write(200, "p", [append("a", "any", A2, A3)], acknowledged([3, 4])),
  read(300, "q", "leader", "a", [A1, A2, A3]),
  write(400, "q", [append("a", 3, A4), append("b", 0, B1)], acknowledged([4, 5], [1, 6])),
  write(500, "p", [append("b", 1, B2), append("a", 4)], { kind: "unknown" }),
  write(600, "q", [append("a", 3, event("x", 1))], conflict("a", 3, 4)),
  write(600, "q", [append("a", "any", event("x", 2))], { kind: "refused", code: "UNAVAILABLE" }),
  write(600, "q", [append("a", "any", event("x", 3))], { kind: "unknown" }),
  version(700, "p", "session", "a", 3),
  version(800, "p", "leader", "a", 4),
  version(800, "q", "session", "b", 1),
  version(800, "q", "leader", "c", 0),
  read(900, "p", "session", "b", [B2], [[2, 7]]),
  read(950, "p", "session", "b", []),
];

describe("the checker", () => {
  it("finds nothing wrong with a correct history", () => {
    assert.deepEqual(check(ENTRIES, STORED), []);
    assert.deepEqual(check([], []), []);
    assert.deepEqual(check(ENTRIES.slice(0, -2), STORED.slice(0, -1)), [], "what is unknown need not be there");
  });

  it("lets calls at the same time take effect in any order", () => {
    const entries = [
      { ...write(100, "p", [append("a", "any", A2)], acknowledged([2, 2])), returned: 300 },
      { ...write(200, "q", [append("a", "any", A1)], acknowledged([1, 1])), returned: 400 },
      { ...read(100, "r", "leader", "a", [A1, A2]), returned: 200 },
      version(200, "s", "leader", "a", 0),
      version(500, "t", "session", "a", 0), // what others were told
      version(300.4, "u", "leader", "a", 0), // clocks
    ];
    assert.deepEqual(check(entries, [commit(1, "a", A1), commit(2, "a", A2)]), []);
  });

  describe("finds", () => {
    /** The correct history with some of it replaced. */
    const finds = (
      rule: Rule,
      what: string,
      { entries = {}, stored = {} }: { entries?: Record<number, Entry>; stored?: Record<number, RecordedCommit> },
    ): void => {
      it(`${what} (${rule})`, () => {
        const rules = check(
          Object.values<Entry>({ ...ENTRIES, ...entries }),
          Object.values<RecordedCommit>({ ...STORED, ...stored }),
        );
        assert.ok(rules.some((violation) => violation.rule === rule), JSON.stringify(rules));
      });
    };

    finds("positions", "a position that does not increase", {
      stored: { 3: { ...commit(5, "b", B1) } },
    });
    finds("versions", "a version that is left out", {
      stored: { 4: commit(7, "b", event("b", 3)) },
    });
    finds("versions", "a version in the middle of a commit that is left out", {
      stored: { 1: { ...commit(4, "a", A2, { ...A3, version: 4 }), version: 3 } },
    });
    finds("versions", "a commit that has not the version of its last event", {
      stored: { 4: { ...commit(7, "b", B2), version: 3 } },
    });
    finds("twice", "an event that is there twice", {
      stored: { 5: commit(8, "b", { ...B2, version: 3 }) },
    });
    finds("origin", "an event that nobody wrote", {
      stored: { 5: commit(8, "b", event("b", 3)) },
    });
    finds("origin", "an event with other data", {
      stored: { 4: commit(7, "b", event("b", 2, "other")) },
    });
    finds("origin", "an event of another actor", {
      stored: { 4: commit(7, "c", { ...B2, version: 1 }) },
    });
    finds("whole", "a commit without its last event", {
      stored: { 1: commit(4, "a", A2) },
    });
    finds("whole", "a commit without its first event", {
      stored: { 1: commit(4, "a", { ...A3, version: 2 }) },
    });
    finds("whole", "the events of a commit in another order", {
      stored: { 1: commit(4, "a", A3, A2) },
    });
    finds("whole", "a transaction without one of its actors", {
      stored: { 3: commit(6, "b", event("x", 3)) },
    });
    finds("whole", "something in the middle of a transaction", {
      stored: { 3: commit(6, "c", event("x", 3)), 4: commit(7, "b", B1) },
    });
    finds("acknowledged", "an acknowledged commit that is not there", {
      entries: { 14: write(910, "p", [append("c", 0, event("c", 1))], acknowledged([1, 8])) },
    });
    finds("acknowledged", "an acknowledgement with another version", {
      entries: { 1: write(200, "p", [append("a", "any", A2, A3)], acknowledged([2, 4])) },
    });
    finds("acknowledged", "an acknowledgement with another position", {
      entries: { 1: write(200, "p", [append("a", "any", A2, A3)], acknowledged([3, 3])) },
    });
    finds("refused", "a refused commit that is there", {
      entries: { 1: write(200, "p", [append("a", "any", A2, A3)], { kind: "refused", code: "UNAVAILABLE" }) },
    });
    finds("expected", "a commit on another version than expected", {
      entries: { 0: write(100, "p", [append("a", 1, A1)], acknowledged([1, 1])) },
    });
    finds("expected", "the same where the outcome is unknown", {
      entries: { 4: write(500, "p", [append("b", 2, B2)], { kind: "unknown" }) },
    });
    finds("checked", "a transaction whose check did not hold", {
      entries: { 4: write(500, "p", [append("b", 1, B2), append("a", 3)], { kind: "unknown" }) },
    });
    finds("conflict", "a conflict with the version that was expected", {
      entries: { 5: write(600, "q", [append("a", 4, event("x", 1))], conflict("a", 4, 4)) },
    });
    finds("conflict", "a conflict with a version that never was", {
      entries: { 5: write(600, "q", [append("a", 3, event("x", 1))], conflict("a", 3, 5)) },
    });
    finds("order", "a commit before one that was acknowledged when it began", {
      entries: { 0: write(211, "p", [append("a", 0, A1)], acknowledged([1, 1])) },
    });
    finds("order", "the same where the outcome is unknown", {
      entries: { 0: write(211, "p", [append("a", 0, A1)], { kind: "unknown" }) },
    });
    finds("read", "an event that was read and is not there", {
      entries: { 2: read(300, "q", "leader", "a", [A1, A2, A3, A4, event("a", 5)]) },
    });
    finds("read", "an event that a read left out", {
      entries: { 2: read(300, "q", "leader", "a", [A1, A3]) },
    });
    finds("read", "other data than was written", {
      entries: { 2: read(300, "q", "leader", "a", [A1, A2, event("a", 3, "other")]) },
    });
    finds("read", "a part of a commit", {
      entries: { 2: read(300, "q", "leader", "a", [A1, A2]) },
    });
    finds("read", "a commit at another position", {
      entries: { 12: read(900, "p", "session", "b", [B2], [[2, 8]]) },
    });
    finds("latest", "a version that the actor never had", {
      entries: { 8: version(700, "p", "session", "a", 2) },
    });
    finds("leader", "a version older than what was acknowledged", {
      entries: { 9: version(411, "r", "leader", "a", 3) },
    });
    finds("leader", "events older than what was acknowledged", {
      entries: { 2: read(411, "r", "leader", "a", [A1, A2, A3]) },
    });
    finds("leader", "no events where something was acknowledged", {
      entries: {
        2: { ...read(411, "r", "leader", "a", []), call: { ...read(0, "r", "leader", "a", []).call, from: 1 } as Call },
      },
    });
    finds("leader", "a conflict older than what was acknowledged", {
      entries: { 5: write(600, "r", [append("a", 4, event("x", 1))], conflict("a", 4, 3)) },
    });
    finds("session", "an answer without what its process wrote", {
      entries: { 8: version(250, "p", "session", "a", 1) },
    });
    finds("session", "an answer without events that its process read", {
      entries: { 14: version(911, "p", "session", "b", 1) },
    });
    finds("session", "an answer without a version that its process read", {
      entries: { 14: version(911, "p", "session", "a", 3) },
    });
    finds("session", "an answer without what a conflict told its process", {
      entries: {
        5: write(500, "r", [append("a", 3, event("x", 1))], conflict("a", 3, 4)),
        14: version(600, "r", "session", "a", 3),
      },
    });
  });
});

describe("Progress", () => {
  it("knows how far something had come before any time", () => {
    const steps = [{ of: "a", time: 3, value: 7 }, { of: "a", time: 2, value: 4 }, { of: "a", time: 1, value: 5 }];
    const progress = new Progress(steps);
    assert.deepEqual([0, 1, 1.5, 2, 3, 3.5].map((time) => progress.before(time, "a")), [0, 0, 5, 5, 5, 7]);
    assert.equal(progress.before(9, "b"), 0);
  });
});

function event(actorId: string, version: number, print = "same"): RecordedEvent {
  return { id: `${actorId}${version}`, version, print };
}

function commit(position: number, actorId: string, ...events: readonly RecordedEvent[]): RecordedCommit {
  return { actorId, version: events.at(-1)?.version ?? 0, position, events };
}

function append(actorId: string, expected: number | "any", ...events: readonly RecordedEvent[]): RecordedWrite {
  return { actorId, expected, events: events.map(({ id, print }) => ({ id, print })) };
}

function acknowledged(...commits: readonly (readonly [version: number, position: number])[]): Outcome {
  return {
    kind: "acknowledged",
    commits: commits.map(([version, position]) => ({ version, position, duplicate: false })),
  };
}

function conflict(actorId: string, expected: number, actual: number): Outcome {
  return { kind: "refused", code: "VERSION_CONFLICT", conflict: { actorId, expected, actual } };
}

function entry(invoked: number, process: string, call: Call): Entry {
  return { process, invoked, returned: invoked + 10, call };
}

function write(invoked: number, process: string, writes: readonly RecordedWrite[], outcome: Outcome): Entry {
  return entry(invoked, process, { kind: "write", writes, outcome, attempts: 1 });
}

function read(
  invoked: number,
  process: string,
  consistency: Consistency,
  actorId: string,
  events: readonly RecordedEvent[],
  commits: readonly (readonly [version: number, position: number])[] = [],
): Entry {
  return entry(invoked, process, {
    kind: "read",
    actorId,
    from: events[0]?.version ?? 100,
    consistency,
    events,
    commits: commits.map(([version, position]) => ({ version, position })),
  });
}

function version(invoked: number, process: string, consistency: Consistency, actorId: string, version: number): Entry {
  return entry(invoked, process, { kind: "version", actorId, consistency, version });
}
