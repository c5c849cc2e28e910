import { LeadershipLostError } from "../errors.ts";
import type { Seen } from "./view.ts";
import type { Lease } from "./lease.ts";
import type { Presence } from "./presence.ts";
import { candidateKey, leaderKey, TABLE } from "./names.ts";

/** Milliseconds beyond the TTL before a candidate takes over, so that two rarely try at once. */
const JITTER = { least: 100, most: 500 } as const;
/** Milliseconds between two looks, where nothing changes. */
const LOOK = { least: 150, most: 300 } as const;

/** Lifetimes of a lease after which the record of a candidate that is no more is removed. */
const REMOVED = 10;

/** A leader's record. */
export interface LeaderRecord {
  readonly v: 1;
  readonly nodeId: string;
  readonly incarnation: string;
  /** Fencing token: greater with each new leader, also over the loss of the bucket. */
  readonly token: number;
  readonly state: "leads" | "resigned";
}

/** A time of leadership. */
export interface Leadership {
  /** Fencing token: greater with each new leader. */
  readonly token: number;
  /** Aborted when leadership may have been lost. */
  readonly signal: AbortSignal;
  /** Throws LEADERSHIP_LOST unless the lease certainly holds at this moment. */
  readonly assert: () => void;
}

/** A term of this node: from the moment it was elected until another may be. */
export class Term {
  readonly token: number;
  readonly #lease: Lease<LeaderRecord>;
  #isOver = false;

  constructor(token: number, lease: Lease<LeaderRecord>) {
    this.token = token;
    this.#lease = lease;
  }

  /** Whether this node certainly leads at this moment. */
  get isValid(): boolean {
    return !this.#isOver && this.#lease.isValid();
  }

  /** When it ends unless it is renewed, by the local clock. */
  get until(): number {
    return this.#lease.until;
  }

  /** @throws {LeadershipLostError} */
  readonly assert = (): void => {
    if (!this.isValid) throw new LeadershipLostError({ token: this.token });
  };

  end(): void {
    this.#isOver = true;
  }
}

/** Who leads, by the record of an election. */
export function leaderIn(presence: Presence, election: string): LeaderRecord | undefined {
  const record = recordOf(presence.view.get(leaderKey(election)));
  return record?.state === "leads" ? record : undefined;
}

/** What is done in a term, until the signal aborts: lost, or to be resigned. A pause of the lease does not end it. */
export type TermWork = (term: Term, signal: AbortSignal) => Promise<void>;

/** What a candidate needs. */
export interface CandidateOptions {
  readonly election: string;
  readonly nodeId: string;
  /** Called with a term when it begins; it is resigned once the work has returned, or the signal aborted. */
  readonly work: TermWork;
}

/** Stands for election in one life of a node: pure but for the presence. */
export class Candidate {
  readonly #presence: Presence;
  readonly #options: CandidateOptions;
  readonly #key: string;

  constructor(presence: Presence, options: CandidateOptions) {
    this.#presence = presence;
    this.#options = options;
    this.#key = leaderKey(options.election);
  }

  /** One term after another, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { view, lease, ports: { times }, watcher } = this.#presence;
    let patience = jitter(JITTER);
    let last = -1;
    let isNews = false;
    using _listening = view.onChange((key) => isNews ||= key === this.#key);
    while (!signal.aborted) {
      isNews = false;
      const seen = view.get(this.#key);
      if (seen !== undefined && seen.revision !== last) {
        last = seen.revision;
        patience = jitter(JITTER);
      }
      const isVacant = seen === undefined ? watcher.polled !== undefined : recordOf(seen)?.state === "resigned" ||
        lease.silence(seen) > times.ttl + patience && lease.isSteady();
      if (isVacant && lease.isValid() && await this.#serve(seen, signal)) continue;
      if (signal.aborted) return;
      // What came while this node was trying would be waited for in vain.
      if (!isNews) await view.change((key) => key === this.#key, jitter(LOOK), signal);
    }
  }

  /** A term, if it can be had; false: another was first. */
  async #serve(seen: Seen | undefined, signal: AbortSignal): Promise<boolean> {
    const { bucket, incarnation, view } = this.#presence;
    const { nodeId, work } = this.#options;
    if (seen !== undefined && view.revisionRead(this.#key) !== seen.revision) {
      // A sign of life has no value with it: the token to surpass may be another's by now.
      const entry = await bucket.read(this.#key);
      if (entry !== undefined && entry !== "none") view.correct(entry);
      return false;
    }
    const highest = Math.max(recordOf(seen)?.token ?? 0, tokenIn(view.get(TABLE)));
    // The first of a bucket is the moment it was made: higher than all of a bucket before it.
    const token = Math.max(highest + 1, seen === undefined ? bucket.created : 0);
    const fields: LeaderRecord = { v: 1, nodeId, incarnation, token, state: "leads" };
    const lease = this.#presence.newLease(this.#key, fields, seen?.revision ?? 0);
    if (!await lease.take(signal)) return false;
    const term = new Term(token, lease);
    const [over, renewing] = [new AbortController(), new AbortController()];
    const stop = (): void => over.abort();
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
    const keeping = lease.keep(renewing.signal).finally(stop);
    try {
      await work(term, over.signal);
    } finally {
      signal.removeEventListener("abort", stop);
      term.end();
      renewing.abort();
      // One round trip, after which another may lead at once.
      if (await keeping) await lease.close({ state: "resigned" });
    }
    return true;
  }
}

/** Removes what candidates have left behind that are no more, whoever leads. */
export async function removeLeft(presence: Presence, election: string, signal: AbortSignal): Promise<void> {
  const { view, lease, bucket, ports: { clock, times } } = presence;
  while (!signal.aborted) {
    for (const seen of view.of(candidateKey(election, ""))) {
      if (signal.aborted || lease.silence(seen) < times.ttl * REMOVED || !lease.isSteady()) continue;
      if (await bucket.remove(seen)) view.forget(seen.key);
    }
    await clock.sleep(times.ttl, signal);
  }
}

/** The token of the leader that wrote the table. */
function tokenIn(seen: Seen | undefined): number {
  const value = seen?.value;
  const token = typeof value === "object" && value !== null && "token" in value ? value.token : 0;
  return typeof token === "number" ? token : 0;
}

function recordOf(seen: Seen | undefined): LeaderRecord | undefined {
  const value = seen?.value;
  if (typeof value !== "object" || value === null || !("v" in value) || value.v !== 1) return undefined;
  return "token" in value && typeof value.token === "number" ? value as LeaderRecord : undefined;
}

function jitter({ least, most }: { readonly least: number; readonly most: number }): number {
  return least + Math.random() * (most - least);
}
