import { aborted } from "./crew.ts";
import type { ClusterPorts } from "./ports.ts";
import type { Presence } from "./presence.ts";
import { within } from "./within.ts";

/** What is done in a life of a node, until the signal aborts; a life ends only after it has returned. */
export type Living<Fields extends object> = (presence: Presence<Fields>, signal: AbortSignal) => Promise<void>;

/** Milliseconds that work may take to return after a life is over: then the next one begins all the same. */
const PATIENCE = 10_000;

/** How lives begin and end. */
export interface LivesOptions<Fields extends object> {
  readonly nodeId: string;
  begin(signal: AbortSignal): Promise<Presence<Fields>>;
  /** What the record says in the end. */
  readonly farewell: Partial<Fields>;
}

/** The lives of a node, one after another: a new one where the lease was lost, or the bucket made anew. */
export class Lives<Fields extends object> {
  readonly #ports: ClusterPorts;
  readonly #options: LivesOptions<Fields>;
  readonly #works = new Set<Living<Fields>>();
  readonly #ending = new AbortController();
  #presence: Presence<Fields> | undefined;
  #life: { readonly over: AbortController; readonly running: Set<Promise<void>> } | undefined;
  #running: Promise<void> | undefined;

  constructor(ports: ClusterPorts, options: LivesOptions<Fields>) {
    this.#ports = ports;
    this.#options = options;
    void aborted(ports.closed).then(() => this.#ending.abort());
  }

  /** This life; undefined between two. */
  get presence(): Presence<Fields> | undefined {
    return this.#presence;
  }

  /** Resolves once the first life has begun. */
  async start(signal: AbortSignal): Promise<void> {
    this.#running = this.#run(await this.#options.begin(signal));
  }

  /** Runs work in this life and each one after it. */
  each(work: Living<Fields>): Disposable {
    this.#works.add(work);
    this.#start(work);
    return { [Symbol.dispose]: (): void => void this.#works.delete(work) };
  }

  /** Says good-bye, once all work has returned, or has not for ten seconds. */
  async end(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async #run(first: Presence<Fields>): Promise<void> {
    const { signal } = this.#ending;
    for (let presence: Presence<Fields> | undefined = first; presence !== undefined; presence = await this.#next()) {
      const over = new AbortController();
      const life = this.#life = { over, running: new Set<Promise<void>>() };
      const renewing = new AbortController();
      const end = (): void => over.abort();
      this.#presence = presence;
      const kept = presence.run(renewing.signal).finally(end);
      signal.addEventListener("abort", end);
      if (signal.aborted) end();
      for (const work of this.#works) this.#start(work);
      await aborted(over.signal);
      await this.#returned(life.running);
      signal.removeEventListener("abort", end);
      renewing.abort();
      const isOurs = await kept;
      this.#life = this.#presence = undefined;
      if (isOurs) return await presence.lease.close(this.#options.farewell); // who cannot is declared dead by the others
      this.#ports.observer?.event?.("rejoin", { nodeId: this.#options.nodeId });
    }
  }

  /** Another life, as soon as one can be had. */
  async #next(): Promise<Presence<Fields> | undefined> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      try {
        return await this.#options.begin(signal);
      } catch (error) {
        if (signal.aborted) break;
        this.#ports.observer?.event?.("joinFailed", { nodeId: this.#options.nodeId, error: String(error) });
        await this.#ports.clock.sleep(this.#ports.times.renew, signal);
      }
    }
    return undefined;
  }

  #start(work: Living<Fields>): void {
    const [life, presence] = [this.#life, this.#presence];
    if (life === undefined || presence === undefined) return;
    const running = work(presence, life.over.signal).finally(() => life.running.delete(running));
    life.running.add(running);
  }

  async #returned(running: ReadonlySet<Promise<void>>): Promise<void> {
    const all = (async (): Promise<true> => {
      while (running.size > 0) await Promise.all(running);
      return true;
    })();
    if (!await within(this.#ports.clock, all, PATIENCE)) {
      this.#ports.observer?.event?.("workLate", { nodeId: this.#options.nodeId });
    }
  }
}
