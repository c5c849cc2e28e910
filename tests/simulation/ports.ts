/** What the nodes of a simulation see of its world. */
import type { Bucket, Entry, Nudge, Nudges, Written } from "../../cluster/bucket.ts";
import type { FenceMessage, Fences } from "../../cluster/fences.ts";
import { TABLE } from "../../cluster/names.ts";
import type { BucketServer } from "./bucket_server.ts";
import type { EventLog } from "./event_log.ts";
import type { Machine } from "./machine.ts";
import type { Network, Rates } from "./network.ts";
import type { Scheduler } from "./scheduler.ts";

/** Milliseconds that one answer may take. */
export const TRY = 800;
/** Milliseconds between two tries to open the bucket. */
const AGAIN = 250;

/** The bucket as one node opened it. */
export class SimulatedBucket implements Bucket {
  readonly created: number;
  readonly #machine: Machine;
  readonly #network: Network;
  readonly #server: BucketServer;
  /** Called before what only a leader writes is sent. */
  readonly #onLeaderWrite: () => void;
  readonly #prefix: string;

  constructor(
    machine: Machine,
    network: Network,
    server: BucketServer,
    created: number,
    onLeaderWrite: () => void,
  ) {
    this.created = created;
    this.#machine = machine;
    this.#network = network;
    this.#server = server;
    this.#onLeaderWrite = onLeaderWrite;
    this.#prefix = prefixOf(created);
  }

  static async open(
    machine: Machine,
    network: Network,
    server: BucketServer,
    onLeaderWrite: () => void,
    signal: AbortSignal,
  ): Promise<SimulatedBucket> {
    for (;;) {
      signal.throwIfAborted();
      const created = await network.request(machine, TRY, () => server.created);
      if (created !== undefined) return new SimulatedBucket(machine, network, server, created, onLeaderWrite);
      await machine.sleep(AGAIN, signal);
    }
  }

  async write(key: string, value: unknown, revision: number): Promise<Written> {
    if (key === TABLE || isDeath(value)) this.#onLeaderWrite();
    const act = (): Written => this.#server.write(this.#prefix + key, value, revision);
    const late = key === TABLE ? this.#network.lateTables : 0;
    return await this.#network.request(this.#machine, TRY, act, late) ?? { kind: "unknown" };
  }

  async read(key: string): Promise<Entry | "none" | undefined> {
    const act = (): Entry | "none" => this.#server.read(this.#prefix + key, this.#network.asOf(true));
    const entry = await this.#network.request(this.#machine, TRY, act);
    return entry === undefined || entry === "none" ? entry : { ...entry, key };
  }

  async readAll(): Promise<readonly Entry[] | undefined> {
    const act = (): Entry[] => {
      const network = this.#network;
      return this.#server.readAll(this.#prefix, network.asOf(false), network.isHit(1 / 3));
    };
    const isStalled = this.#machine.stalled > this.#network.now;
    const entries = await this.#network.request(this.#machine, TRY, act);
    if (isStalled) return undefined;
    return entries?.map((entry) => ({ ...entry, key: entry.key.slice(this.#prefix.length) }));
  }

  async remove({ key, revision }: Entry): Promise<boolean> {
    this.#onLeaderWrite();
    const act = (): boolean => this.#server.remove(this.#prefix + key, revision);
    return await this.#network.request(this.#machine, TRY, act) === true;
  }
}

/** Before the keys of one life of the bucket. */
export function prefixOf(created: number): string {
  return `${created.toString(36)}.`;
}

function isDeath(value: unknown): boolean {
  return typeof value === "object" && value !== null && "state" in value && value.state === "dead";
}

/** The fences of the event log as one node sees them. */
export class SimulatedFences implements Fences {
  readonly #machine: Machine;
  readonly #network: Network;
  readonly #log: EventLog;

  constructor(machine: Machine, network: Network, log: EventLog) {
    this.#machine = machine;
    this.#network = network;
    this.#log = log;
  }

  async last(shard: number): Promise<FenceMessage | undefined> {
    return await this.#network.request(
      this.#machine,
      TRY,
      () => this.#log.lastFence(shard, this.#network.asOf(true)),
    );
  }

  async write(shard: number, nonce: string, previous: number): Promise<Written> {
    const act = (): Written => this.#log.fence(shard, nonce, previous, this.#machine);
    return await this.#network.request(this.#machine, TRY, act) ?? { kind: "unknown" };
  }
}

/** Nudges between all machines. */
export class NudgeNetwork {
  readonly #scheduler: Scheduler;
  readonly #network: Network;
  readonly #rates: Rates;
  readonly #listeners = new Map<Machine, Set<(nudge: Nudge) => void>>();

  constructor(scheduler: Scheduler, network: Network, rates: Rates) {
    this.#scheduler = scheduler;
    this.#network = network;
    this.#rates = rates;
  }

  of(machine: Machine): Nudges {
    return {
      send: (nudge) => this.#send(machine, nudge),
      receive: (listener): Disposable => {
        const listeners = this.#listeners.get(machine) ?? new Set();
        this.#listeners.set(machine, listeners);
        listeners.add(listener);
        return { [Symbol.dispose]: (): void => void listeners.delete(listener) };
      },
    };
  }

  #send(from: Machine, nudge: Nudge): void {
    const { now } = this.#scheduler;
    if (from.cut.out > now || this.#network.blackout > now) return;
    for (const [machine, listeners] of this.#listeners) {
      if (machine.isDead) this.#listeners.delete(machine);
      else if (machine !== from) {
        this.#pass(machine, nudge, listeners);
        if (this.#network.isHit(this.#rates.twice)) this.#pass(machine, nudge, listeners);
      }
    }
  }

  #pass(machine: Machine, nudge: Nudge, listeners: ReadonlySet<(nudge: Nudge) => void>): void {
    // Of core NATS none is repeated: what is on its way when the network fails is lost.
    if (this.#rates.nudgeLoss === 1 || this.#network.isHit(this.#rates.nudgeLoss)) return;
    this.#scheduler.after(this.#network.delay(), () => {
      const { now } = this.#scheduler;
      if (machine.cut.in > now || this.#network.blackout > now) return;
      machine.deliver(() => {
        for (const listener of listeners) listener(nudge);
      });
    });
  }
}
