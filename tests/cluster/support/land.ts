/** Who owns what, by decree: in place of leases, tables and fences. */
import type { CommandServerParts } from "../../../cluster/command_server.ts";
import type { Clock } from "../../../cluster/clock.ts";
import { Crew } from "../../../cluster/crew.ts";
import type { OwnedShard, ShardChange } from "../../../cluster/ownership.ts";
import type { Fence } from "../../../store/fence.ts";

interface Held {
  readonly fence: Fence;
  isDraining: boolean;
  stretch: { readonly over: AbortController; readonly done: Promise<void> } | undefined;
}

/** The shards of one node. */
export class Estate {
  readonly nodeId: string;
  /** Whether the node's lease holds. */
  isValid = true;
  serves: readonly string[] = [];
  readonly errors: unknown[] = [];
  readonly #land: Land;
  readonly #crew: Crew<OwnedShard>;
  readonly #held = new Map<number, Held>();
  readonly #listeners = new Set<(change: ShardChange) => void>();

  constructor(land: Land, nodeId: string) {
    this.#land = land;
    this.nodeId = nodeId;
    this.#crew = new Crew({ clock: land.clock, onError: (error) => this.errors.push(error) });
  }

  readonly distribution: CommandServerParts["distribution"] = {
    fence: (shard) => {
      const held = this.#held.get(shard);
      return held !== undefined && !held.isDraining && this.isValid ? held.fence : undefined;
    },
    holds: ({ shard, epoch }) => this.isValid && this.#held.get(shard)?.fence.epoch === epoch,
    fenced: (shard) => this.lose(shard),
    add: (work) => this.#crew.add(work),
    onChange: (listener) => {
      this.#listeners.add(listener);
      return { [Symbol.dispose]: (): void => void this.#listeners.delete(listener) };
    },
  };

  get discovery(): CommandServerParts["discovery"] {
    return {
      nodeId: this.nodeId,
      describe: ({ serves }) => {
        if (serves !== undefined) this.serves = serves;
      },
    };
  }

  /** Fences, and owns. */
  take(shard: number, epoch = this.#land.nextEpoch()): void {
    const fence = { shard, epoch, checked: false };
    this.#held.set(shard, { fence, isDraining: false, stretch: undefined });
    this.#begin(shard);
  }

  /** Gives it up, once the work has returned. */
  async release(shard: number): Promise<void> {
    const held = this.#held.get(shard);
    if (held === undefined) return;
    held.isDraining = true;
    held.stretch?.over.abort();
    await held.stretch?.done;
    if (this.#held.get(shard) === held) this.lose(shard);
  }

  /** It is another's from now on. */
  lose(shard: number): void {
    const held = this.#held.get(shard);
    if (held === undefined) return;
    this.#held.delete(shard);
    held.stretch?.over.abort();
    for (const listener of this.#listeners) listener({ type: "shardReleased", shard, epoch: held.fence.epoch });
  }

  /** The lease is not renewed in time. */
  lapse(): void {
    this.isValid = false;
    for (const { stretch } of this.#held.values()) stretch?.over.abort();
  }

  /** It is, and nobody has taken anything meanwhile. */
  async resume(): Promise<void> {
    await Promise.all([...this.#held.values()].map(({ stretch }) => stretch?.done));
    this.isValid = true;
    for (const shard of this.#held.keys()) this.#begin(shard);
  }

  get shards(): number[] {
    return [...this.#held.keys()];
  }

  #begin(shard: number): void {
    const held = this.#held.get(shard);
    if (held === undefined || held.isDraining) return;
    const over = new AbortController();
    const done = this.#crew.run({ shard, fence: held.fence, signal: over.signal });
    held.stretch = { over, done };
  }
}

export class Land {
  readonly clock: Clock;
  #epoch = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  nextEpoch(): number {
    return ++this.#epoch;
  }
}
