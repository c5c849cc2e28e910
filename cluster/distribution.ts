import type { Fence } from "../store/fence.ts";
import { Allocator } from "./allocator.ts";
import { Crew } from "./crew.ts";
import { type Discovery, livingOf, SUSPECTED } from "./discovery.ts";
import type { Election } from "./election.ts";
import type { Fences } from "./fences.ts";
import type { MemberRecord } from "./member_record.ts";
import { type OwnedShard, Ownership, type ShardChange, type ShardWork } from "./ownership.ts";
import type { ClusterPorts } from "./ports.ts";
import type { Presence } from "./presence.ts";
import type { Table } from "./table.ts";

/** What a distribution needs. */
export interface DistributionParts {
  readonly ports: ClusterPorts;
  readonly fences: Fences;
  readonly discovery: Discovery;
  readonly election: Election;
}

/** How a distribution is set. */
export interface DistributionOptions {
  readonly shards: number;
  /** This node's share of them, beside those of the others. */
  readonly weight: number;
  /** Whether appends of a shard's owner also check its fence. */
  readonly checked: boolean;
  /** Milliseconds that the work of a shard may take to return. */
  readonly drain: number;
  /** Whether this node may lead. */
  readonly candidate: boolean;
}

/** Hands the shards of a namespace to its members: as the leader it decides who gets what, as a member it takes its own. */
export class Distribution implements AsyncDisposable {
  readonly #parts: DistributionParts;
  readonly #options: DistributionOptions;
  readonly #crew: Crew<OwnedShard>;
  readonly #listeners = new Set<(change: ShardChange) => void>();
  readonly #living: Disposable;
  readonly #leading: AsyncDisposable | undefined;
  #ownership: Ownership | undefined;

  constructor(parts: DistributionParts, options: DistributionOptions) {
    const { ports, discovery, election } = parts;
    const { nodeId } = discovery;
    this.#parts = parts;
    this.#options = options;
    this.#crew = new Crew({
      clock: ports.clock,
      onError: (error, { shard }) => ports.workFailed("shardWorkFailed", { nodeId, shard }, error),
    });
    discovery.describe({ weight: options.weight, fenced: options.checked });
    this.#living = discovery.each((presence, signal) => this.#live(presence, signal));
    if (!options.candidate) return;
    this.#leading = election.add(async ({ token, signal }) => {
      const { presence } = discovery;
      const term = {
        token,
        get isValid(): boolean {
          return election.term?.token === token;
        },
      };
      if (presence !== undefined) await new Allocator(presence, options.shards).run(term, signal);
    });
  }

  /** The shards that this node may act on at this moment. */
  get owned(): number[] {
    return this.#ownership?.owned ?? [];
  }

  /** The table that this node acts by. */
  get table(): Table | undefined {
    return this.#ownership?.table;
  }

  /** The fence of a shard, if this node may act on it at this moment. */
  fence(shard: number): Fence | undefined {
    return this.#ownership?.fence(shard);
  }

  /** Whether the shard is this node's at this moment: also while it is given up, when nothing new begins under the fence. */
  holds(fence: Pick<Fence, "shard" | "epoch">): boolean {
    return this.#ownership?.holds(fence) ?? false;
  }

  /** A later fence than the one of this node was found. */
  fenced(shard: number, epoch: number): void {
    this.#ownership?.fenced(shard, epoch);
  }

  /** Work for each shard, from now on. A node takes shards only while there is any. */
  add(work: ShardWork): AsyncDisposable {
    const post = this.#crew.add(work);
    this.#offer();
    return {
      [Symbol.asyncDispose]: async (): Promise<void> => {
        await post[Symbol.asyncDispose]();
        this.#offer();
      },
    };
  }

  /** Calls back with each change to a shard of this node, until it is disposed. */
  onChange(listener: (change: ShardChange) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: (): void => void this.#listeners.delete(listener) };
  }

  /** Gives all shards up, as long as there is somebody to take them; false if that took too long. */
  async release(signal: AbortSignal): Promise<boolean> {
    const { discovery, election, ports: { clock, times } } = this.#parts;
    let led = clock.now();
    let valid = clock.now();
    const { presence } = discovery;
    if (presence === undefined) return true;
    void presence.lease.set({ state: "leaving" });
    while (!signal.aborted && discovery.presence === presence) {
      if (presence.lease.isValid()) valid = clock.now();
      if (clock.now() - valid > times.ttl) return false; // the shards are not this node's to hand over any more
      if (election.isLed) led = clock.now();
      if (clock.now() - led > LEADERLESS) return false; // nobody who could hand them over
      if (!this.#hasTakers(presence) || this.#ownership === undefined || !this.#holdsAny(presence)) return true;
      await clock.sleep(RELEASE_LOOK, signal);
    }
    return !signal.aborted;
  }

  /** Ends all work; what this node holds goes to others as if it had none, and is given up by it in order. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#living[Symbol.dispose]();
    await this.#crew.disband();
    this.#offer();
    await this.#leading?.[Symbol.asyncDispose]();
  }

  #offer(): void {
    this.#parts.discovery.describe({ takesShards: this.#crew.size > 0 });
  }

  #hasTakers({ view, lease, incarnation }: Presence<MemberRecord>): boolean {
    return livingOf(view).some(({ seen, member }) =>
      member.incarnation !== incarnation && member.state === "up" && member.weight > 0 &&
      lease.silence(seen) <= SUSPECTED
    );
  }

  #holdsAny({ incarnation }: Presence<MemberRecord>): boolean {
    return !this.#ownership?.isEmpty || this.table?.rows.some(({ owner }) => owner === incarnation) === true;
  }

  async #live(presence: Presence<MemberRecord>, signal: AbortSignal): Promise<void> {
    const { checked, drain } = this.#options;
    const ownership = new Ownership(presence, {
      fences: this.#parts.fences,
      checked,
      drain,
      work: (owned) => this.#crew.run(owned),
      onChange: (change) => {
        for (const listener of this.#listeners) listener(change);
      },
    });
    this.#ownership = ownership;
    await ownership.run(signal);
    if (this.#ownership === ownership) this.#ownership = undefined;
  }
}

/** Milliseconds without a leader after which none is waited for: one is elected as soon as there is a candidate. */
const LEADERLESS = 5_000;
/** Milliseconds between two looks at what is still to be given up. */
const RELEASE_LOOK = 20;
