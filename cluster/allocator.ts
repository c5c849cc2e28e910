import type { Entry } from "./bucket.ts";
import { KILL, livingOf, SUSPECTED } from "./discovery.ts";
import { isGone, memberOf, type MemberRecord } from "./member_record.ts";
import { nodeKey, NODES, TABLE } from "./names.ts";
import { type Known, plan, type Taker } from "./plan.ts";
import type { Presence } from "./presence.ts";
import { decodeTable, emptyTable, encodeTable, type Table } from "./table.ts";

/** Milliseconds between two looks, where nothing changes. */
const LOOK = 150;
/** Milliseconds that a node which joined has been there before it gets shards: several that join are served at once. */
const DEBOUNCE = 1_000;
/** Milliseconds after which the record of a dead node is removed, in lifetimes of a lease. */
const REMOVED = 10;

/** The leader's lease, asked at every step. */
export interface Term {
  readonly token: number;
  readonly isValid: boolean;
}

/** Who is no more. */
type Gone = Pick<MemberRecord, "nodeId" | "incarnation" | "state">;

/** A table as it was stored. */
interface Version {
  readonly revision: number;
  readonly table: Table;
}

/** What the leader does: declares the dead dead, and gives the shards to the living. Pure but for the presence. */
export class Allocator {
  readonly #presence: Presence;
  readonly #shards: number;
  /** When an incarnation that joined in this term was first seen; those before count at once. */
  readonly #joined = new Map<string, number>();

  constructor(presence: Presence, shards: number) {
    this.#presence = presence;
    this.#shards = shards;
  }

  /** Until the signal aborts. */
  async run(term: Term, signal: AbortSignal): Promise<void> {
    const { view, timeline } = this.#presence;
    for (const { member } of livingOf(view)) this.#joined.set(member.incarnation, -Infinity);
    let version: Version | undefined;
    while (!signal.aborted) {
      if (term.isValid) {
        version = this.#newest(version) ?? await this.#read();
        for (const { member } of livingOf(view)) {
          if (!this.#joined.has(member.incarnation)) this.#joined.set(member.incarnation, timeline.now());
        }
        await this.#bury(term);
        if (version !== undefined && await this.#identify(version.table, term)) {
          const written = await this.#assign(version, term);
          if (written !== "same") {
            version = written;
            continue;
          }
        }
      }
      await view.change((key) => key === TABLE || key.startsWith(NODES), LOOK, signal);
    }
  }

  /** The newer of this leader's own copy and the polled one. */
  #newest(own: Version | undefined): Version | undefined {
    if (own === undefined) return undefined;
    const seen = this.#presence.view.get(TABLE);
    const table = seen && seen.revision > own.revision ? decodeTable(seen.value) : undefined;
    return seen && table ? { revision: seen.revision, table } : own;
  }

  async #read(): Promise<Version | undefined> {
    const { bucket, view } = this.#presence;
    const entry = await bucket.read(TABLE);
    if (entry === undefined) return undefined;
    if (entry === "none") return { revision: 0, table: emptyTable(this.#shards, bucket.created) };
    view.see(entry);
    const table = decodeTable(entry.value);
    return table && { revision: entry.revision, table };
  }

  /**
   * Death is a compare-and-set: only a record that was silent for the whole time becomes one of the dead. Also removes
   * what is left of them in the end.
   */
  async #bury(term: Term): Promise<void> {
    const { view, lease, incarnation, ports: { times } } = this.#presence;
    for (const seen of view.of(NODES)) {
      const member = memberOf(seen.value);
      if (member === undefined || member.incarnation === incarnation) continue;
      const silence = lease.silence(seen);
      if (isGone(member)) {
        if (silence < times.ttl * REMOVED || !lease.isSteady() || !term.isValid) continue;
        await this.#remove(seen, member, term);
      } else if (silence > times.ttl + KILL && lease.isSteady() && term.isValid) {
        await this.#writeOff(seen, { ...member, state: "dead" }, term);
      }
    }
  }

  /**
   * Writes the record of a node that is gone once more before it is removed: a server that is killed then brings back what
   * the last write had replaced, and that must not be a node which is there.
   */
  async #remove(seen: Entry, { nodeId, incarnation, state }: Gone, term: Term): Promise<void> {
    const { bucket, view } = this.#presence;
    const found = await bucket.read(seen.key); // a leader before may have removed it
    if (found === undefined) return;
    if (found === "none") return view.forget(seen.key);
    if (found.revision > seen.revision) return view.see(found);
    const written = await this.#writeOff(found, { nodeId, incarnation, state }, term);
    if (written !== undefined && term.isValid && await bucket.remove(written)) view.forget(seen.key);
  }

  /** The record of a node that is no more, as it was stored; undefined: another was first, or it is not known. */
  async #writeOff(
    { key, revision }: Pick<Entry, "key" | "revision">,
    { nodeId, incarnation, state }: Gone,
    term: Term,
  ): Promise<Entry | undefined> {
    const { bucket, view } = this.#presence;
    if (!term.isValid) return undefined;
    // Without its nonce: it would take the record for a write of its own whose answer was lost.
    const value = { v: 1, nodeId, incarnation, state };
    const written = await bucket.write(key, value, revision);
    if (written.kind === "stored") {
      const entry = { key, revision: written.revision, value };
      view.see(entry);
      this.#presence.ports.nudges.send({ created: bucket.created, key, revision: written.revision, renewal: false });
      return entry;
    }
    const found = await bucket.read(key);
    if (found === undefined) return undefined;
    const last = found === "none" ? 0 : found.revision;
    // What was read is there no more: somebody has removed it by hand. Then that decides, if it is so still.
    if (last < Math.min(revision, view.revisionRead(key))) {
      return await this.#writeOff({ key, revision: last }, { nodeId, incarnation, state }, term);
    }
    if (found !== "none") view.correct(found);
    return undefined;
  }

  /** Whether each node of the table has a record: one without is declared dead too, so that it cannot come back. */
  async #identify({ nodes }: Table, term: Term): Promise<boolean> {
    const { view, bucket } = this.#presence;
    let isWhole = true;
    for (const [incarnation, { nodeId }] of nodes) {
      const key = nodeKey(nodeId);
      if (view.get(key) !== undefined) continue;
      const entry = await bucket.read(key);
      if (entry === "none" && term.isValid) {
        await this.#writeOff({ key, revision: 0 }, { nodeId, incarnation, state: "dead" }, term);
      } else if (entry !== undefined && entry !== "none") view.see(entry);
      isWhole &&= view.get(key) !== undefined;
    }
    return isWhole;
  }

  /** Writes the next version of the table; `"same"`: it is as it should be; undefined: it has to be read again. */
  async #assign({ revision, table }: Version, term: Term): Promise<Version | "same" | undefined> {
    const { bucket, view, ports: { nudges } } = this.#presence;
    if (table.token > term.token) return "same"; // a later leader's: this term is over, and will be told so
    const epoch = table.epoch + 1;
    const known = this.#known(table);
    const rows = plan(table, epoch, known);
    if (rows === table.rows || !term.isValid) return "same";
    const nodes = new Map(table.nodes);
    for (const { incarnation, nodeId, revision } of known.takers) {
      if (!nodes.has(incarnation)) nodes.set(incarnation, { nodeId, revision });
    }
    const value = encodeTable({ epoch, token: term.token, rows, nodes });
    const written = await bucket.write(TABLE, value, revision);
    if (written.kind !== "stored") return undefined;
    view.see({ key: TABLE, revision: written.revision, value });
    nudges.send({ created: bucket.created, key: TABLE, revision: written.revision, renewal: false });
    return { revision: written.revision, table: decodeTable(value) as Table };
  }

  #known({ nodes }: Table): Known & { readonly takers: readonly (Taker & { readonly revision: number })[] } {
    const { view, timeline, lease } = this.#presence;
    const now = timeline.now();
    const members = new Map<string, MemberRecord>();
    const takers: (Taker & { readonly revision: number })[] = [];
    for (const { seen, member } of livingOf(view)) {
      const { incarnation, nodeId, weight, state, held } = member;
      members.set(incarnation, member);
      if (state !== "up" || !(weight > 0)) continue;
      if (now - (this.#joined.get(incarnation) ?? now) < DEBOUNCE) continue;
      // A suspected node keeps what it has, and gets no more.
      if (lease.silence(seen) > SUSPECTED && held.length === 0) continue;
      takers.push({ nodeId, incarnation, weight, revision: view.revisionRead(seen.key) });
    }
    return {
      takers,
      isGone: (incarnation) => {
        const { nodeId = "", revision = 0 } = nodes.get(incarnation) ?? {};
        const key = nodeKey(nodeId);
        const record = memberOf(view.get(key)?.value);
        if (record === undefined) return false;
        if (record.incarnation === incarnation) return isGone(record);
        // Who came later took its place by compare-and-set: over one that had left, was dead, or silent for long. Who was
        // before it is what a replica has that lags.
        return view.revisionRead(key) > revision;
      },
      hasReleased: (incarnation, shard, since) => {
        const member = members.get(incarnation);
        return member !== undefined && member.applied >= since && !member.held.some(([held]) => held === shard);
      },
      isLeaving: (incarnation) => members.get(incarnation)?.state === "leaving",
    };
  }
}
