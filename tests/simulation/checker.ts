import { assignShards } from "../../cluster/assignment.ts";
import { decodeTable, type Table } from "../../cluster/table.ts";
import type { BucketServer } from "./bucket_server.ts";
import type { EventLog, LogListener, NewCommit, StoredCommit } from "./event_log.ts";
import type { Told } from "./clients.ts";
import type { Machine } from "./machine.ts";
import type { Process } from "./process.ts";
import type { Schedule } from "./schedule.ts";
import type { Scheduler } from "./scheduler.ts";

/** An invariant that was broken. */
export interface Violation {
  readonly id: string;
  readonly message: string;
  readonly at: number;
}

/** By when all nodes of a simulation are there and have their shards. */
const STARTED = 3_900;
/** Milliseconds after a death until all shards are owned. */
const FAILOVER = 6_000;
/** Milliseconds more, where nudges are lost. */
const WITHOUT_NUDGES = 1_500;

/** Shards that move at once, at most; all where a node leaves, or has just left. */
const MOVES = 8;
const HURRY = 10_000;
/** Milliseconds before the end in which nothing moves any more, and writes of one record a second in them, at most. */
const CALM = 3_000;
const WRITES = 3;

/** What the leader's record says. */
interface LeaderValue {
  readonly token: number;
  readonly incarnation: string;
  readonly state: string;
}

/** Watches a simulation, and says what is not as it must be. */
export class Checker implements LogListener {
  readonly violations: Violation[] = [];
  readonly counts = { elections: 0, tables: 0, commits: 0, seals: 0, refusals: 0, fences: 0 };
  log!: EventLog;
  bucket!: BucketServer;
  readonly #schedule: Schedule;
  readonly #scheduler: Scheduler;
  readonly #processes: readonly Process[];
  readonly #trace: (text: string) => void;
  #token = 0;
  #tableEpoch = 0;
  #tableToken = 0;
  #table: Table | undefined;
  readonly #leaders = new Map<number, string>();
  readonly #epochs = new Map<number, number>();
  readonly #stored = new Set<string>();
  readonly #acknowledged = new Set<string>();
  /** By command: the first epoch in which it was decided without a write, and the one of which a client was told. */
  readonly #decided = new Map<string, number>();
  readonly #refused = new Map<string, number>();
  /** After a death: which shards were whose, and how long not all were owned. */
  #before: Table | undefined;
  #killed: { readonly at: number; readonly incarnation: string | undefined } | undefined;
  #recovered = 0;
  /** When a node was last seen leaving: it hurries. */
  #left = -Infinity;
  readonly #owners: (Process | undefined)[];

  constructor(
    schedule: Schedule,
    scheduler: Scheduler,
    processes: readonly Process[],
    trace: (text: string) => void,
  ) {
    this.#schedule = schedule;
    this.#scheduler = scheduler;
    this.#processes = processes;
    this.#trace = trace;
    this.#owners = Array<undefined>(schedule.shards).fill(undefined);
  }

  get #isHonest(): boolean {
    return this.#schedule.clocks === "bounded";
  }

  say(id: string, message: string): void {
    this.violations.push({ id, message, at: this.#scheduler.now });
    this.#trace(`!! ${id}: ${message}`);
  }

  /** At every step: who leads, and who owns what. */
  step(): void {
    if (!this.#isHonest) return;
    let leader: Process | undefined;
    this.#owners.fill(undefined);
    let owned = 0;
    const { created } = this.bucket;
    for (const process of this.#processes) {
      // A machine that sleeps does nothing; it looks at its clocks before it does anything again.
      if (!process.isThere || process.machine.isAsleep) continue;
      const { election, distribution, discovery } = process.node;
      // Until it renews, a node does not know that its bucket is gone; only its fences keep it from harm.
      if (discovery.presence?.bucket.created !== created) continue;
      const term = election.term;
      if (term !== undefined) {
        if (leader !== undefined) this.say("L2", `${leader.machine.life} and ${process.machine.life} both lead`);
        if (term.token < this.#token) this.say("L6", `token ${term.token} leads after ${this.#token}`);
        leader = process;
      }
      for (const shard of distribution.owned) {
        const other = this.#owners[shard];
        if (other !== undefined) {
          this.say("A3", `shard ${shard} is active on ${other.machine.life} and ${process.machine.life}`);
        }
        this.#owners[shard] = process;
        owned++;
      }
    }
    if (this.#killed !== undefined && this.#recovered === 0 && owned === this.#schedule.shards) {
      this.#recovered = this.#scheduler.now;
    }
  }

  /** Before a process dies for good. */
  onKill({ node }: Process): void {
    this.#before = this.#table;
    this.#killed = { at: this.#scheduler.now, incarnation: node.discovery.presence?.incarnation };
  }

  onJoin(): void {
    this.#before = this.#table;
  }

  /** Before a leader writes. */
  onLeaderWrite({ node, machine }: Process): void {
    if (node.election.term === undefined) this.say("L4", `${machine.life} writes as the leader, and does not lead`);
  }

  onLeader(value: unknown): void {
    const { token, incarnation, state } = value as LeaderValue;
    if (state !== "leads") return;
    const known = this.#leaders.get(token);
    if (known === undefined) {
      this.counts.elections++;
      this.#trace(`token ${token} is ${incarnation}'s`);
      if (token <= this.#token) this.say("L1", `token ${token} after ${this.#token}`);
      if (this.#schedule.isCalm && this.#scheduler.now > STARTED) this.say("V3", `token ${token}: the leader changed`);
      this.#leaders.set(token, incarnation);
    } else if (known !== incarnation) this.say("L1", `token ${token} is ${known}'s and ${incarnation}'s`);
    else if (token < this.#token) this.say("L3", `token ${token} is renewed after ${this.#token}`);
    this.#token = Math.max(this.#token, token);
  }

  /** A node is leaving, or has left at this moment. */
  onLeaving(): void {
    this.#left = this.#scheduler.now;
  }

  onTable(value: unknown, before: unknown): void {
    const table = decodeTable(value) as Table;
    this.counts.tables++;
    this.#trace(`table ${table.epoch} of token ${table.token}: ${describeRows(table)}`);
    const moves = table.rows.filter(({ next }) => next !== undefined).length;
    if (this.#processes.some(({ isLeaving }) => isLeaving)) this.onLeaving();
    if (moves > MOVES && this.#scheduler.now - this.#left > HURRY) this.say("T", `${moves} shards move at once`);
    if (table.epoch <= this.#tableEpoch) this.say("A1", `table ${table.epoch} after ${this.#tableEpoch}`);
    if (table.token < this.#tableToken) {
      this.say("L3", `a table of token ${table.token} after one of ${this.#tableToken}`);
    }
    if (this.#schedule.isCalm && this.#scheduler.now > STARTED) this.say("V3", `table ${table.epoch}: shards moved`);
    this.#tableEpoch = Math.max(this.#tableEpoch, table.epoch);
    this.#tableToken = Math.max(this.#tableToken, table.token);
    const previous = decodeTable(before);
    this.#table = table;
    if (previous === undefined || !this.#isHonest) return;
    for (const [shard, { owner }] of previous.rows.entries()) {
      if (owner === undefined || owner === table.rows[shard]?.owner) continue;
      for (const process of this.#processes) {
        if (!process.isThere || process.machine.isAsleep) continue;
        const { discovery, distribution } = process.node;
        if (discovery.presence?.incarnation !== owner || !distribution.owned.includes(shard)) continue;
        this.say("A2", `shard ${shard} is taken from ${process.machine.life}, where it is active`);
      }
    }
  }

  /** A node begins another life: its lease was lost. */
  onRejoin({ machine }: Process, lost: string | undefined, record: unknown): void {
    const { incarnation, state } = record as { readonly incarnation?: string; readonly state?: string };
    if (lost === undefined || incarnation !== lost || state === "dead" || state === "left") return;
    this.say("L5", `${machine.life} took its lease for lost, and the record is its own`);
  }

  onCommit(commit: NewCommit, last: StoredCommit | undefined): void {
    const { actorId, shard, version, epoch, events, by } = commit;
    const id = commandOf(commit);
    this.#trace(`${by} stores ${id ?? "a seal"} onto ${actorId}: version ${version}, epoch ${epoch}`);
    if (version !== (last?.version ?? 0) + events.length) this.say("A5", `${actorId} jumps to version ${version}`);
    if (epoch < (last?.epoch ?? 0)) this.say("A4", `${actorId}: epoch ${epoch} by ${by} after ${last?.epoch}`);
    const latest = this.#epochs.get(shard) ?? 0;
    if (this.#schedule.fenced && epoch < latest) {
      this.say("A4", `shard ${shard}: epoch ${epoch} by ${by} after ${latest}`);
    }
    this.#epochs.set(shard, Math.max(latest, epoch));
    if (id === undefined) {
      this.counts.seals++;
      return;
    }
    this.counts.commits++;
    if (this.#stored.has(id)) this.say("C1", `${id} is stored twice`);
    // A later owner that meets a late copy of the command knows nothing of the answer.
    if (epoch <= (this.#refused.get(id) ?? -1)) {
      this.say("C2", `${id} was answered without a write, and is stored later`);
    }
    this.#stored.add(id);
  }

  onFence(shard: number, sequence: number, by: Machine): void {
    this.counts.fences++;
    this.#trace(`${by.life} fences shard ${shard}: epoch ${sequence}`);
  }

  /** An owner decides that a command stores nothing. */
  onNone(id: string, epoch: number): void {
    this.#decided.set(id, Math.min(epoch, this.#decided.get(id) ?? Infinity));
  }

  /** A client was told what became of a command; `before`: the actor's version when it was sent. */
  onTold(id: string, actorId: string, { kind, version }: Told, before: number): void {
    this.#trace(`${id} on ${actorId}: ${kind} at ${version}`);
    if (kind === "stored") {
      if (!this.#stored.has(id)) this.say("A5", `${id} was acknowledged, and is not stored`);
      this.#acknowledged.add(id);
      return;
    }
    if (this.#schedule.isGentle && (kind === "unknown" || kind === "absent")) {
      this.say("V5", `${id} on ${actorId} failed: ${kind}`);
    }
    if (kind === "unknown") return;
    this.counts.refusals++;
    if (this.#stored.has(id)) this.say("C2", `${id} was answered ${kind}, though it is stored`);
    if (kind === "absent") return; // whoever repeats it may have it stored
    this.#refused.set(id, this.#decided.get(id) ?? -1);
    // Who does not know yet that its bucket is gone answers by what it knows.
    const isSure = this.#isHonest && this.#scheduler.now > this.bucket.renewed + FAILOVER;
    if (isSure && version !== undefined && version < before) {
      this.say("A6", `${id} was answered ${kind} at version ${version} of ${actorId}, which was at ${before} before`);
    }
  }

  /** When all has healed. */
  end(): void {
    const stored = new Set(this.log.all.map(commandOf));
    for (const id of this.#acknowledged) {
      if (!stored.has(id)) this.say("A5", `${id} was acknowledged, and is not stored in the end`);
    }
    if (!this.#isHonest) return;
    // One whose name is another's waits in vain, as it should.
    const there = this.#processes.filter(({ isThere, node }) => isThere && node.discovery.presence !== undefined);
    const names = there.map(({ machine: { name } }) => name).sort().join();
    for (const { machine, node: { discovery } } of there) {
      const seen = discovery.members.map(({ nodeId }) => nodeId).sort().join();
      if (seen !== names) this.say("D1", `${machine.life} sees ${seen} in the end, and ${names} are there`);
    }
    for (const [key, asked] of this.bucket.askedSince(this.#scheduler.now - CALM)) {
      if (asked > WRITES * CALM / 1_000) this.say("I1", `${key} is written ${asked} times in the last ${CALM} ms`);
    }
    const leaders = there.filter(({ node }) => node.election.term !== undefined);
    if (leaders.length !== 1) this.say("V2", `${leaders.length} nodes lead in the end`);
    const owners: string[] = [];
    const counts = new Map(there.map(({ machine: { name } }) => [name, 0]));
    for (let shard = 0; shard < this.#schedule.shards; shard++) {
      const owning = there.filter(({ node }) => node.distribution.owned.includes(shard));
      const active = owning.map(({ machine }) => machine.name);
      if (active.length !== 1) this.say("V2", `shard ${shard} is active on ${active.length} nodes in the end`);
      for (const name of active) counts.set(name, (counts.get(name) ?? 0) + 1);
      owners.push(active[0] ?? "");
    }
    if (this.violations.length > 0) return;
    const weights = Object.fromEntries(there.map(({ machine: { name }, weight }) => [name, weight]));
    const total = there.reduce((sum, { weight }) => sum + weight, 0);
    for (const [name, count] of counts) {
      const share = this.#schedule.shards * (weights[name] ?? 0) / total;
      if (Math.abs(count - share) >= 1) this.say("B1", `${name} has ${count} shards in the end, its share is ${share}`);
    }
    const again = assignShards(owners, [...counts.keys()].reverse(), { weights });
    if (again.some((owner, shard) => owner !== owners[shard])) this.say("B3", "the same nodes get other shards");
    this.#checkMoves();
  }

  #checkMoves(): void {
    const [before, after] = [this.#before, this.#table];
    if (before === undefined || after === undefined) return;
    // What was on its way already arrives.
    const moved = before.rows.flatMap(({ owner, next }, shard) => {
      const now = after.rows[shard]?.owner;
      return now === owner || now !== undefined && now === next ? [] : [owner];
    });
    if (this.#killed === undefined) {
      const { shards, nodes } = this.#schedule;
      const most = Math.ceil(shards / (nodes + 1));
      if (moved.length > most) this.say("B2", `${moved.length} shards moved to one that joined, not ${most}`);
      return;
    }
    const { at, incarnation } = this.#killed;
    if (moved.some((owner) => owner !== incarnation)) this.say("B2", "shards moved that were not those of the dead");
    const most = FAILOVER + (this.#schedule.rates.nudgeLoss === 1 ? WITHOUT_NUDGES : 0);
    if (this.#recovered === 0 || this.#recovered - at > most) {
      this.say("V1", `all shards were owned ${this.#recovered - at} ms after the death`);
    }
  }
}

/** The id of the command that led to a commit; undefined for a seal. */
function commandOf({ events }: Pick<NewCommit, "events">): string | undefined {
  return events[0]?.metadata?.commandId;
}

function describeRows({ rows, nodes }: Table): string {
  const name = (incarnation = ""): string => nodes.get(incarnation)?.nodeId ?? "-";
  return rows.map(({ owner, next }) => next === undefined ? name(owner) : `${name(owner)}>${name(next)}`).join(" ");
}
