import type { Event, Metadata, OwnId } from "../event.ts";
import { checkOptionNames, namesOf } from "../options.ts";
import { baseStoreOf } from "../schema/base_store.ts";
import type { SnapshotStore } from "../snapshot/snapshot_store.ts";
import type { Abortable, AppendResult, EventStore } from "../store/event_store.ts";
import type { Fence } from "../store/fence.ts";
import { harmless, observed, type Observer } from "../store/observer.ts";
import { checkArguments } from "./check.ts";
import type { Decider } from "./decider.ts";
import { Execution } from "./execution.ts";
import { Lane } from "./lane.ts";
import type { StateCache } from "./state_cache.ts";

/** Options of `execute`. */
export interface ExecuteOptions extends Abortable {
  /** Where snapshots are, and are kept; used if the decider has a `snapshot` policy. */
  readonly snapshots?: SnapshotStore | undefined;
  /** How often it decides again when another writer was first. @default 3 */
  readonly retries?: number | undefined;
  /**
   * Makes the command idempotent: repeated with the same id, from any process, it appends once and gives what it did the
   * first time. Text of up to 128 characters, kept in `metadata.commandId` of the commit's first event. Known are those of
   * at least the actor's last 100 commits: a count of commits, not a time. It costs nothing but, where a snapshot does not
   * carry them, one reading of those commits. A command that led to no event leaves no trace: repeated, it decides anew.
   */
  readonly commandId?: string | undefined;
  /** Merged under the metadata of each event. */
  readonly metadata?: Metadata | undefined;
  /**
   * Refuses the append (FENCED) once another node has taken the shard over. A command that is refused, or leads to no
   * event, is answered after a check behind which no owner before can store anything.
   */
  readonly fence?: Fence | undefined;
  /** Keeps states between commands. */
  readonly cache?: StateCache | undefined;
  /**
   * Told of the execution, and of snapshots that were ignored (`snapshotIgnored`) or could not be saved
   * (`snapshotFailed`), each with `actorId` and `reason`: none of it fails the command.
   */
  readonly observer?: Observer | undefined;
}

const NAMES = namesOf<ExecuteOptions>({
  snapshots: true,
  retries: true,
  commandId: true,
  metadata: true,
  fence: true,
  cache: true,
  observer: true,
  signal: true,
});

/** What a command did. */
export interface Executed<State, E extends Event> extends AppendResult<E> {
  /** Behind the command; of a command that was executed before, as of now. Not to be changed: others may hold it. */
  readonly state: State;
  /** How often a conflict was resolved by deciding again. */
  readonly retries: number;
}

/**
 * Loads, decides, appends with the loaded version as expectation; when another writer was first, folds what was missed and
 * decides again. What is executed on one actor of one store in this process stands in a queue, each going on from the
 * state of the one before.
 *
 * No event means nothing to do: nothing is written, and the actor's version and position come back. What `decide` throws
 * comes out unchanged. The events are folded before they are appended: what `evolve` cannot take is not stored.
 *
 * @example
 * ```ts
 * import { type ActorEvents, defineDecider, execute, InMemoryEventStore } from "@aether/aether";
 *
 * type CounterEvent = ActorEvents<"counter", { Added: { by: number } }>;
 * const counter = defineDecider({
 *   initialState: () => 0,
 *   evolve: (state: number, event: CounterEvent) => state + event.data.by,
 *   decide: (command: { add: number }) => ({ eventType: "Added", data: { by: command.add } }),
 * });
 * const store = new InMemoryEventStore();
 * const { state, version } = await execute(store, counter, "counter-1", { add: 2 });
 * console.log(state, version); // 2 1
 * ```
 *
 * @throws {VersionConflictError} if others were first more often than `retries`
 * @throws {ReplayError} if `evolve` throws
 * @throws {SchemaError} if an event does not fit `decider.events`
 * @throws {UnknownOutcomeError} if no answer came: repeat it with the same `commandId`
 * @throws {ActorDeletedError} {@linkcode FencedError} {@linkcode InvalidArgumentError} and what `append` throws
 */
export async function execute<Stored extends Event, State, Command, E extends Stored, const Id extends string>(
  store: EventStore<Stored>,
  decider: Decider<State, Command, E>,
  actorId: Id & OwnId<NoInfer<E>, Id>,
  command: NoInfer<Command>,
  options: ExecuteOptions = {},
): Promise<Executed<State, E>> {
  checkOptionNames("execute", options, NAMES);
  checkArguments("execute", store, decider, options.snapshots);
  const observer = harmless(options.observer);
  const execution = new Execution<State, Command, E>(store, decider, actorId, command, { ...options, observer });
  const work = (): Promise<Executed<State, E>> => {
    return Lane.run(baseStoreOf(store), actorId, options.signal, (lane) => execution.run(lane));
  };
  if (observer === undefined) return await work();
  return await observed(observer, "execute", { namespace: store.namespace, actorId }, work, (executed) => {
    const { version, events: { length: events }, duplicate, retries } = executed;
    return { version, events, duplicate, retries };
  });
}
