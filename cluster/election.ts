import { LeadershipLostError } from "../errors.ts";
import { Crew, type Work } from "./crew.ts";
import { Candidate, leaderIn, type LeaderRecord, type Leadership, type Term } from "./candidate.ts";
import { leaderKey } from "./names.ts";
import type { ClusterPorts } from "./ports.ts";
import type { Presence } from "./presence.ts";

/** Milliseconds between two looks at a lease, for those who only listen; who acts asserts. */
const LOOK = 100;

/** The lives of a node. */
export interface Living {
  readonly presence: Presence | undefined;
  each(work: (presence: Presence, signal: AbortSignal) => Promise<void>): Disposable;
}

/** Takes part in one election through all lives of a node, while there is work for a leader. */
export class Election {
  readonly #ports: ClusterPorts;
  readonly #lives: Living;
  readonly #name: string;
  readonly #nodeId: string;
  readonly #crew: Crew<Leadership>;
  readonly #living: Disposable;
  /** Aborted where there is, or is no more, work for a leader. */
  #wake = new AbortController();
  #resigning: PromiseWithResolvers<void> | undefined;
  #term: Term | undefined;

  constructor(
    ports: ClusterPorts,
    lives: Living,
    { name, nodeId }: { readonly name: string; readonly nodeId: string },
  ) {
    this.#ports = ports;
    this.#lives = lives;
    this.#name = name;
    this.#nodeId = nodeId;
    this.#crew = new Crew({
      clock: ports.clock,
      onError: (error) => ports.workFailed("leaderWorkFailed", { nodeId, election: name }, error),
    });
    this.#living = lives.each((presence, signal) => this.#live(presence, signal));
  }

  /** Who leads, as far as this node knows. */
  get leader(): LeaderRecord | undefined {
    const presence = this.#lives.presence;
    return presence && leaderIn(presence, this.#name);
  }

  /** Whether somebody leads and has given a sign of life not long ago. */
  get isLed(): boolean {
    const presence = this.#lives.presence;
    const seen = presence?.view.get(leaderKey(this.#name));
    if (presence === undefined || seen === undefined || this.leader === undefined) return false;
    return presence.lease.silence(seen) <= this.#ports.times.ttl;
  }

  /** This node's own term, if it certainly leads. */
  get term(): Term | undefined {
    return this.#term?.isValid ? this.#term : undefined;
  }

  /** Work of the leader, from now on. */
  add(work: Work<Leadership>): AsyncDisposable {
    const post = this.#crew.add(work);
    this.#stir();
    return {
      [Symbol.asyncDispose]: async (): Promise<void> => {
        await post[Symbol.asyncDispose]();
        this.#stir();
      },
    };
  }

  /** Gives leadership up, if this node has it, once its work has returned; resolves when another may take it. */
  async resign(): Promise<void> {
    if (this.#term === undefined) return;
    this.#resigning ??= Promise.withResolvers<void>();
    const { promise } = this.#resigning;
    this.#stir();
    await promise;
  }

  #stir(): void {
    this.#wake.abort();
    this.#wake = new AbortController();
  }

  async #live(presence: Presence, signal: AbortSignal): Promise<void> {
    const { clock, times } = this.#ports;
    while (!signal.aborted) {
      if (this.#crew.size === 0) {
        await either(signal, this.#wake.signal);
        continue;
      }
      const standing = new AbortController();
      const stop = (): void => standing.abort();
      signal.addEventListener("abort", stop);
      const options = { election: this.#name, nodeId: this.#nodeId, work: this.#work };
      const candidacy = new Candidate(presence, options).run(standing.signal);
      while (!signal.aborted && this.#crew.size > 0 && this.#resigning === undefined) {
        await either(signal, this.#wake.signal);
      }
      stop();
      await candidacy;
      signal.removeEventListener("abort", stop);
      if (this.#resigning === undefined) continue;
      this.#resigning.resolve();
      this.#resigning = undefined;
      await this.#standBack(presence, clock.now() + times.ttl, signal);
    }
    this.#resigning?.resolve();
    this.#resigning = undefined;
  }

  /** Until another leads, or one TTL has passed. */
  async #standBack(presence: Presence, until: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#ports;
    for (;;) {
      const left = until - clock.now();
      if (signal.aborted || left <= 0 || leaderIn(presence, this.#name) !== undefined) return;
      await presence.view.change(() => true, left, signal);
    }
  }

  /** Work is done while the lease certainly holds: it stops where that lapses, and goes on if nobody led in between. */
  readonly #work = async (term: Term, over: AbortSignal): Promise<void> => {
    const { clock } = this.#ports;
    this.#term = term;
    try {
      while (!over.aborted) {
        if (!term.isValid) {
          await clock.sleep(LOOK, over);
          continue;
        }
        const stretch = new AbortController();
        const lost = new LeadershipLostError({ token: term.token });
        const done = this.#crew.run({ token: term.token, signal: stretch.signal, assert: term.assert });
        while (!over.aborted && term.isValid) {
          await clock.sleep(Math.max(1, Math.min(LOOK, term.until - clock.now())), over);
        }
        stretch.abort(lost);
        await done;
      }
    } finally {
      this.#term = undefined;
    }
  };

  [Symbol.dispose](): void {
    this.#living[Symbol.dispose]();
    this.#stir();
  }
}

/** Resolves once one of two signals aborts. */
async function either(one: AbortSignal, other: AbortSignal): Promise<void> {
  if (one.aborted || other.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const wake = (): void => resolve();
  one.addEventListener("abort", wake);
  other.addEventListener("abort", wake);
  await promise;
  one.removeEventListener("abort", wake);
  other.removeEventListener("abort", wake);
}
