import { CommandServer } from "../../cluster/command_server.ts";
import { LEASE_TIMES } from "../../cluster/lease.ts";
import { nodeKey } from "../../cluster/names.ts";
import { ClusterNode } from "../../cluster/node.ts";
import { Router } from "../../cluster/router.ts";
import { serveDecider } from "../../cluster/serve.ts";
import { isAetherError } from "../../errors.ts";
import { shardOf } from "../../store/shard.ts";
import { SimulatedEventStore } from "./event_store.ts";
import { type Command, counting } from "./counter.ts";
import type { Machine } from "./machine.ts";
import { prefixOf, SimulatedBucket, SimulatedFences } from "./ports.ts";
import type { World } from "./world.ts";

/** Milliseconds that the work of a shard may take to return, and a node to leave. */
const DRAIN = 10_000;
const LEAVE = 30_000;
/** Milliseconds before a process that could not join is started again. */
const RESTART = 1_000;

/** A process: a node of the cluster, and what serves its actors. */
export class Process {
  readonly machine: Machine;
  readonly weight: number;
  node!: ClusterNode;
  router!: Router;
  #server!: CommandServer;
  #store!: SimulatedEventStore;
  isLeaving = false;
  readonly #world: World;
  /** By shard: of the last fence of this process. */
  readonly #epochs = new Map<number, number>();
  /** Of the last life. */
  #incarnation: string | undefined;

  constructor(world: World, machine: Machine, weight: number) {
    this.weight = weight;
    this.#world = world;
    this.machine = machine;
    this.#make();
  }

  get isThere(): boolean {
    return !this.machine.isDead;
  }

  start(): void {
    this.machine.deliver(() => void this.#join());
  }

  /** Says good-bye, and ends. */
  leave(): void {
    this.isLeaving = true;
    this.machine.deliver(() => {
      void this.#leave();
    });
  }

  /** As a user does it who joins a cluster. */
  async #leave(): Promise<void> {
    await this.node.leave(LEAVE, () => this.#server[Symbol.asyncDispose]());
    this.#world.checker.onLeaving();
    this.machine.crash();
  }

  #serve(): void {
    const { machine } = this;
    const { namespace, shards } = this.#store;
    const home = { clock: machine, namespace, shards };
    const counter = counting((command) => this.#onNone(command));
    const { actorTypes, host } = serveDecider(home, this.#store, counter, { actorType: "counter" });
    this.#server.add(actorTypes, host);
  }

  /** Notes who it is by now. */
  note(): void {
    this.#incarnation = this.node.discovery.presence?.incarnation ?? this.#incarnation;
  }

  #onNone({ id, actorId }: Command): void {
    const epoch = this.#epochs.get(shardOf(actorId, this.#store.shards)) ?? 0;
    this.#world.checker.onNone(id, epoch);
  }

  async #join(): Promise<void> {
    for (;;) {
      try {
        await this.node.join(new AbortController().signal);
        this.#serve();
        this.#world.trace(`${this.machine.life} joined as ${this.node.discovery.presence?.incarnation}`);
        return;
      } catch (error) {
        if (!isAetherError(error, "NODE_ID_IN_USE")) throw error;
        this.#world.trace(`${this.machine.life} cannot join: ${error.message}`);
      }
      await this.machine.sleep(RESTART);
      this.#make();
    }
  }

  #make(): void {
    const { network, bucket, checker, log, nudges, commands, schedule: { shards, fenced } } = this.#world;
    const { machine } = this;
    const onLeaderWrite = (): void => checker.onLeaderWrite(this);
    const ports = {
      clock: machine,
      nudges: nudges.of(machine),
      times: LEASE_TIMES,
      observer: { event: (name: string): void => this.#report(name) },
      closed: new AbortController().signal,
      workFailed: (name: string): void => this.#report(name),
      fences: new SimulatedFences(machine, network, log),
      openBucket: (signal: AbortSignal) => SimulatedBucket.open(machine, network, bucket, onLeaderWrite, signal),
    };
    const nodeId = machine.name;
    this.node = new ClusterNode(ports, {
      candidate: true,
      nodeId,
      metadata: {},
      weight: this.weight,
      shards,
      checked: fenced,
      drain: DRAIN,
    });
    const { distribution, discovery } = this.node;
    distribution.onChange(({ type, shard, epoch }) => type === "shardAcquired" && this.#epochs.set(shard, epoch));
    const parts = { clock: machine, commands: commands.of(machine), shards };
    this.#store = new SimulatedEventStore(machine, network, log, shards);
    this.#server = new CommandServer({ ...parts, distribution, discovery, observer: ports.observer });
    this.router = new Router({ ...parts, local: this.#server });
  }

  #report(name: string): void {
    const { checker, bucket, trace } = this.#world;
    trace(`${this.machine.life}: ${name}`);
    if (name.endsWith("WorkFailed")) checker.say("X", `${this.machine.life}: ${name}`);
    if (name !== "rejoin") return;
    const entry = bucket.read(prefixOf(bucket.created) + nodeKey(this.machine.name));
    if (entry !== "none") checker.onRejoin(this, this.#incarnation, entry.value);
  }
}
