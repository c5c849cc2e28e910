import type { Call, Entry, RecordedCommit, RecordedEvent, WriteCall } from "./history.ts";

/** A call of one kind. */
export type EntryOf<Kind extends Call["kind"]> = Entry & { readonly call: Extract<Call, { kind: Kind }> };

/** What is stored of an actor. */
export interface StoredActor {
  readonly commits: readonly RecordedCommit[];
  readonly events: readonly RecordedEvent[];
  /** The versions that it had, and since which position: one by each commit, and 0. */
  readonly versions: ReadonlyMap<number, number>;
}

/** Where an event is stored. */
export interface Place {
  readonly commit: RecordedCommit;
  /** Of the commit, in the order of all. */
  readonly index: number;
}

const NOTHING: StoredActor = { commits: [], events: [], versions: new Map([[0, 0]]) };

/** Recorded calls and what is stored, ready to be looked up. */
export class Facts {
  readonly entries: readonly Entry[];
  readonly writes: readonly EntryOf<"write">[];
  readonly reads: readonly EntryOf<"read">[];
  readonly stored: readonly RecordedCommit[];
  readonly actors: ReadonlyMap<string, StoredActor>;
  readonly #places: Map<string, Place> = new Map();

  constructor(entries: readonly Entry[], stored: readonly RecordedCommit[]) {
    this.entries = entries;
    this.writes = entries.filter((entry): entry is EntryOf<"write"> => entry.call.kind === "write");
    this.reads = entries.filter((entry): entry is EntryOf<"read"> => entry.call.kind === "read");
    this.stored = stored;
    this.actors = new Map(
      [...Map.groupBy(stored, ({ actorId }) => actorId)].map(([actorId, commits]) => [actorId, {
        commits,
        events: commits.flatMap(({ events }) => events),
        versions: new Map([[0, 0], ...commits.map(({ version, position }) => [version, position] as const)]),
      }]),
    );
    for (const [index, commit] of stored.entries()) {
      for (const { id } of commit.events) this.#places.set(id, { commit, index });
    }
  }

  /** What is stored of an actor. */
  actor(actorId: string): StoredActor {
    return this.actors.get(actorId) ?? NOTHING;
  }

  /** Where an event is stored. */
  place(id: string | undefined): Place | undefined {
    return this.#places.get(id ?? "");
  }

  /** Where those events of a call lie that are stored. */
  places({ writes }: WriteCall): Place[] {
    return writes.flatMap(({ events }) => events.flatMap(({ id }) => this.place(id) ?? []));
  }
}

/** How far something had come at any time. */
export class Progress {
  readonly #steps: Map<string, { time: number; value: number }[]>;

  /** From what was certain at which time. */
  constructor(steps: Iterable<{ readonly of: string; readonly time: number; readonly value: number }>) {
    this.#steps = Map.groupBy(steps, (step) => step.of);
    for (const [of, own] of this.#steps) {
      let most = 0;
      const sorted = own.toSorted((one, other) => one.time - other.time);
      this.#steps.set(of, sorted.map(({ time, value }) => ({ time, value: most = Math.max(most, value) })));
    }
  }

  /** The greatest value that was certain before; 0 if none was. */
  before(time: number, of: string): number {
    const steps = this.#steps.get(of) ?? [];
    let [from, to] = [0, steps.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((steps[middle]?.time ?? Infinity) < time) from = middle + 1;
      else to = middle;
    }
    return steps[from - 1]?.value ?? 0;
  }
}
