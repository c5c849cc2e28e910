/**
 * A process that works on a store for a while: `worker.ts '{ … }'`, as `WorkerOptions`. It prints `ready` when it
 * begins, and at the end what it did, each call on a line.
 * @module
 */
import { connect } from "@nats-io/transport-node";
import process from "node:process";
import { type Consistency, isAetherError, JetStreamEventStore, type NewEvent } from "../../mod.ts";
import { numbers } from "../support/random.ts";
import { type Call, type Entry, now, type Outcome, printOf, recordedEvent } from "./history.ts";

/** What a worker is told. */
export interface WorkerOptions {
  readonly process: string;
  readonly servers: readonly string[];
  readonly namespace: string;
  readonly seed: number;
  readonly seconds: number;
}

/** So few that the workers get in each other's way. */
const ACTORS = ["a-1", "a-2", "b-1", "b-2", "c", "d"];
/** Calls that are under way at once. */
const LANES = 4;
/** Milliseconds of a call: a fifth of that without an answer, and the store asks again. */
const TIMEOUT = 2_500;
/** Seconds after the end in which what is not known yet can still be found out. */
const GRACE = 30;
/** Characters of an event that is large: three of them are too much for one message. */
const LARGE = 7_000;

/** What is to be written of an actor; nothing: its version is checked. */
interface Plan {
  readonly actorId: string;
  readonly expectedVersion: number | "any";
  readonly events: readonly (NewEvent & { readonly id: string })[];
}

class Worker {
  readonly entries: Entry[] = [];
  readonly #process: string;
  readonly #store: JetStreamEventStore;
  readonly #random: () => number;
  readonly #known: Map<string, number> = new Map();
  readonly #end: number;
  #events = 0;

  constructor({ process, seed, seconds }: WorkerOptions, store: JetStreamEventStore) {
    this.#process = process;
    this.#store = store;
    this.#random = numbers(seed);
    this.#end = performance.now() + seconds * 1_000;
  }

  async run(): Promise<void> {
    const lane = async (): Promise<void> => {
      while (performance.now() < this.#end) await this.#record(this.#next());
    };
    await Promise.all(Array.from({ length: LANES }, lane));
  }

  async #record(call: () => Promise<Call>): Promise<void> {
    const invoked = now();
    try {
      const done = await call();
      this.entries.push({ process: this.#process, invoked, returned: now(), call: done });
    } catch (error) {
      if (!isAetherError(error, "UNAVAILABLE")) throw error; // of a read
    }
  }

  #next(): () => Promise<Call> {
    const [one, other] = this.#twoActors();
    const consistency = this.#random() < 0.5 ? "session" : "leader";
    const kind = this.#random();
    if (kind < 0.30) return this.#write(this.#plan(one, 1 + this.#below(3)));
    if (kind < 0.40) return this.#write(this.#plan(one, 1, { any: true }));
    if (kind < 0.50) return this.#write(this.#plan(one, 3, { size: LARGE, any: this.#random() < 0.3 }));
    if (kind < 0.58) return this.#write(this.#plan(one, 1), this.#plan(other, 2));
    if (kind < 0.62) return this.#write(this.#plan(one, 1, { any: true }), this.#plan(other, 1));
    if (kind < 0.66) return this.#write(this.#plan(one, 1), this.#plan(other, 0));
    if (kind < 0.78) return () => this.#readEvents(one, consistency);
    if (kind < 0.88) return () => this.#readCommits(one, consistency);
    return () => this.#readVersion(one, consistency);
  }

  #write(...plans: readonly Plan[]): () => Promise<Call> {
    return async () => {
      const { outcome, attempts } = await this.#settle(plans);
      const writes = plans.map(({ actorId, expectedVersion, events }) => ({
        actorId,
        expected: expectedVersion,
        events: events.map(({ id, data }) => ({ id, print: printOf(data) })),
      }));
      return { kind: "write", writes, outcome, attempts };
    };
  }

  /** Repeats a write, until it is known what became of it. */
  async #settle(plans: readonly Plan[]): Promise<{ outcome: Outcome; attempts: number }> {
    const repeatable = plans.some(({ expectedVersion, events }) => expectedVersion !== "any" && events.length > 0);
    for (let attempts = 1, open = false;; attempts++) {
      const outcome = await this.#attempt(plans);
      // What was not stored now may have been before.
      open &&= outcome.kind === "refused" && outcome.conflict === undefined;
      open ||= outcome.kind === "unknown";
      if (!open) return { outcome, attempts };
      if (!repeatable || performance.now() > this.#end + GRACE * 1_000) {
        return { outcome: { kind: "unknown" }, attempts };
      }
    }
  }

  async #attempt(plans: readonly Plan[]): Promise<Outcome> {
    try {
      const [{ actorId, events, expectedVersion }] = plans as [Plan];
      const commits = plans.length === 1
        ? [await this.#store.append(actorId, events, { expectedVersion })]
        : await this.#store.transact(plans);
      for (const { actorId, version } of commits) this.#learn(actorId, version);
      return {
        kind: "acknowledged",
        commits: commits.map(({ version, position, duplicate }) => ({ version, position, duplicate })),
      };
    } catch (error) {
      if (isAetherError(error, "UNKNOWN_OUTCOME")) return { kind: "unknown" };
      if (isAetherError(error, "UNAVAILABLE")) return { kind: "refused", code: error.code };
      if (!isAetherError(error, "VERSION_CONFLICT")) throw error;
      const { code, actorId, expectedVersion, actualVersion } = error;
      this.#learn(actorId, actualVersion);
      return { kind: "refused", code, conflict: { actorId, expected: Number(expectedVersion), actual: actualVersion } };
    }
  }

  async #readEvents(actorId: string, consistency: Consistency): Promise<Call> {
    const from = this.#somewhere(actorId);
    const events = (await this.#store.getEvents(actorId, from, { consistency })).map(recordedEvent);
    this.#learn(actorId, events.at(-1)?.version ?? 0);
    return { kind: "read", actorId, from, consistency, events };
  }

  async #readCommits(actorId: string, consistency: Consistency): Promise<Call> {
    const from = this.#somewhere(actorId);
    const all = await Array.fromAsync(this.#store.readActor(actorId, { fromVersion: from, consistency }));
    const events = all.flatMap((commit) => commit.events.map(recordedEvent));
    const commits = all.map(({ version, position }) => ({ version, position }));
    this.#learn(actorId, events.at(-1)?.version ?? 0);
    return { kind: "read", actorId, from, consistency, events, commits };
  }

  async #readVersion(actorId: string, consistency: Consistency): Promise<Call> {
    const version = await this.#store.getLatestVersion(actorId, { consistency });
    this.#learn(actorId, version);
    return { kind: "version", actorId, consistency, version };
  }

  #plan(actorId: string, count: number, { any = false, size = 20 } = {}): Plan {
    return {
      actorId,
      expectedVersion: any ? "any" : this.#known.get(actorId) ?? 0,
      events: Array.from({ length: count }, () => ({
        id: `${this.#process}-${++this.#events}`,
        eventType: "Happened",
        data: { mark: this.#random(), text: "x".repeat(size) },
      })),
    };
  }

  #learn(actorId: string, version: number): void {
    this.#known.set(actorId, Math.max(version, this.#known.get(actorId) ?? 0));
  }

  /** A version to read from: mostly near the end, now and then the first. */
  #somewhere(actorId: string): number {
    return Math.max(1, Math.ceil((this.#known.get(actorId) ?? 0) - 5 / this.#random()));
  }

  #twoActors(): [string, string] {
    const one = this.#below(ACTORS.length);
    const other = (one + 1 + this.#below(ACTORS.length - 1)) % ACTORS.length;
    return [ACTORS[one] as string, ACTORS[other] as string];
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}

const options: WorkerOptions = JSON.parse(process.argv[2] ?? "");
const nc = await connect({ servers: [...options.servers], reconnectTimeWait: 50, maxReconnectAttempts: -1 });
const store = await JetStreamEventStore.open(nc, { namespace: options.namespace, create: false, timeout: TIMEOUT });
const worker = new Worker(options, store);
console.log("ready");
await worker.run();
await nc.close();
for (const entry of worker.entries) console.log(JSON.stringify(entry));
