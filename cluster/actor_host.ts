import type { Clock } from "./clock.ts";
import { type CommandMessage, reasonOf } from "./command_messages.ts";
import { Mailbox } from "./mailbox.ts";
import { Slots } from "./slots.ts";
import { type Outcome, outcomeOf, Task, type Told } from "./task.ts";
import type { Tenure } from "./tenure.ts";

/** Commands that may wait for one actor. */
export const MAILBOX = 1_000;
/** Milliseconds without a command after which an actor leaves the memory. */
export const PASSIVE = 120_000;
/** Actors in memory, at most. */
export const ACTORS = 10_000;
/** Actors that are at work at the same time. */
export const CONCURRENCY = 1_000;
/** Milliseconds that an outcome is remembered at least: twice the timeout that a `send` has by default. */
const MEMORY = 20_000;

/** One actor in memory. */
export interface Actor {
  /** Executes a command; one at a time. What it throws is an error in this library. */
  run(task: Task): Promise<Outcome>;
  /** It has had nothing to do for long, or there is no room. */
  passivate(): void;
}

/** What an actor host needs. */
export interface ActorHostParts {
  readonly clock: Clock;
  /** An actor that is not in memory. */
  activate(actorId: string): Actor;
}

/** What actors do at one moment. */
export interface ActorsLoad {
  /** How many are in memory. */
  readonly actors: number;
  /** Commands that wait in a mailbox. */
  readonly waiting: number;
  /** Commands that are being done. */
  readonly running: number;
  /** Whose command is being done for longest, and for how long. */
  readonly longest: { readonly actorId: string; readonly milliseconds: number } | undefined;
}

/** How an actor host is set. */
export interface ActorHostOptions {
  /** @default 1000 */
  readonly concurrency?: number | undefined;
  /** @default 10000 */
  readonly actors?: number | undefined;
  /** @default 1000 */
  readonly mailbox?: number | undefined;
  /** Milliseconds. @default 120000 */
  readonly passive?: number | undefined;
}

/** An actor, and what waits for it. */
class Resident {
  readonly actor: Actor;
  readonly mailbox: Mailbox<Task>;
  /** The command that was taken out and is not done with. */
  current: Task | undefined;
  /** Since when it does the one command that it does, or has had nothing to do. */
  since = 0;
  shard: number;

  constructor(actor: Actor, limit: number, shard: number) {
    this.actor = actor;
    this.mailbox = new Mailbox(limit);
    this.shard = shard;
  }
}

/** Actors in memory: each has a bounded mailbox and does one command at a time, in order. Pure but for its parts. */
export class ActorHost {
  readonly #parts: ActorHostParts;
  readonly #limits: { readonly actors: number; readonly mailbox: number; readonly passive: number };
  readonly #slots: Slots;
  readonly #residents = new Map<string, Resident>();
  /** Those who have nothing to do, longest first. */
  readonly #idle = new Map<string, Resident>();
  readonly #over = new AbortController();
  #wake = new AbortController();
  #isSweeping = false;

  constructor(parts: ActorHostParts, options: ActorHostOptions = {}) {
    const { concurrency = CONCURRENCY, actors = ACTORS, mailbox = MAILBOX, passive = PASSIVE } = options;
    this.#parts = parts;
    this.#limits = { actors, mailbox, passive };
    this.#slots = new Slots(concurrency);
  }

  /** Actors in memory. */
  get actors(): number {
    return this.#residents.size;
  }

  /** What they do at this moment. */
  load(): ActorsLoad {
    const now = this.#parts.clock.now();
    let [waiting, running] = [0, 0];
    let longest: ActorsLoad["longest"];
    for (const [actorId, { mailbox, current, since }] of this.#residents) {
      waiting += mailbox.size;
      if (current === undefined) continue;
      if (!current.isRunning) {
        waiting++;
        continue;
      }
      running++;
      const milliseconds = Math.round(now - since);
      if (longest === undefined || milliseconds > longest.milliseconds) longest = { actorId, milliseconds };
    }
    return { actors: this.#residents.size, waiting, running, longest };
  }

  /** Puts a command into its actor's mailbox, unless it is there already; what became of it. */
  submit(tenure: Tenure, { actorId, command, commandId, metadata = {}, left }: CommandMessage): Promise<Outcome> {
    const until = this.#parts.clock.now() + left;
    const known = this.#residents.get(actorId)?.mailbox.find(commandId);
    if (known?.tenure.fence.epoch === tenure.fence.epoch) { // another try of it, or a copy
      known.join(until, left);
      return known.outcome;
    }
    if (this.#over.signal.aborted) return told({ answer: { kind: "notOwner" } });
    const resident = this.#residents.get(actorId) ?? this.#admit(actorId, tenure.shard);
    if (resident === undefined) {
      return told({ answer: { kind: "overloaded", limit: this.#limits.actors, of: "actors" } });
    }
    const task = new Task({ actorId, command, commandId, metadata, tenure, until, patience: left });
    if (!resident.mailbox.put(task)) {
      return told({ answer: { kind: "overloaded", limit: this.#limits.mailbox, of: "commands" } });
    }
    if (resident.current === undefined) void this.#work(actorId, resident);
    return task.outcome;
  }

  /** A tenure was closed: what waits does not begin, and who has nothing to do leaves the memory. */
  leave(tenure: Tenure): void {
    this.#dismiss((task) => task.tenure === tenure);
    for (const [actorId, { shard }] of this.#idle) if (shard === tenure.shard) this.#forget(actorId);
    this.#wake.abort("wake");
  }

  /** Takes no more, and resolves when nothing is under way. */
  async close(): Promise<void> {
    this.#over.abort();
    this.#wake.abort("wake");
    const running = [...this.#residents.values()].flatMap(({ current }) => current === undefined ? [] : [current]);
    this.#dismiss(() => true);
    await Promise.all(running.map(({ outcome }) => outcome));
    for (const actorId of this.#idle.keys()) this.#forget(actorId);
  }

  /** A place for an actor; undefined if all have something to do. */
  #admit(actorId: string, shard: number): Resident | undefined {
    if (this.#residents.size >= this.#limits.actors) {
      const [oldest] = this.#idle;
      if (oldest === undefined) return undefined;
      this.#passivate(...oldest);
    }
    const resident = new Resident(this.#parts.activate(actorId), this.#limits.mailbox, shard);
    this.#residents.set(actorId, resident);
    return resident;
  }

  /** Does all that is in a mailbox. */
  async #work(actorId: string, resident: Resident): Promise<void> {
    const { mailbox } = resident;
    this.#idle.delete(actorId);
    let isLast = false;
    for (let task = mailbox.next(); task !== undefined; task = mailbox.next()) {
      resident.current = task;
      await this.#slots.take();
      resident.since = this.#parts.clock.now();
      try {
        await this.#turn(resident.actor, task);
      } finally {
        this.#slots.give();
      }
      mailbox.done(task);
      isLast = !task.tenure.isOpen;
    }
    resident.current = undefined;
    if (isLast || this.#over.signal.aborted) return this.#forget(actorId);
    resident.since = this.#parts.clock.now();
    this.#idle.set(actorId, resident);
    if (!this.#isSweeping) void this.#sweep();
  }

  async #turn(actor: Actor, task: Task): Promise<void> {
    const { tenure, until } = task;
    if (task.isSettled) return; // dismissed while it waited for its turn
    // A sender that waits no more gets nothing done that it does not know of.
    if (!tenure.isOpen || this.#parts.clock.now() > until) return task.settle({ answer: { kind: "notOwner" } });
    tenure.begin(task);
    const outcome = tenure.fitting(task.actorId, await actor.run(task).catch((error) => outcomeOf(failed(error))));
    this.#remember(task, outcome);
    task.settle(outcome); // in one go with what is remembered: a copy that comes now finds one or the other
    tenure.end(task);
    if (outcome.fencedBy !== undefined) tenure.fenced(outcome.fencedBy); // behind the answer, which it would overtake
  }

  #remember({ tenure, actorId, commandId, patience }: Task, { body, otherwise, memory, isStored }: Outcome): void {
    if (memory === "none" || memory === "timed" && otherwise !== undefined && !tenure.holds) return;
    const now = this.#parts.clock.now();
    const expires = memory === "kept" ? Infinity : now + Math.max(MEMORY, 2 * patience);
    tenure.outcomes.set(actorId, commandId, { body, isStored }, expires, now);
  }

  #dismiss(isMeant: (task: Task) => boolean): void {
    for (const { mailbox, current } of this.#residents.values()) {
      const dismissed = mailbox.removeAll(isMeant);
      if (current !== undefined && isMeant(current) && !current.isRunning) dismissed.push(current);
      for (const task of dismissed) task.settle({ answer: { kind: "notOwner" } });
    }
  }

  /** Passivates who has had nothing to do for long, while there is anybody. */
  async #sweep(): Promise<void> {
    const { clock } = this.#parts;
    this.#isSweeping = true;
    for (;;) {
      const [oldest] = this.#idle;
      if (oldest === undefined || this.#over.signal.aborted) break;
      const left = oldest[1].since + this.#limits.passive - clock.now();
      if (left <= 0) this.#passivate(...oldest);
      else {
        this.#wake = new AbortController();
        await clock.sleep(left, this.#wake.signal);
      }
    }
    this.#isSweeping = false;
  }

  #passivate(actorId: string, { actor }: Resident): void {
    actor.passivate();
    this.#forget(actorId);
  }

  #forget(actorId: string): void {
    this.#idle.delete(actorId);
    this.#residents.delete(actorId);
  }
}

function told(outcome: Told): Promise<Outcome> {
  return Promise.resolve(outcomeOf(outcome));
}

function failed(error: unknown): Told {
  return { answer: { kind: "rejected", reason: reasonOf(error) }, otherwise: { kind: "unknown" } };
}
