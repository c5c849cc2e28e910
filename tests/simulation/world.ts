import { CLUSTER_ELECTION } from "../../cluster/node.ts";
import { leaderKey, nodeKey, TABLE } from "../../cluster/names.ts";
import { numbers } from "../support/random.ts";
import { BucketServer } from "./bucket_server.ts";
import { Checker } from "./checker.ts";
import { Clients } from "./clients.ts";
import { CommandNetwork } from "./commands.ts";
import { EventLog } from "./event_log.ts";
import { Machine } from "./machine.ts";
import { Network } from "./network.ts";
import { NudgeNetwork, prefixOf } from "./ports.ts";
import { Process } from "./process.ts";
import type { Fault, Schedule } from "./schedule.ts";
import { Scheduler } from "./scheduler.ts";

/** Milliseconds by which wall clocks differ at most. */
const SKEW = 1e6;
/** Milliseconds within which the nodes of a simulation start. */
const START = 500;
/** Where commands begin. */
const COMMANDS = 1_500;
/** Who takes twice as many shards as others, where there are many. */
const HEAVY = "N0";
/** How many processes there may be at once, clones among them. */
const MOST = 2;

/** All there is in a simulation, and what befalls it. */
export class World {
  readonly schedule: Schedule;
  readonly scheduler = new Scheduler();
  readonly network: Network;
  readonly bucket: BucketServer;
  readonly log: EventLog;
  readonly nudges: NudgeNetwork;
  readonly commands: CommandNetwork;
  readonly checker: Checker;
  readonly trace: (text: string) => void;
  readonly #processes: Process[] = [];
  readonly #random: () => number;
  #lives = 0;

  constructor(schedule: Schedule, trace: ((text: string) => void) | undefined) {
    const { seed, rates } = schedule;
    const { scheduler } = this;
    this.schedule = schedule;
    this.#random = numbers(seed * 3 + 1);
    this.trace = trace === undefined
      ? (): void => {}
      : (text): void => trace(`${(scheduler.now / 1_000).toFixed(3).padStart(7)} ${text}`);
    this.network = new Network(scheduler, numbers(seed * 3 + 2), schedule);
    this.checker = new Checker(schedule, scheduler, this.#processes, this.trace);
    this.bucket = new BucketServer(scheduler, (key, value, before) => this.#onStored(key, value, before));
    this.log = new EventLog(scheduler, this.checker);
    this.checker.log = this.log;
    this.checker.bucket = this.bucket;
    this.nudges = new NudgeNetwork(scheduler, this.network, rates);
    this.commands = new CommandNetwork(scheduler, this.network);
  }

  /** The processes that can act. */
  get there(): Process[] {
    return this.#processes.filter(({ machine, isLeaving }) => machine.isRunning && !isLeaving);
  }

  /** Runs the schedule until it ends, or something is broken. */
  async run(): Promise<void> {
    const { scheduler, checker, schedule: { nodes, clients, faults, healed, end } } = this;
    for (let index = 0; index < nodes; index++) {
      scheduler.after(this.#random() * START, () => this.#spawn(`N${index}`));
    }
    const machine = new Machine(scheduler, "client", "client", { rate: 1, skew: 0 });
    const acting = new Clients(machine, this, numbers(this.schedule.seed * 3 + 3));
    for (let index = 0; index < clients; index++) {
      scheduler.after(COMMANDS + 37 * index, () => machine.deliver(() => void acting.run(end)));
    }
    for (const fault of faults) scheduler.after(fault.at, () => this.#strike(fault));
    scheduler.after(healed, () => this.#heal());
    await scheduler.run(end, () => {
      for (const process of this.#processes) process.note();
      checker.step();
      return checker.violations.length === 0;
    });
    if (checker.violations.length === 0) checker.end();
  }

  #onStored(key: string, value: unknown, before: unknown): void {
    const prefix = prefixOf(this.bucket.created);
    if (!key.startsWith(prefix)) return; // of an earlier bucket: nobody reads it
    const name = key.slice(prefix.length);
    if (name === TABLE) this.checker.onTable(value, before);
    else if (name === leaderKey(CLUSTER_ELECTION)) this.checker.onLeader(value);
  }

  #spawn(name: string): Process {
    const rate = this.schedule.clocks === "lying"
      ? 0.4 + this.#random() * 1.2
      : this.schedule.variant === "drift"
      ? 0.98 + 0.04 * Math.round(this.#random())
      : 0.98 + 0.04 * this.#random();
    const clock = { rate, skew: (2 * this.#random() - 1) * SKEW };
    const machine = new Machine(this.scheduler, name, `${name}/${++this.#lives}`, clock, 1_000 * this.#lives);
    const process = new Process(this, machine, name === HEAVY && this.schedule.variant === "large" ? 2 : 1);
    this.#processes.push(process);
    this.trace(`${machine.life} starts`);
    process.start();
    return process;
  }

  #strike({ kind, length, who, how }: Fault): void {
    const { scheduler, network, schedule: { healed } } = this;
    const running = this.there;
    const process = running[Math.floor(who * running.length)];
    const until = scheduler.now + length;
    const whom = process === undefined ? "" : process.machine.life;
    this.trace(`FAULT ${kind} ${whom} for ${length} ms`);
    switch (kind) {
      case "outage":
        this.bucket.kill(how < 0.5);
        if (how < 0.5) network.blackout = until;
        else network.outage = until;
        return;
      case "recreate":
        this.bucket.recreate();
        return;
      case "join":
        this.checker.onJoin();
        this.#spawn(`N${this.schedule.nodes}`);
        return;
      case "visit":
        this.#visit(length);
        return;
    }
    if (process === undefined) return;
    const { machine } = process;
    switch (kind) {
      case "pause":
        machine.pause();
        scheduler.after(length, () => machine.resume());
        return;
      case "suspend":
        machine.suspend();
        scheduler.after(length, () => machine.resume());
        return;
      case "step":
        machine.step((how - 0.5) * 20_000);
        return;
      case "kill":
        this.checker.onKill(process);
        this.#end(process);
        return;
      case "erase":
        this.bucket.erase(prefixOf(this.bucket.created) + nodeKey(machine.name));
        this.#end(process);
        if (running.length < 3) scheduler.after(length, () => this.#spawn(machine.name));
        return;
      case "crash":
        this.#end(process);
        scheduler.after(length, () => this.#spawn(machine.name));
        return;
      case "leave":
        process.leave();
        this.#afterEnd(process, length);
        return;
      case "clone":
        if (this.#processes.length >= this.schedule.nodes + MOST) return;
        machine.pause();
        scheduler.after(length, () => machine.resume());
        this.#spawn(machine.name);
        scheduler.after(Math.min(length + how * 10_000, healed - scheduler.now), () => this.#end(process));
        return;
      case "cut":
        if (how < 0.7) machine.cut.out = until;
        if (how > 0.3) machine.cut.in = until;
        return;
      case "stall":
        machine.stalled = until;
        return;
      case "resign":
        for (const { machine, node, isThere } of this.#processes) {
          if (isThere && node.election.term !== undefined) machine.deliver(() => void node.election.resign());
        }
    }
  }

  #visit(length: number): void {
    const process = this.#spawn(`V${this.#lives}`);
    this.scheduler.after(length, () => process.leave());
    const end = (): void => {
      if (process.isThere && this.network.isFaulty) this.scheduler.after(100, end);
      else this.#end(process);
    };
    end();
  }

  /** Starts a process again once it has ended by itself. */
  #afterEnd(process: Process, pause: number): void {
    const isLate = !this.network.isFaulty;
    if (isLate && process.isThere) this.#end(process);
    if (process.isThere) this.scheduler.after(100, () => this.#afterEnd(process, pause));
    else {
      this.#end(process);
      this.scheduler.after(isLate ? 1 : pause, () => this.#spawn(process.machine.name));
    }
  }

  #end(process: Process): void {
    if (process.isLeaving) this.checker.onLeaving();
    const index = this.#processes.indexOf(process);
    if (index < 0) return;
    this.#processes.splice(index, 1);
    process.machine.crash();
  }

  #heal(): void {
    this.trace("all heals");
    this.network.outage = this.network.blackout = 0;
    for (const { machine } of this.#processes) {
      machine.cut.in = machine.cut.out = machine.stalled = 0;
      machine.resume();
    }
  }
}
