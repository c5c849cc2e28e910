import { copyEvent, type Event, type NewEvent } from "../event.ts";
import { ActorDeletedError, InvalidArgumentError, isAetherError, UnknownOutcomeError } from "../errors.ts";
import { commandIdOf } from "../schema/base_store.ts";
import { mapAll } from "../schema/maybe_promise.ts";
import type { CommandRecord } from "../snapshot/snapshot_store.ts";
import type { AppendResult, EventStore } from "../store/event_store.ts";
import { untilAborted } from "../store/operation.ts";
import { whole } from "../store/range.ts";
import { timestampOf } from "../validate.ts";
import { decidedEvents } from "./check.ts";
import type { Decider } from "./decider.ts";
import type { Executed, ExecuteOptions } from "./execute.ts";
import type { Lane } from "./lane.ts";
import { catchUp, isNotACommit, loadStanding } from "./load.ts";
import { isCommandId, RecentCommands, REMEMBERED_COMMANDS } from "./recent_commands.ts";
import { ActorSnapshots } from "./snapshots.ts";
import { evolved, type Standing } from "./standing.ts";
import { placeIn } from "./state_cache.ts";

/** Milliseconds that a command which lost a race waits at most before it decides again. */
const MAX_PAUSE = 50;

/** One command on one actor. */
export class Execution<State, Command, E extends Event> {
  readonly #store: EventStore;
  readonly #decider: Decider<State, Command, E>;
  readonly #actorId: string;
  readonly #command: Command;
  readonly #options: ExecuteOptions;
  readonly #maxRetries: number;
  readonly #snapshots: ActorSnapshots<State> | undefined;
  #standing: Standing<State, E> | undefined;

  constructor(
    store: EventStore,
    decider: Decider<State, Command, E>,
    actorId: string,
    command: Command,
    options: ExecuteOptions,
  ) {
    const { snapshots, observer, commandId } = options;
    if (commandId !== undefined && !isCommandId(commandId)) {
      throw new InvalidArgumentError({ argument: "commandId" }, "commandId is a text of 1 to 128 characters");
    }
    this.#store = store;
    this.#decider = decider;
    this.#actorId = actorId;
    this.#command = command;
    this.#options = options;
    this.#maxRetries = whole("retries", options.retries, 3);
    const { snapshot } = decider;
    this.#snapshots = snapshots && snapshot && new ActorSnapshots(snapshots, snapshot, actorId, observer);
  }

  async run(lane: Lane): Promise<Executed<State, E>> {
    const { cache } = this.#options;
    const place = cache && placeIn(cache, this.#store, this.#decider, this.#actorId);
    const kept = lane.take(this.#store, this.#decider) ?? place?.standing;
    this.#standing = kept as Standing<State, E> | undefined;
    try {
      return await this.#execute();
    } catch (error) {
      if (isAetherError(error, "ACTOR_DELETED")) this.#standing = undefined;
      throw error;
    } finally { // a command that is refused leaves the state as it was
      const left = this.#standing as Standing<unknown, Event> | undefined;
      if (left !== undefined && !left.deleted) {
        lane.leave(this.#store, this.#decider, left);
        place?.put(left);
      }
    }
  }

  async #execute(): Promise<Executed<State, E>> {
    // What was kept may be behind: an append would tell; a decision of no events, or a repetition, would not.
    let isFresh = this.#standing === undefined;
    const began = performance.now();
    let command = this.#standing === undefined ? await this.#load() : undefined;
    const took = performance.now() - began;
    command ??= await this.#recent();
    for (let retries = 0;;) {
      const standing = this.#standing as Standing<State, E>;
      if (command !== undefined) {
        if (!isFresh) await this.#catchUp(standing);
        isFresh = true;
        const executed = await this.#again(command, retries);
        if (executed !== undefined) return executed;
        standing.commands = await this.#lastCommands(standing);
        command = await this.#recent();
        if (command !== undefined) continue;
      }
      let decided: readonly NewEvent[] = [];
      let refusal: { readonly error: unknown } | undefined;
      try {
        decided = this.#decide(standing.state);
      } catch (error) {
        refusal = { error };
      }
      let isFinal = false;
      try {
        if (decided.length > 0) {
          const executed = await this.#append(decided, standing, retries);
          this.#snapshots?.consider(standing, took);
          return executed;
        }
        isFinal = await this.#isFinal(standing, isFresh);
      } catch (error) {
        if (!isAetherError(error, "VERSION_CONFLICT")) throw error;
        if (retries === this.#maxRetries) {
          error.message += `, after ${retries} ${retries === 1 ? "retry" : "retries"} (the option \`retries\`)`;
          throw error;
        }
        retries++;
        await pause(Math.random() * Math.min(2 ** retries, MAX_PAUSE), this.#options.signal);
      }
      if (isFinal) {
        if (refusal !== undefined) throw refusal.error;
        this.#snapshots?.consider(standing, took);
        return this.#nothing(standing, retries);
      }
      command = await this.#catchUp(standing);
      isFresh = true;
    }
  }

  /** Gives the record of the command, if the load met it. */
  async #load(): Promise<CommandRecord | undefined> {
    const { snapshots, signal, commandId, observer, fence } = this.#options;
    const options = { snapshots, signal, commandId, observer, atLeast: fence?.epoch };
    const { standing, command } = await loadStanding(this.#store, this.#decider, this.#actorId, options);
    this.#standing = standing;
    return command;
  }

  async #catchUp(standing: Standing<State, E>): Promise<CommandRecord | undefined> {
    const { signal, commandId, fence } = this.#options;
    try {
      return await catchUp(this.#store, standing, this.#actorId, { signal, commandId, atLeast: fence?.epoch });
    } catch (error) {
      if (!isNotACommit(error)) throw error;
      return await this.#load(); // the stream was restored
    }
  }

  /** What the command led to, if it is among the last commits. */
  async #recent(): Promise<CommandRecord | undefined> {
    const { commandId } = this.#options;
    const standing = this.#standing;
    if (commandId === undefined || standing === undefined) return undefined;
    if (!standing.commands.isWhole) standing.commands = await this.#lastCommands(standing);
    return standing.commands.find(commandId);
  }

  async #lastCommands({ position: toPosition }: Standing<State, E>): Promise<RecentCommands> {
    const range = { lastCommits: REMEMBERED_COMMANDS, toPosition, signal: this.#options.signal };
    return RecentCommands.ofLast(await Array.fromAsync(this.#store.readActor(this.#actorId, range)));
  }

  #decide(state: State): readonly NewEvent[] {
    return decidedEvents(this.#decider.decide(this.#command, state));
  }

  /**
   * Whether what stores nothing may be answered: the state is the latest and, with a fence, no owner before can store
   * anything behind it. Once this one has written, that is so for good; a checked fence has to be looked at each time.
   */
  async #isFinal(standing: Standing<State, E>, isFresh: boolean): Promise<boolean> {
    const { fence, signal } = this.#options;
    const isSealed = !fence?.checked && fence?.epoch === standing.epoch;
    if (fence === undefined || isSealed || standing.deleted) return isFresh;
    const { version: expectedVersion } = standing;
    await this.#store.append(this.#actorId, [], { expectedVersion, fence, signal });
    standing.epoch = fence.epoch;
    return true;
  }

  async #append(
    decided: readonly NewEvent[],
    standing: Standing<State, E>,
    retries: number,
  ): Promise<Executed<State, E>> {
    const { fence, signal, commandId } = this.#options;
    const { version: expectedVersion } = standing;
    const events: NewEvent[] = [];
    let { state } = standing;
    for (const [index, event] of decided.entries()) {
      const encoded = await this.#encode(event, index);
      events.push(encoded);
      const full = copyEvent({ ...encoded, actorId: this.#actorId, version: expectedVersion + index + 1 } as Event);
      state = evolved(this.#decider, state, full as E);
    }
    let result: AppendResult;
    try {
      result = await this.#store.append(this.#actorId, events, { expectedVersion, fence, signal });
    } catch (error) {
      if (commandId === undefined || !isAetherError(error, "UNKNOWN_OUTCOME")) throw error;
      const { actorIds, eventIds, expectedVersion, cause } = error;
      throw new UnknownOutcomeError({ actorIds, eventIds, expectedVersion, commandId }, { cause });
    }
    if (result.duplicate) { // stored before, maybe not with all that was decided now
      await standing.add(result);
      await this.#catchUp(standing);
      const events = await this.#decoded(result.events);
      return { ...result, events, state: (this.#standing as Standing<State, E>).state, retries };
    }
    standing.take(result, state);
    standing.epoch = fence?.epoch ?? 0; // who writes without one hands on what is there, which is not known here
    return { ...result as AppendResult<E>, state, retries };
  }

  /** With all that the store would add, so that what is folded is what is stored. */
  async #encode(event: NewEvent, index: number): Promise<NewEvent> {
    const { metadata: shared, commandId } = this.#options;
    const metadata = {
      ...shared,
      ...event.metadata,
      ...(index === 0 && commandId !== undefined ? { commandId } : {}),
    };
    const { eventType, data, id = crypto.randomUUID(), timestamp = timestampOf(Date.now()) } = event;
    const whole = { eventType, data, id, timestamp, metadata };
    return await this.#decider.events?.encode(whole, this.#actorId) ?? whole;
  }

  #nothing({ state, version, position }: Standing<State, E>, retries: number): Executed<State, E> {
    return { actorId: this.#actorId, version, position, events: [], duplicate: false, state, retries };
  }

  /** What the command did the first time; undefined if that commit is not its: a snapshot has lied. */
  async #again(
    { version, position }: CommandRecord,
    retries: number,
  ): Promise<Executed<State, E> | undefined> {
    const { signal, commandId } = this.#options;
    for await (const commit of this.#store.readActor(this.#actorId, { toVersion: version, lastCommits: 1, signal })) {
      if (commit.deleted) throw new ActorDeletedError({ actorId: this.#actorId, deletedAtVersion: commit.version });
      if (commit.position !== position || commandIdOf(commit) !== commandId) return undefined;
      const events = await this.#decoded(commit.events);
      const { state } = this.#standing as Standing<State, E>;
      return { actorId: this.#actorId, version, position, events, duplicate: true, state, retries };
    }
    return undefined;
  }

  async #decoded(stored: readonly Event[]): Promise<E[]> {
    const { events: catalogue } = this.#decider;
    if (catalogue === undefined) return stored as E[];
    const events = await mapAll(stored, (event) => catalogue.decode(event));
    return events.filter((event) => event !== undefined);
  }
}

async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, milliseconds);
  try {
    await untilAborted(promise, signal);
  } finally {
    clearTimeout(timer);
  }
}
