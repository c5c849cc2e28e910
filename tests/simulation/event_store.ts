import { FencedError, UnavailableError, UnknownOutcomeError, VersionConflictError } from "../../errors.ts";
import type { Event, EventsFor, NewEvent } from "../../event.ts";
import type {
  AppendOptions,
  AppendResult,
  Commit,
  EventStore,
  ListedActor,
  ReadActorOptions,
  VersionOptions,
} from "../../store/event_store.ts";
import { type Fence, isToSeal, nextEpoch } from "../../store/fence.ts";
import { checkRange, isEmpty, notThisCommit, Selection } from "../../store/range.ts";
import { shardOf } from "../../store/shard.ts";
import type { ActorAnswer, Appended, EventLog, NewCommit, StoredCommit } from "./event_log.ts";
import type { Machine } from "./machine.ts";
import type { Network } from "./network.ts";
import { TRY } from "./ports.ts";

/** Milliseconds that one operation may take over all its retries. */
const TIMEOUT = 10_000;
/** Milliseconds between two tries. */
const PAUSE = 20;

/**
 * The store of one node over the simulated network: an attempt repeats its S0 until it is settled, and a replica's answer
 * counts only if it includes what this store knows, as `store/attempt.ts` and `store/heads.ts` have it.
 */
export class SimulatedEventStore implements EventStore {
  readonly namespace = "simulation";
  readonly shards: number;
  readonly #machine: Machine;
  readonly #network: Network;
  readonly #log: EventLog;
  /** By actor, what this store last knew to be its end. */
  readonly #heads = new Map<string, StoredCommit | undefined>();
  /** Up to where whatever answers has to have everything. */
  #least = 0;

  constructor(machine: Machine, network: Network, log: EventLog, shards: number) {
    this.#machine = machine;
    this.#network = network;
    this.#log = log;
    this.shards = shards;
  }

  async append<const Id extends string>(
    actorId: Id,
    events: readonly NewEvent<EventsFor<Event, Id>>[],
    { expectedVersion, fence }: AppendOptions = {},
  ): Promise<AppendResult<EventsFor<Event, Id>>> {
    if (typeof expectedVersion !== "number") unused();
    const deadline = this.#machine.now() + TIMEOUT;
    const known = this.#heads.get(actorId);
    const isSure = known === undefined || known.version !== expectedVersion || events.length === 0 ||
      known.epoch > (fence?.epoch ?? Infinity);
    const head = isSure ? await this.#head(actorId, deadline) : known;
    const commit = this.#commit(actorId, events as readonly NewEvent[], head, fence);
    if ((head?.version ?? 0) !== expectedVersion) throw conflict(actorId, expectedVersion, head);
    if (events.length === 0 && fence?.checked) await this.#checkFence(fence, deadline);
    const isCheck = events.length === 0 && !isToSeal(fence, head?.epoch ?? 0);
    const stored = isCheck ? head : await this.#store(commit, fence, deadline);
    return {
      actorId,
      version: stored?.version ?? 0,
      position: stored?.sequence ?? 0,
      events: (stored?.events ?? []) as EventsFor<Event, Id>[],
      duplicate: false,
    };
  }

  async *readActor<const Id extends string>(
    actorId: Id,
    options: ReadActorOptions = {},
  ): AsyncIterable<Commit<EventsFor<Event, Id>>> {
    const range = checkRange(options);
    if (isEmpty(range)) return;
    const { from, consistency } = options;
    this.#least = Math.max(this.#least, range.atLeast);
    const { commits } = await this.#read(actorId, consistency === "leader", this.#machine.now() + TIMEOUT);
    if (from !== undefined) {
      const known = commits.find(({ sequence }) => sequence === from.position);
      if (known?.version !== from.version) throw notThisCommit(actorId, from);
    }
    const selection = new Selection(range);
    for (const { version, sequence: position, events } of commits) {
      const part = selection.add({ actorId, version, position, events });
      if (part !== undefined) yield part as Commit<EventsFor<Event, Id>>;
      if (selection.done({ version, position })) break;
    }
    yield* selection.end() as Iterable<Commit<EventsFor<Event, Id>>>;
  }

  async getLatestVersion(actorId: string, { atLeast = 0, consistency }: VersionOptions = {}): Promise<number> {
    this.#least = Math.max(this.#least, atLeast);
    const { commits } = await this.#read(actorId, consistency === "leader", this.#machine.now() + TIMEOUT);
    return commits.at(-1)?.version ?? 0;
  }

  /** Whether what answers includes what this store knows. */
  #isEnough(actorId: string, { commits, upTo }: ActorAnswer): boolean {
    return upTo >= this.#least && (commits.at(-1)?.sequence ?? 0) >= (this.#heads.get(actorId)?.sequence ?? 0);
  }

  async #read(actorId: string, isLeader: boolean, deadline: number): Promise<ActorAnswer> {
    for (let asksLeader = isLeader;; asksLeader = true) {
      const act = (): ActorAnswer => this.#log.read(actorId, this.#network.asOf(asksLeader));
      const answer = await this.#network.request(this.#machine, TRY, act);
      if (answer !== undefined && this.#isEnough(actorId, answer)) {
        this.#heads.set(actorId, answer.commits.at(-1));
        return answer;
      }
      if (this.#machine.now() > deadline) throw new UnavailableError({ reason: "nobody answered in time" });
      await this.#machine.sleep(PAUSE);
    }
  }

  async #head(actorId: string, deadline: number): Promise<StoredCommit | undefined> {
    return (await this.#read(actorId, true, deadline)).commits.at(-1);
  }

  #commit(
    actorId: string,
    events: readonly NewEvent[],
    head: StoredCommit | undefined,
    fence: Fence | undefined,
  ): NewCommit {
    const [shard, version] = [shardOf(actorId, this.shards), head?.version ?? 0];
    const numbered = events.map((event, index): Event => ({
      ...event,
      id: event.id ?? crypto.randomUUID(),
      timestamp: event.timestamp ?? "",
      actorId,
      version: version + index + 1,
    }));
    return {
      shard,
      actorId,
      version: version + events.length,
      previous: head?.sequence ?? 0,
      epoch: nextEpoch(shard, fence, head?.epoch ?? 0),
      events: numbered,
      by: this.#machine.life,
    };
  }

  /** Sends it until it is certain what became of it. */
  async #store(commit: NewCommit, fence: Fence | undefined, deadline: number): Promise<StoredCommit> {
    const { actorId, shard, previous } = commit;
    const checked = fence?.checked ? fence.epoch : undefined;
    let isOpen = false;
    for (;;) {
      const act = (): Appended => this.#log.append(commit, checked);
      const appended = await this.#network.request(this.#machine, TRY, act);
      if (appended === undefined) {
        isOpen = true;
        if (this.#machine.now() > deadline) {
          throw new UnknownOutcomeError({ actorIds: [actorId], eventIds: commit.events.map(({ id }) => id) });
        }
        await this.#machine.sleep(PAUSE);
        continue;
      }
      if ("stored" in appended) {
        this.#heads.set(actorId, appended.stored);
        return appended.stored;
      }
      // A copy that was sent earlier may be what is there.
      const least = "conflict" in appended ? appended.conflict : previous;
      const { commits } = await this.#readTo(actorId, least, deadline + TIMEOUT);
      const behind = commits.find((one) => one.previous === previous);
      if (isOpen && behind !== undefined && isSame(commit, behind)) return behind;
      const head = commits.at(-1);
      if ("fenced" in appended) throw new FencedError({ shard, epoch: appended.fenced });
      nextEpoch(shard, fence, head?.epoch ?? 0);
      throw conflict(actorId, (head?.version ?? 0) - 1, head);
    }
  }

  async #readTo(actorId: string, sequence: number, deadline: number): Promise<ActorAnswer> {
    for (;;) {
      const answer = await this.#read(actorId, true, deadline);
      if ((answer.commits.at(-1)?.sequence ?? 0) >= sequence) return answer;
      await this.#machine.sleep(PAUSE);
    }
  }

  async #checkFence({ shard, epoch: own }: Fence, deadline: number): Promise<void> {
    for (;;) {
      const act = (): number => this.#log.lastFence(shard, this.#network.asOf(true)).sequence;
      const epoch = await this.#network.request(this.#machine, TRY, act);
      if (epoch !== undefined && epoch >= own) {
        if (epoch === own) return;
        throw new FencedError({ shard, epoch });
      }
      if (this.#machine.now() > deadline) throw new UnavailableError({ reason: "nobody answered in time" });
      await this.#machine.sleep(PAUSE);
    }
  }

  position(): Promise<number> {
    return unused();
  }
  saveEvent(): Promise<never> {
    return unused();
  }
  transact(): Promise<never> {
    return unused();
  }
  getEvents(): Promise<never> {
    return unused();
  }
  readAll(): AsyncIterable<never> {
    return unused();
  }
  listActors(): AsyncIterable<ListedActor> {
    return unused();
  }
  deleteActor(): Promise<never> {
    return unused();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/** A seal has no ids; only its owner writes its epoch. */
function isSame(mine: NewCommit, stored: StoredCommit): boolean {
  if (mine.events.length === 0) return stored.events.length === 0 && stored.epoch === mine.epoch;
  return stored.events[0]?.id === mine.events[0]?.id;
}

function conflict(actorId: string, expectedVersion: number, head: StoredCommit | undefined): VersionConflictError {
  return new VersionConflictError({ actorId, expectedVersion, actualVersion: head?.version ?? 0 });
}

function unused(): never {
  throw new Error("no part of the cluster uses this");
}
