import type { Fence } from "../store/fence.ts";
import type { Fences } from "./fences.ts";
import type { MemberRecord } from "./member_record.ts";
import { TABLE } from "./names.ts";
import type { Presence } from "./presence.ts";
import { decodeTable, type Row, type Table } from "./table.ts";
import { within } from "./within.ts";

/** Milliseconds between two tries to write a fence, at most. */
const FENCE_RETRY = 4;
/** Milliseconds between two looks, where nothing changes. */
const LOOK = 200;

/** A shard that this node owns. */
export interface OwnedShard {
  /** Its number. */
  readonly shard: number;
  /** For every write: it is refused (FENCED) once another node has taken the shard over. */
  readonly fence: Fence;
  /** Aborted when the shard is to be given up. */
  readonly signal: AbortSignal;
}

/** Done for each shard while it is owned; a shard is given up only after it has returned. */
export type ShardWork = (owned: OwnedShard) => Promise<void> | void;

/** What happened to a shard of this node. */
export interface ShardChange {
  /** What. */
  readonly type: "shardAcquired" | "shardRevoking" | "shardReleased";
  /** Its number. */
  readonly shard: number;
  /** Of this node's fence. */
  readonly epoch: number;
}

/** What an ownership needs beside the presence. */
export interface OwnershipOptions {
  readonly fences: Fences;
  readonly checked: boolean;
  /** Milliseconds that work may take to return; then the shard is given up all the same, and its fence protects it. */
  readonly drain: number;
  work(owned: OwnedShard): Promise<void>;
  onChange(change: ShardChange): void;
}

/** A shard that this node has, or is taking or giving up. */
class Held {
  readonly shard: number;
  state: "taking" | "owned" | "draining" = "taking";
  epoch = 0;
  /** Of the work in this stretch; undefined: none runs. */
  stretch: { readonly over: AbortController; readonly done: Promise<void> } | undefined;

  constructor(shard: number) {
    this.shard = shard;
  }
}

/** The shards of one life of this node: follows the table, and fences before it acts. Pure but for its parts. */
export class Ownership {
  readonly #presence: Presence<MemberRecord>;
  readonly #options: OwnershipOptions;
  readonly #held = new Map<number, Held>();
  /** Epoch of the table that was last applied, and of the one that the node's record tells of. */
  #applied = 0;
  #told = 0;
  #table: Table | undefined;
  #signal: AbortSignal = AbortSignal.abort();
  readonly #running = new Set<Promise<void>>();

  constructor(presence: Presence<MemberRecord>, options: OwnershipOptions) {
    this.#presence = presence;
    this.#options = options;
  }

  /** The table that this node acts by. */
  get table(): Table | undefined {
    return this.#table;
  }

  /** The fence of a shard, if this node may act on it at this very moment. */
  fence(shard: number): Fence | undefined {
    const held = this.#held.get(shard);
    if (held?.state !== "owned" || !this.#presence.lease.isValid()) return undefined;
    return { shard, epoch: held.epoch, checked: this.#options.checked };
  }

  /**
   * Whether no other node can own the shard at this very moment: also while it is given up, when what was begun under the
   * fence is finished and nothing new begins.
   */
  holds({ shard, epoch }: Pick<Fence, "shard" | "epoch">): boolean {
    const held = this.#held.get(shard);
    return held !== undefined && held.state !== "taking" && held.epoch === epoch && this.#presence.lease.isValid();
  }

  /** The shards that it may act on at this moment, by number. */
  get owned(): number[] {
    if (!this.#presence.lease.isValid()) return [];
    return [...this.#held.values()].filter(({ state }) => state === "owned").map(({ shard }) => shard);
  }

  /** Whether it has anything still, or is taking or giving it up. */
  get isEmpty(): boolean {
    return this.#held.size === 0;
  }

  /** Somebody has written a later fence: what the table says of this shard is looked at again. */
  fenced(shard: number, epoch: number): void {
    const held = this.#held.get(shard);
    if (held === undefined || held.state === "taking" || held.epoch >= epoch) return;
    this.#forget(held);
    this.#tell();
    this.#apply();
  }

  /** Follows the table until the signal aborts; then gives up everything at once. */
  async run(signal: AbortSignal): Promise<void> {
    const { view } = this.#presence;
    this.#signal = signal;
    while (!signal.aborted) {
      this.#follow();
      this.#apply();
      await view.change((key) => key === TABLE, LOOK, signal);
    }
    for (const held of this.#held.values()) this.#forget(held);
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /** The newest table, forwards only. */
  #follow(): void {
    const seen = this.#presence.view.get(TABLE);
    const table = seen && decodeTable(seen.value);
    if (table === undefined || table.epoch <= this.#applied) return;
    this.#table = table;
    this.#applied = table.epoch;
  }

  #apply(): void {
    const { incarnation, lease } = this.#presence;
    if (this.#table === undefined) return;
    const isValid = lease.isValid();
    for (const [shard, row] of this.#table.rows.entries()) {
      const held = this.#held.get(shard);
      if (row.owner !== incarnation) {
        // Taken without asking: this life was declared dead.
        if (held !== undefined && held.state !== "draining") this.#forget(held);
      } else if (row.next !== undefined) {
        if (held?.state === "owned") this.#spawn(this.#drain(held));
      } else if (held === undefined) {
        if (isValid) this.#spawn(this.#take(shard));
      } else if (held.state === "owned") this.#stretch(held, isValid);
    }
    this.#tell();
  }

  /** Work runs in stretches: while the node's lease lapses it stops, and goes on with the same fence behind it. */
  #stretch(held: Held, isValid: boolean): void {
    if (isValid && held.stretch === undefined) this.#begin(held);
    else if (!isValid) held.stretch?.over.abort();
  }

  #begin(held: Held): void {
    const { shard, epoch } = held;
    const over = new AbortController();
    const fence = { shard, epoch, checked: this.#options.checked };
    const done = this.#options.work({ shard, fence, signal: over.signal }).finally(() => held.stretch = undefined);
    held.stretch = { over, done };
    this.#spawn(done);
  }

  /** Fences, and owns the shard if the table still says so. */
  async #take(shard: number): Promise<void> {
    const held = new Held(shard);
    this.#held.set(shard, held);
    const epoch = await this.#fence(held);
    if (epoch === undefined || this.#held.get(shard) !== held) return;
    held.epoch = epoch;
    this.#follow();
    if (!this.#isMine(shard)) {
      this.#held.delete(shard);
      this.#tell();
      return;
    }
    held.state = "owned";
    this.#options.onChange({ type: "shardAcquired", shard, epoch });
    if (this.#presence.lease.isValid()) this.#begin(held);
    this.#tell();
  }

  /** The epoch of a new fence: never that of another, nor of an earlier attempt. Undefined: it is wanted no more. */
  async #fence(held: Held): Promise<number | undefined> {
    const { fences } = this.#options;
    const { shard } = held;
    const nonce = crypto.randomUUID();
    while (this.#held.get(shard) === held && this.#isMine(shard)) {
      const last = await fences.last(shard);
      if (last?.nonce === nonce) return last.sequence;
      if (last !== undefined) {
        const written = await fences.write(shard, nonce, last.sequence);
        if (written.kind === "stored") return written.revision;
      }
      await this.#presence.timeline.clock.sleep(Math.random() * FENCE_RETRY, this.#signal);
    }
    if (this.#held.get(shard) === held) this.#held.delete(shard);
    this.#tell();
    return undefined;
  }

  #isMine(shard: number): boolean {
    const row: Row | undefined = this.#table?.rows[shard];
    return !this.#signal.aborted && row?.owner === this.#presence.incarnation && row.next === undefined;
  }

  /** Lets the work return, then gives the shard up. */
  async #drain(held: Held): Promise<void> {
    const { timeline: { clock } } = this.#presence;
    const { shard, epoch } = held;
    held.state = "draining";
    this.#options.onChange({ type: "shardRevoking", shard, epoch });
    if (held.stretch !== undefined) {
      const { over, done } = held.stretch;
      over.abort();
      const returned = await within(clock, done.then(() => true), this.#options.drain);
      if (!returned) this.#presence.ports.observer?.event?.("drainLate", { shard, epoch });
    }
    if (this.#held.get(shard) !== held) return;
    this.#held.delete(shard);
    this.#options.onChange({ type: "shardReleased", shard, epoch });
    this.#tell();
    this.#apply(); // it may be this node's again
  }

  /** Stops at once: the shard is another's. */
  #forget(held: Held): void {
    const { shard, epoch, state } = held;
    held.stretch?.over.abort();
    this.#held.delete(shard);
    if (state !== "taking") this.#options.onChange({ type: "shardReleased", shard, epoch });
  }

  /** Writes into the node's record what the others have to know: what it holds, where that has changed or was revoked. */
  #tell(): void {
    const { lease, incarnation } = this.#presence;
    if (this.#signal.aborted) return;
    const held = [...this.#held.values()].map(({ shard, epoch }) => [shard, epoch] as const).sort(([a], [b]) => a - b);
    const text = JSON.stringify(held);
    const isAsked = this.#table?.rows.some(({ owner, since = 0 }) => owner === incarnation && since > this.#told);
    if (text === this.#text && !isAsked) return;
    this.#text = text;
    this.#told = this.#applied;
    void lease.set({ held, applied: this.#applied });
  }
  #text = "[]";

  #spawn(work: Promise<void>): void {
    const running = work.finally(() => this.#running.delete(running));
    this.#running.add(running);
  }
}
