import { actorTypeOf } from "../actor_id.ts";
import { InvalidArgumentError, isAetherError } from "../errors.ts";
import { harmless, type Observer } from "../store/observer.ts";
import { shardOf } from "../store/shard.ts";
import type { ActorHost, ActorsLoad } from "./actor_host.ts";
import type { Clock } from "./clock.ts";
import { asDuplicate, type CommandMessage, decodeCommand, encodeAnswer, excessOf } from "./command_messages.ts";
import type { Commands, Serving } from "./commands.ts";
import { aborted } from "./crew.ts";
import type { Discovery } from "./discovery.ts";
import type { Distribution } from "./distribution.ts";
import type { OwnedShard } from "./ownership.ts";
import type { Outcome } from "./task.ts";
import { type Fitting, Tenure } from "./tenure.ts";
import { within } from "./within.ts";

/** Milliseconds between two looks at whether it is worth waiting until all that is on the wire has come. */
const LOOK = 25;

/** Bytes that an answer takes more where it is given again. */
const MARGIN = 32;

const NOT_OWNER = encodeAnswer({ kind: "notOwner" });
const MALFORMED = encodeAnswer({ kind: "malformed" });

/** What a command server needs. */
export interface CommandServerParts {
  readonly clock: Clock;
  readonly commands: Commands;
  readonly distribution: Pick<Distribution, "fence" | "holds" | "fenced" | "add" | "onChange">;
  readonly discovery: Pick<Discovery, "nodeId" | "describe">;
  /** Of the namespace. */
  readonly shards: number;
  readonly observer: Observer | undefined;
}

/** Takes the commands of the shards that this node owns, and has each done by the host of its actor's type. */
export class CommandServer implements AsyncDisposable {
  readonly #parts: CommandServerParts;
  readonly #hosts = new Map<string, ActorHost>();
  /** Of types whose last commands still run. */
  readonly #closing = new Map<string, ActorHost>();
  readonly #tenures = new Map<number, Tenure>();
  readonly #changes: Disposable;
  #work: AsyncDisposable | undefined;

  constructor(parts: CommandServerParts) {
    this.#parts = { ...parts, observer: harmless(parts.observer) };
    this.#changes = parts.distribution.onChange(({ type, shard, epoch }) => {
      if (type !== "shardReleased") return;
      const tenure = this.#tenures.get(shard);
      if (tenure !== undefined && tenure.fence.epoch <= epoch) this.#tenures.delete(shard);
    });
  }

  /** The hosts, by actor type. */
  get hosts(): ReadonlyMap<string, ActorHost> {
    return this.#hosts;
  }

  /**
   * From now on the actors of these types live in this host. Disposing it lets what is under way return; commands that
   * come then find nobody.
   * @throws {InvalidArgumentError} if a type is none, or another host has it
   */
  add(actorTypes: readonly string[], host: ActorHost): AsyncDisposable {
    for (const actorType of actorTypes) this.#checkType(actorType);
    for (const actorType of actorTypes) this.#hosts.set(actorType, host);
    this.#announce();
    this.#work ??= this.#parts.distribution.add(this.#serve);
    let isDisposed = false;
    return {
      [Symbol.asyncDispose]: async (): Promise<void> => {
        if (isDisposed) return;
        isDisposed = true;
        for (const actorType of actorTypes) {
          this.#hosts.delete(actorType);
          this.#closing.set(actorType, host);
        }
        this.#announce();
        await host.close();
        for (const actorType of actorTypes) this.#closing.delete(actorType);
        if (this.#hosts.size === 0) await this.#stop();
      },
    };
  }

  /** What the actors of all hosts do. */
  load(): ActorsLoad {
    const loads = [...new Set([...this.#hosts.values(), ...this.#closing.values()])].map((host) => host.load());
    const longest = loads.flatMap(({ longest }) => longest ?? []).sort((a, b) => b.milliseconds - a.milliseconds)[0];
    const sum = (of: "actors" | "waiting" | "running"): number => loads.reduce((total, load) => total + load[of], 0);
    return { actors: sum("actors"), waiting: sum("waiting"), running: sum("running"), longest };
  }

  /** Whether commands of a shard are to be done here, and need not travel. */
  serves(shard: number): boolean {
    return this.#tenures.get(shard)?.isOpen === true;
  }

  /** The answer to a command, wherever it came from; never rejects. */
  readonly handle = async (shard: number, body: string): Promise<string> => {
    const message = decodeCommand(body);
    if (message === undefined || !this.#isOf(shard, message)) {
      this.#parts.observer?.event?.("commandMalformed", { shard, size: body.length });
      return MALFORMED;
    }
    const { actorId, commandId } = message;
    const tenure = this.#tenures.get(shard);
    if (!tenure?.isOpen) return NOT_OWNER;
    const remembered = tenure.outcomes.get(actorId, commandId, this.#parts.clock.now());
    if (remembered !== undefined) {
      return remembered.isStored ? asDuplicate(remembered.body) : remembered.body;
    }
    const host = this.#hosts.get(actorTypeOf(actorId));
    if (host === undefined) return encodeAnswer({ kind: "noHandler", nodeId: this.#parts.discovery.nodeId });
    return this.#reply(tenure, await host.submit(tenure, message));
  };

  /** Ends all that is served here. */
  async [Symbol.asyncDispose](): Promise<void> {
    const hosts = new Set(this.#hosts.values());
    this.#hosts.clear();
    this.#announce();
    await Promise.all([...hosts].map((host) => host.close()));
    await this.#stop();
    this.#changes[Symbol.dispose]();
  }

  async #stop(): Promise<void> {
    const work = this.#work;
    this.#work = undefined;
    await work?.[Symbol.asyncDispose]();
  }

  /** What no write proves is answered only while nobody else can own the shard. */
  #reply(tenure: Tenure, { body, otherwise }: Outcome): string {
    return otherwise !== undefined && !tenure.holds ? otherwise : body;
  }

  /** What is too large for a message, or no JSON, is not lost in silence. */
  readonly #fitting: Fitting = (actorId, outcome) => {
    const { maxSize } = this.#parts.commands;
    const size = excessOf(outcome.body, maxSize - MARGIN);
    const problem = size === undefined ? outcome.problem : `it takes ${size} bytes, ${maxSize - MARGIN} are allowed`;
    if (problem === undefined) return outcome;
    this.#parts.observer?.event?.("resultUntold", { actorId, problem });
    return size === undefined ? outcome : { ...outcome, body: encodeAnswer({ kind: "untold", problem }), problem };
  };

  /** The work of one shard in one stretch. */
  readonly #serve = async ({ shard, fence, signal }: OwnedShard): Promise<void> => {
    const { clock, commands, distribution } = this.#parts;
    const before = this.#tenures.get(shard);
    const outcomes = before?.fence.epoch === fence.epoch ? before.outcomes : undefined;
    const tenure = new Tenure(fence, distribution, this.#fitting, outcomes);
    this.#tenures.set(shard, tenure);
    const opening = commands.serve(shard, (body) => this.handle(shard, body));
    try {
      await Promise.race([opening, aborted(signal)]);
      await aborted(signal);
    } finally {
      tenure.close();
      for (const host of new Set(this.#hosts.values())) host.leave(tenure);
      const drained = this.#drain(opening, shard);
      await tenure.ended(clock);
      while (await within(clock, drained, LOOK) === undefined && tenure.holds);
    }
  };

  async #drain(opening: Promise<Serving>, shard: number): Promise<"drained"> {
    try {
      await (await opening).drain();
    } catch (error) { // the connection is closed, or it never was open
      this.#parts.observer?.event?.("drainFailed", { shard, error: String(error) });
    }
    return "drained";
  }

  #isOf(shard: number, { actorId }: CommandMessage): boolean {
    try {
      return shardOf(actorId, this.#parts.shards) === shard;
    } catch (error) {
      if (isAetherError(error, "INVALID_ACTOR_ID")) return false;
      throw error;
    }
  }

  #announce(): void {
    this.#parts.discovery.describe({ serves: [...this.#hosts.keys()].sort() });
  }

  #checkType(actorType: string): void {
    if (typeof actorType !== "string" || actorType === "" || actorTypeOf(actorType) !== actorType) {
      throw new InvalidArgumentError({ argument: "actorType" }, `There are no actors of the type ${String(actorType)}`);
    }
    if (!this.#hosts.has(actorType) && !this.#closing.has(actorType)) return;
    const until = this.#closing.has(actorType) ? "still: await the disposal" : "already";
    throw new InvalidArgumentError({ argument: "actorType" }, `Actors of the type ${actorType} are served ${until}`);
  }
}
