import type { NatsConnection } from "@nats-io/nats-core";
import { ClosedError } from "../errors.ts";
import { checkOptionNames, namesOf } from "../options.ts";
import type { Abortable } from "../store/event_store.ts";
import { type Leadership, removeLeft } from "./candidate.ts";
import { aborted, hasReturned } from "./crew.ts";
import { Election } from "./election.ts";
import { Lives } from "./lives.ts";
import { candidateKey } from "./names.ts";
import { CLUSTER_NATS_NAMES, type ClusterNatsOptions, type NatsPorts, natsPorts, NEVER } from "./nats_ports.ts";
import { checkName, checkNodeId } from "./node_options.ts";
import { Presence, type Stage } from "./presence.ts";

/** Options of `LeaderElection.campaign`. */
export interface ElectionOptions extends ClusterNatsOptions {
  /** Elections of a namespace are told apart by it. @default "leader" */
  readonly name?: string | undefined;
  /** Who this candidate is to the others. */
  readonly nodeId?: string | undefined;
}

const NAMES = namesOf<ElectionOptions>({ ...CLUSTER_NATS_NAMES, name: true, nodeId: true });

/** The record of a candidate: the proof that the store takes its writes. */
interface CandidateRecord {
  readonly v: 1;
  readonly nodeId: string;
  readonly incarnation: string;
  readonly state: "up" | "left";
}

/** What an election is made of, for the parts that build on it. */
export interface ElectionCore extends NatsPorts {
  readonly election: Election;
  readonly lives: Lives<CandidateRecord>;
}

const cores = new WeakMap<LeaderElection, ElectionCore>();

/**
 * Chooses one node of a namespace: a lease in a NATS KV bucket, taken by compare-and-set once its holder has been silent
 * for 4.5 seconds and more by the candidate's own clock. Clocks may differ; a fencing token protects what they cannot.
 */
export class LeaderElection implements AsyncDisposable {
  readonly #core: ElectionCore;
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  private constructor(core: ElectionCore) {
    this.#core = core;
    cores.set(this, core);
    void aborted(core.ports.closed).then(() => this.#close("The connection"));
  }

  /**
   * Takes part in an election; a candidate once there is work for a leader: by `lead`, or a `ShardDistribution`. Where the
   * connection is closed, it is over.
   *
   * @example
   * ```ts
   * import { LeaderElection } from "@aether/aether";
   * import { connect } from "@nats-io/transport-node";
   *
   * await using nc = await connect({ servers: "localhost:4222" });
   * await using election = await LeaderElection.campaign(nc, { namespace: "shop", name: "nightly" });
   * const signal = AbortSignal.timeout(60_000);
   * await election.lead(async ({ token, assert, signal }) => {
   *   while (!signal.aborted) {
   *     assert(); // synchronously, right before an effect
   *     console.log("at work, with token", token);
   *     await new Promise((resolve) => setTimeout(resolve, 1_000));
   *   }
   * }, { signal });
   * ```
   *
   * @throws {InvalidNamespaceError} {@linkcode InvalidArgumentError} {@linkcode ClosedError}
   * @throws {UnsupportedServerError} before 2.12
   * @throws {UnavailableError} without JetStream or a server that answers in time
   */
  static async campaign(nc: NatsConnection, options: ElectionOptions): Promise<LeaderElection> {
    checkOptionNames("LeaderElection.campaign", options, NAMES);
    const nodeId = checkNodeId(options.nodeId);
    const name = checkName("name", options.name ?? "leader");
    const ports = natsPorts(nc, options);
    const begin = (signal: AbortSignal): Promise<Presence<CandidateRecord>> => {
      // Two candidates of one name are two: only a member's name has to be its own.
      const key = candidateKey(name, `${nodeId}/${crypto.randomUUID()}`);
      const record = (incarnation: string): CandidateRecord => ({ v: 1, nodeId, incarnation, state: "up" });
      return Presence.begin(ports.ports, key, record, isFree, signal);
    };
    const lives = new Lives(ports.ports, { nodeId, begin, farewell: { state: "left" } });
    const election = new Election(ports.ports, lives, { name, nodeId });
    lives.each((presence, signal) => removeLeft(presence, name, signal));
    try {
      await ports.inTime((signal) => lives.start(signal));
    } catch (error) {
      await ports[Symbol.asyncDispose]();
      throw error;
    }
    return new LeaderElection({ ...ports, election, lives });
  }

  /** Who leads, as far as this node knows. */
  get leader(): { readonly nodeId: string; readonly token: number } | undefined {
    const leader = this.#core.election.leader;
    return leader && { nodeId: leader.nodeId, token: leader.token };
  }

  /**
   * Runs `work` each time this node is elected, until the signal; steps down only after `work` has returned. The term's
   * signal aborts as soon as leadership may be lost; where it turns out that nobody led in between, `work` runs again with
   * the same token. Work that returns by itself is done until the next term. What it rejects with, but for the end of its
   * term, comes out here.
   * @throws {ClosedError} if the connection was closed
   */
  async lead(work: (term: Leadership) => Promise<void> | void, options: Abortable = {}): Promise<void> {
    const { signal = NEVER } = options;
    this.#closing.signal.throwIfAborted();
    if (signal.aborted) return;
    const ended = new AbortController();
    let failure: { readonly error: unknown } | undefined;
    const post = this.#core.election.add(async (term) => {
      try {
        await work(term);
      } catch (error) {
        if (hasReturned(error, term.signal)) return;
        failure = { error };
        ended.abort();
      }
    });
    const end = (): void => ended.abort();
    signal.addEventListener("abort", end);
    this.#closing.signal.addEventListener("abort", end);
    await aborted(ended.signal);
    signal.removeEventListener("abort", end);
    this.#closing.signal.removeEventListener("abort", end);
    await post[Symbol.asyncDispose]();
    if (failure !== undefined) throw failure.error;
    if (this.#core.ports.closed.aborted && !signal.aborted) throw this.#closing.signal.reason;
  }

  /** Stands back until another is elected or one TTL has passed; `lead` goes on afterwards. */
  async resign(): Promise<void> {
    await this.#core.election.resign();
  }

  /** Steps down, once all work has returned. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close("The election");
  }

  #close(what: string): Promise<void> {
    return this.#closed ??= (async (): Promise<void> => {
      this.#closing.abort(new ClosedError({ what }));
      await this.#core.lives.end();
      await this.#core[Symbol.asyncDispose]();
    })();
  }
}

/** What builds on an election needs more than it shows. */
export function electionCore(election: LeaderElection): ElectionCore | undefined {
  return cores.get(election);
}

/** Its key is its own. */
function isFree(_stage: Stage, _key: string, signal: AbortSignal): Promise<number> {
  signal.throwIfAborted();
  return Promise.resolve(0);
}
