/** Whether what processes were told agrees with what is stored: rules of linear time, since versions give the order. */
import type { Consistency } from "../../mod.ts";
import { Facts, Progress } from "./facts.ts";
import type { Call, Entry, RecordedCommit, RecordedWrite } from "./history.ts";

/** Something that must not be. */
export interface Violation {
  readonly rule: Rule;
  readonly what: string;
}

/** Which rule. */
export type Rule = keyof typeof RULES;

/** Milliseconds that the clocks of two processes may differ. Those of Deno, Bun and Node did by 0.01. */
const CLOCK_ERROR = 0.5;

/** Finds what is wrong with the calls of all processes, given what is stored after them in the order of positions. */
export function check(entries: readonly Entry[], stored: readonly RecordedCommit[]): Violation[] {
  const facts = new Facts(entries, stored);
  return (Object.keys(RULES) as Rule[]).flatMap((rule) => [...RULES[rule](facts)].map((what) => ({ rule, what })));
}

const RULES = {
  /** Positions increase. */
  *positions({ stored }: Facts): Iterable<string> {
    let last = 0;
    for (const commit of stored) {
      if (commit.position <= last) yield `${name(commit)} comes after position ${last}`;
      last = commit.position;
    }
  },

  /** Versions of an actor are 1, 2, 3, …, and a commit has that of its last event. */
  *versions({ actors }: Facts): Iterable<string> {
    for (const { commits } of actors.values()) {
      let last = 0;
      for (const commit of commits) {
        for (const { version } of commit.events) {
          if (version !== ++last) yield `${name(commit)} has version ${version} in place of ${last}`;
        }
        if (commit.version !== last) yield `${name(commit)} ends with version ${last}`;
      }
    }
  },

  /** No event is there twice. */
  *twice({ stored }: Facts): Iterable<string> {
    const seen = new Set<string>();
    for (const commit of stored) {
      for (const { id } of commit.events) {
        if (seen.has(id)) yield `${name(commit)} repeats event ${id}`;
        seen.add(id);
      }
    }
  },

  /** Every event is there as somebody wrote it. */
  *origin({ writes, stored }: Facts): Iterable<string> {
    const written = new Map<string, string>();
    for (const { call } of writes) {
      for (const { actorId, events } of call.writes) {
        for (const { id, print } of events) written.set(id, `${actorId} ${print}`);
      }
    }
    for (const commit of stored) {
      for (const { id, print } of commit.events) {
        if (written.get(id) !== `${commit.actorId} ${print}`) {
          yield `${name(commit)} has event ${id} as nobody wrote it`;
        }
      }
    }
  },

  /** A write is there as a whole or not at all, an actor's events as one commit, those of several next to each other. */
  *whole(facts: Facts): Iterable<string> {
    for (const { call } of facts.writes) {
      const [first] = facts.places(call);
      if (first === undefined) continue;
      const expected = call.writes.filter(({ events }) => events.length > 0).map(contents);
      const actual = facts.stored.slice(first.index, first.index + expected.length).map(contents);
      if (String(expected) !== String(actual)) yield `${actual.join(" and ")} was to be ${expected.join(" and ")}`;
    }
  },

  /** What was acknowledged is there, at its version and position. */
  *acknowledged(facts: Facts): Iterable<string> {
    for (const { call } of facts.writes) {
      if (call.outcome.kind !== "acknowledged") continue;
      for (const [index, { actorId, events }] of call.writes.entries()) {
        const told = { actorId, ...call.outcome.commits[index] as { version: number; position: number } };
        const commit = facts.place(events[0]?.id)?.commit;
        if (events.length > 0 && (commit?.version !== told.version || commit.position !== told.position)) {
          yield `${name(told)} was acknowledged and is ${commit ? name(commit) : "not there"}`;
        }
      }
    }
  },

  /** What was refused is not there. */
  *refused(facts: Facts): Iterable<string> {
    for (const { call } of facts.writes) {
      const [place] = facts.places(call);
      if (call.outcome.kind === "refused" && place) yield `${name(place.commit)} was refused: ${call.outcome.code}`;
    }
  },

  /** Whatever is written lies on the version that was expected. */
  *expected(facts: Facts): Iterable<string> {
    for (const { call } of facts.writes) {
      for (const { expected, events } of call.writes) {
        const commit = facts.place(events[0]?.id)?.commit;
        if (commit && expected !== "any" && commit.version - events.length !== expected) {
          yield `${name(commit)} of ${events.length} was to lie on version ${expected}`;
        }
      }
    }
  },

  /** What a transaction checks without writing it held when it was stored. */
  *checked(facts: Facts): Iterable<string> {
    const versions = new Progress(
      facts.stored.map(({ actorId, position, version }) => ({ of: actorId, time: position, value: version })),
    );
    for (const { call } of facts.writes) {
      const [place] = facts.places(call);
      if (place === undefined) continue;
      for (const { actorId, expected, events } of call.writes) {
        if (events.length > 0) continue;
        const version = versions.before(place.commit.position, actorId);
        if (version !== expected) {
          yield `${name(place.commit)} checked ${actorId} for ${expected}, it was at ${version}`;
        }
      }
    }
  },

  /** A conflict is with another version than was expected, and one that the actor had. */
  *conflict(facts: Facts): Iterable<string> {
    for (const { process, call } of facts.writes) {
      const conflict = call.outcome.kind === "refused" ? call.outcome.conflict : undefined;
      if (conflict === undefined) continue;
      const { actorId, expected, actual } = conflict;
      if (actual === expected || !facts.actor(actorId).versions.has(actual)) {
        yield `${process} was told that ${actorId} is at ${actual}, not ${expected}`;
      }
    }
  },

  /** What began after something else was acknowledged lies behind it. */
  *order(facts: Facts): Iterable<string> {
    const acknowledged = new Progress(
      facts.writes.flatMap(({ returned, call }) =>
        call.outcome.kind === "acknowledged"
          ? call.outcome.commits.map(({ position }) => ({ of: "all", time: returned, value: position }))
          : []
      ),
    );
    for (const { invoked, call } of facts.writes) {
      const [place] = facts.places(call);
      const before = acknowledged.before(invoked - CLOCK_ERROR, "all");
      if (place && place.commit.position < before) {
        yield `${name(place.commit)} was begun after position ${before} was acknowledged`;
      }
    }
  },

  /** What was read is a part of the actor's history without gaps, up to the end of a commit. */
  *read(facts: Facts): Iterable<string> {
    for (const { process, call } of facts.reads) {
      const { actorId, from, events, commits = [] } = call;
      const actor = facts.actor(actorId);
      const first = Math.max(from, 1) - 1;
      const history = actor.events.slice(first, first + events.length);
      const same = JSON.stringify(history) === JSON.stringify(events);
      const whole = actor.versions.has(events.at(-1)?.version ?? 0);
      const placed = commits.every(({ version, position }) => actor.versions.get(version) === position);
      if (!same || !whole || !placed) yield `${process} read of ${actorId} what it never was, from ${from}`;
    }
  },

  /** Versions that were read are those after a commit. */
  *latest(facts: Facts): Iterable<string> {
    for (const { process, call } of facts.entries) {
      if (call.kind === "version" && !facts.actor(call.actorId).versions.has(call.version)) {
        yield `${process} read version ${call.version} of ${call.actorId}, which it never had`;
      }
    }
  },

  /** What asks the leader includes all that was acknowledged before it began. A conflict does, too. */
  *leader(facts: Facts): Iterable<string> {
    const acknowledged = new Progress(
      facts.writes.flatMap((entry) =>
        acknowledgedVersions(entry.call).map(([actorId, version]) => ({
          of: actorId,
          time: entry.returned,
          value: version,
        }))
      ),
    );
    for (const { process, invoked, call } of facts.entries) {
      const answer = answerOf(call);
      if (answer?.consistency !== "leader") continue;
      const before = acknowledged.before(invoked - CLOCK_ERROR, answer.actorId);
      if (answer.version < before) {
        yield `${process} got ${answer.actorId}@${answer.version}, after ${before} was acknowledged`;
      }
    }
  },

  /** Any answer includes all that the process knew before it began. */
  *session(facts: Facts): Iterable<string> {
    const known = new Progress(facts.entries.flatMap((entry) =>
      knownVersions(entry.call).map(([actorId, version]) => ({
        of: `${entry.process} ${actorId}`,
        time: entry.returned,
        value: version,
      }))
    ));
    for (const { process, invoked, call } of facts.entries) {
      const answer = answerOf(call);
      if (answer === undefined) continue;
      const before = known.before(invoked, `${process} ${answer.actorId}`);
      if (answer.version < before) yield `${process} got ${answer.actorId}@${answer.version}, and knew of ${before}`;
    }
  },
};

/** What a call told of an actor's latest version. */
interface Answer {
  readonly actorId: string;
  readonly version: number;
  readonly consistency: Consistency;
}

function answerOf(call: Call): Answer | undefined {
  switch (call.kind) {
    case "version":
      return call;
    case "read": // of what lies before, it says nothing
      return { ...call, version: call.events.at(-1)?.version ?? Math.max(call.from - 1, 0) };
    case "write": {
      const conflict = call.outcome.kind === "refused" ? call.outcome.conflict : undefined;
      return conflict && { actorId: conflict.actorId, version: conflict.actual, consistency: "leader" };
    }
  }
}

/** Actors and versions of which a call was told for certain. */
function knownVersions(call: Call): (readonly [string, number])[] {
  if (call.kind === "read") return call.events.slice(-1).map(({ version }) => [call.actorId, version]);
  const answer = answerOf(call);
  return answer ? [[answer.actorId, answer.version]] : acknowledgedVersions(call);
}

function acknowledgedVersions(call: Call): (readonly [string, number])[] {
  if (call.kind !== "write" || call.outcome.kind !== "acknowledged") return [];
  return call.outcome.commits.map(({ version }, index) => [call.writes[index]?.actorId ?? "", version]);
}

function name({ actorId, version, position }: Omit<RecordedCommit, "events">): string {
  return `${actorId}@${version} at ${position}`;
}

function contents({ actorId, events }: RecordedWrite | RecordedCommit): string {
  return `${actorId}: ${events.map(({ id }) => id).join()}`;
}
