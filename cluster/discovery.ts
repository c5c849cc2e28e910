import { NodeIdInUseError } from "../errors.ts";
import type { Clock } from "./clock.ts";
import { type DeadRecord, isGone, memberOf, type MemberRecord } from "./member_record.ts";
import { Lives, type Living } from "./lives.ts";
import { nodeKey, NODES } from "./names.ts";
import type { ClusterPorts } from "./ports.ts";
import { Presence, type Stage } from "./presence.ts";
import type { Seen, View } from "./view.ts";

/** Milliseconds without a sign of life after which a node is suspected: nothing is taken from it for that. */
export const SUSPECTED = 2_500;
/** Milliseconds beyond the TTL after which a silent node may be declared dead: its own deadline is long past then. */
export const KILL = 200;
/** Milliseconds between two looks at the record of a node that has this node's name. */
const LOOK = 250;

/** Milliseconds between two looks at whether the first poll was answered. */
const FIRST = 5;

/** A node of the namespace, as another sees it. */
export interface Member {
  /** Unique among those that are alive. */
  readonly nodeId: string;
  /** Suspected: not heard for 2.5 seconds; nothing is taken from it for that. */
  readonly state: "joining" | "up" | "suspected" | "leaving";
  /** What it told of itself. */
  readonly metadata: Readonly<Record<string, string>>;
  /** ISO 8601, by the node's own clock. */
  readonly joinedAt: string;
  /** Actor types that it serves. */
  readonly serves: readonly string[];
}

/** What happened to a node. */
export interface MemberChange {
  /** What. */
  readonly type: "nodeJoined" | "nodeSuspected" | "nodeLeft" | "nodeDead";
  /** Whose. */
  readonly nodeId: string;
}

/** What a node says of itself. */
export interface NodeFacts {
  readonly nodeId: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** What a node does for the others, which changes while it is there. */
export interface NodeServices {
  readonly takesShards: boolean;
  /** Its share of the shards beside those of the others, once it takes any. */
  readonly weight: number;
  /** Whether its appends check their shard's fence. */
  readonly fenced: boolean;
  /** Actor types. */
  readonly serves: readonly string[];
}

/** Keeps this node a member, one life after another, and knows the others. */
export class Discovery {
  readonly nodeId: string;
  readonly #clock: Clock;
  readonly #lives: Lives<MemberRecord>;
  readonly #listeners = new Set<(change: MemberChange) => void>();
  /** By node id: the incarnation that listeners were told of, and how it was. */
  readonly #told = new Map<string, { incarnation: string; state: Member["state"] }>();
  #services: NodeServices = { takesShards: false, weight: 1, fenced: false, serves: [] };

  constructor(ports: ClusterPorts, { nodeId, metadata }: NodeFacts) {
    this.nodeId = nodeId;
    this.#clock = ports.clock;
    const begin = (signal: AbortSignal): Promise<Presence<MemberRecord>> => {
      const joinedAt = new Date(ports.clock.wall()).toISOString();
      const facts = { nodeId, metadata, joinedAt, ...this.#offered(), applied: 0, held: [] };
      const record = (incarnation: string): MemberRecord => ({ v: 1, incarnation, state: "joining", ...facts });
      return Presence.begin(ports, nodeKey(nodeId), record, free, signal);
    };
    this.#lives = new Lives(ports, { nodeId, begin, farewell: { state: "left", held: [] } });
    this.#lives.each((presence, signal) => this.#watch(presence, signal));
  }

  /** This life; undefined between two. */
  get presence(): Presence<MemberRecord> | undefined {
    return this.#lives.presence;
  }

  /**
   * Joins; resolves once this node is a member and knows the others.
   * @throws {NodeIdInUseError} if another that has this name is seen alive
   */
  async join(signal: AbortSignal): Promise<void> {
    await this.#lives.start(signal);
    while (!signal.aborted) { // a life may end before anything was seen in it
      if (this.presence?.watcher.polled !== undefined) return;
      await this.#clock.sleep(FIRST, signal);
    }
    await this.#lives.end();
    signal.throwIfAborted();
  }

  /** Tells the others what this node does for them: at once, and in every life to come. */
  describe(services: Partial<NodeServices>): void {
    const before = JSON.stringify(this.#services);
    this.#services = { ...this.#services, ...services };
    if (JSON.stringify(this.#services) !== before) void this.presence?.lease.set(this.#offered());
  }

  /** Runs work in this life and each one after it, until it is disposed: a life ends only after its work has returned. */
  each(work: Living<MemberRecord>): Disposable {
    return this.#lives.each(work);
  }

  /** The others and this node, as far as it knows. */
  get members(): Member[] {
    const { presence } = this;
    if (presence === undefined) return [];
    return livingOf(presence.view).map(({ seen, member: { nodeId, metadata, joinedAt, state, serves } }) => {
      const shown = state === "up" && isSilent(presence, seen) ? "suspected" : state as Member["state"];
      return { nodeId, state: shown, metadata, joinedAt, serves };
    });
  }

  /** Calls back with each change, until it is disposed. */
  onChange(listener: (change: MemberChange) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: (): void => void this.#listeners.delete(listener) };
  }

  /** Says good-bye, once all work has returned. */
  async leave(): Promise<void> {
    await this.#lives.end();
  }

  #offered(): Pick<MemberRecord, "weight" | "fenced" | "serves"> {
    const { takesShards, weight, fenced, serves } = this.#services;
    return { weight: takesShards ? weight : 0, fenced, serves };
  }

  /** Tells of changes until the life is over, and becomes `up` once it knows who else is there. */
  async #watch(presence: Presence<MemberRecord>, signal: AbortSignal): Promise<void> {
    let isUp = false;
    while (!signal.aborted) {
      if (!isUp && presence.watcher.polled !== undefined) {
        isUp = true;
        void presence.lease.set({ state: "up", ...this.#offered() }); // it may have changed while the life began
      }
      this.#tell(presence);
      await presence.view.change((key) => key.startsWith(NODES), SUSPECTED / 10, signal);
    }
  }

  #tell(presence: Presence<MemberRecord>): void {
    const alive = new Set<string>();
    for (const { seen, member } of livingOf(presence.view)) {
      const { nodeId, incarnation } = member;
      const known = this.#told.get(nodeId);
      alive.add(nodeId);
      const state = isSilent(presence, seen) ? "suspected" : member.state as Member["state"];
      if (known?.incarnation !== incarnation) {
        if (known !== undefined) this.#say("nodeDead", nodeId);
        this.#say("nodeJoined", nodeId);
      } else if (state === "suspected" && known.state !== "suspected") this.#say("nodeSuspected", nodeId);
      this.#told.set(nodeId, { incarnation, state });
    }
    for (const nodeId of this.#told.keys()) {
      if (alive.has(nodeId)) continue;
      const entry = presence.view.get(nodeKey(nodeId));
      if (entry === undefined) continue; // of an earlier life of the bucket, and not seen in this one
      this.#told.delete(nodeId);
      this.#say(memberOf(entry.value)?.state === "left" ? "nodeLeft" : "nodeDead", nodeId);
    }
  }

  #say(type: MemberChange["type"], nodeId: string): void {
    for (const listener of this.#listeners) listener({ type, nodeId });
  }
}

/** Not heard for long: of that a node that is cut off itself knows nothing. */
function isSilent({ lease }: Presence, seen: Seen): boolean {
  return lease.isSteady() && lease.silence(seen) > SUSPECTED;
}

/** A record and what it says. */
export interface LivingNode {
  readonly seen: Seen;
  readonly member: MemberRecord;
}

/** The nodes that are there, whether they are heard or not. */
export function livingOf(view: View): LivingNode[] {
  return view.of(NODES).flatMap((seen) => {
    const member = memberOf(seen.value);
    return member === undefined || isGone(member) ? [] : [{ seen, member: member as MemberRecord }];
  });
}

/**
 * The revision at which a node's record may be taken: at once where there is none or its node has left, else once it has
 * been silent for as long as a node may be.
 * @throws {NodeIdInUseError} if it is renewed
 */
async function free(
  { bucket, timeline, ports: { clock, times } }: Stage,
  key: string,
  signal: AbortSignal,
): Promise<number> {
  let last: { readonly revision: number; readonly since: number } | undefined;
  for (;;) {
    signal.throwIfAborted();
    const entry = await bucket.read(key);
    const now = timeline.now();
    if (entry === "none") return 0;
    const member: MemberRecord | DeadRecord | undefined = entry && memberOf(entry.value);
    if (entry !== undefined && member !== undefined && isGone(member)) return entry.revision;
    if (entry === undefined) last = undefined; // nobody can renew what cannot be read
    else if (last === undefined) last = { revision: entry.revision, since: now };
    else if (last.revision !== entry.revision) throw new NodeIdInUseError({ nodeId: member?.nodeId ?? key });
    else if (now - Math.max(last.since, timeline.era) > times.ttl + KILL) return entry.revision;
    await clock.sleep(LOOK, signal);
  }
}
