import type { Entry, Written } from "../../cluster/bucket.ts";
import { EPOCH } from "./machine.ts";
import type { Scheduler } from "./scheduler.ts";

/** Milliseconds after which nobody asks for an older version any more. */
const KEPT = 5_000;

/** A record as it was from a moment on; `value` undefined: it was removed. */
interface Version {
  readonly at: number;
  readonly revision: number;
  readonly value: unknown;
}

/** Told of each write that was stored. */
export type OnStored = (key: string, value: unknown, before: unknown) => void;

/** The bucket as its servers have it. */
export class BucketServer {
  /** Milliseconds since 1970: its identity. */
  created: number;
  /** When it was made anew, by true time. */
  renewed = -Infinity;
  readonly #scheduler: Scheduler;
  readonly #onStored: OnStored;
  /** When it was asked to write or to remove a record, by true time. */
  readonly #asked: { readonly key: string; readonly at: number }[] = [];
  #revision = 0;
  #records = new Map<string, Version[]>();
  /** What the last write of a record replaced. */
  #replaced = new Map<string, Version>();
  /** What is back on one replica, and not on the others. */
  #ghosts = new Map<string, Version>();

  constructor(scheduler: Scheduler, onStored: OnStored) {
    this.#scheduler = scheduler;
    this.#onStored = onStored;
    this.created = EPOCH;
  }

  /** Deletes it and makes it anew. */
  recreate(): void {
    this.#records = new Map();
    this.#replaced = new Map();
    this.#ghosts = new Map();
    this.#revision = 0;
    this.renewed = this.#scheduler.now;
    this.created = Math.max(this.created + 1, EPOCH + Math.floor(this.#scheduler.now));
  }

  /**
   * A server is killed, or all are: what a removed record had replaced is back. Its file has the removal, and nothing of
   * what the limit of one message a subject pushed out: `tests/platform/cluster_test.ts`.
   */
  kill(isWhole: boolean): void {
    for (const [key, replaced] of this.#replaced) {
      if (this.#at(key, Infinity)?.value !== undefined) continue;
      if (isWhole) this.#put(key, { ...replaced, at: this.#scheduler.now });
      else this.#ghosts.set(key, replaced);
      this.#replaced.delete(key);
    }
  }

  /** How often it was asked to write or to remove each record since then. */
  askedSince(time: number): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const { key, at } of this.#asked) if (at >= time) counts.set(key, (counts.get(key) ?? 0) + 1);
    return counts;
  }

  write(key: string, value: unknown, revision: number): Written {
    this.#asked.push({ key, at: this.#scheduler.now });
    const last = this.#at(key, Infinity);
    const current = last?.value === undefined ? 0 : last.revision;
    if (current !== revision) return { kind: "conflict", revision: current };
    if (current !== 0 && last !== undefined) this.#replaced.set(key, last);
    else this.#replaced.delete(key);
    this.#ghosts.delete(key);
    this.#put(key, { at: this.#scheduler.now, revision: ++this.#revision, value });
    const stored = this.#revision;
    this.#onStored(key, value, last?.value);
    return { kind: "stored", revision: stored };
  }

  remove(key: string, revision: number): boolean {
    this.#asked.push({ key, at: this.#scheduler.now });
    const last = this.#at(key, Infinity);
    if (last?.value === undefined) return true;
    if (last.revision !== revision) return false;
    this.#put(key, { at: this.#scheduler.now, revision, value: undefined });
    return true;
  }

  /** By hand, whatever its revision is. */
  erase(key: string): void {
    const last = this.#at(key, Infinity);
    if (last?.value !== undefined) {
      this.#put(key, { at: this.#scheduler.now, revision: last.revision, value: undefined });
    }
  }

  read(key: string, asOf = Infinity): Entry | "none" {
    const version = this.#at(key, asOf);
    if (version?.value === undefined) return "none";
    const storedAt = new Date(EPOCH + version.at).toISOString();
    return { key, revision: version.revision, value: version.value, storedAt };
  }

  /** `isKilled`: what the replica has that was killed. */
  readAll(prefix: string, asOf: number, isKilled: boolean): Entry[] {
    const entries: Entry[] = [];
    for (const key of this.#records.keys()) {
      if (!key.startsWith(prefix)) continue;
      const entry = this.read(key, asOf);
      const ghost = isKilled ? this.#ghosts.get(key) : undefined;
      if (entry !== "none") entries.push(entry);
      else if (ghost !== undefined) entries.push({ key, revision: ghost.revision, value: ghost.value });
    }
    return entries;
  }

  #at(key: string, asOf: number): Version | undefined {
    return this.#records.get(key)?.findLast(({ at }) => at <= asOf);
  }

  #put(key: string, version: Version): void {
    const versions = this.#records.get(key) ?? [];
    this.#records.set(key, versions);
    versions.push(version);
    while (versions.length > 1 && (versions[1] as Version).at < this.#scheduler.now - KEPT) versions.shift();
  }
}
