import { commandIdOf } from "../schema/base_store.ts";
import type { CommandRecord, Snapshot } from "../snapshot/snapshot_store.ts";
import type { Commit } from "../store/event_store.ts";

/** How many commits back a command is known by its id, at least. */
export const REMEMBERED_COMMANDS = 100;

/** Whether it is a text of 1 to 128 characters. */
export function isCommandId(id: unknown): id is string {
  return typeof id === "string" && id !== "" && id.length <= 128;
}

/** The ids of the commands that led to the last commits of an actor. */
export class RecentCommands {
  readonly #records: CommandRecord[];
  /** How many commits it covers; Infinity: all since the first, or as many as are remembered. */
  #commits: number;

  private constructor(records: readonly CommandRecord[], commits: number) {
    this.#records = [...records];
    this.#commits = commits;
  }

  /** Of an actor whose history is folded from its first commit on. */
  static ofAll(): RecentCommands {
    return new RecentCommands([], Infinity);
  }

  /** As far as a snapshot carries them. */
  static ofSnapshot({ commands }: Snapshot): RecentCommands {
    return commands === undefined ? new RecentCommands([], 0) : new RecentCommands(commands, Infinity);
  }

  /** Those of some commits, which are the last or all. */
  static ofLast(commits: Iterable<Commit>): RecentCommands {
    const recent = RecentCommands.ofAll();
    for (const commit of commits) recent.add(commit);
    return recent;
  }

  /** Whether at least the last 100 commits are covered, or all. */
  get isWhole(): boolean {
    return this.#commits >= REMEMBERED_COMMANDS;
  }

  /** The last 100 ids, oldest first. */
  get records(): readonly CommandRecord[] {
    return this.#records.slice(-REMEMBERED_COMMANDS);
  }

  /** Takes the next commit; gives its record if a command led to it. */
  add(commit: Commit): CommandRecord | undefined {
    this.#commits++;
    const id = commandIdOf(commit);
    if (!isCommandId(id)) return undefined; // an append may have put anything there
    const record = { id, version: commit.version, position: commit.position };
    // Cut at twice the number, so that not every addition moves them all.
    if (this.#records.push(record) > 2 * REMEMBERED_COMMANDS) this.#records.splice(0, REMEMBERED_COMMANDS);
    return record;
  }

  /** The commit that a command led to. */
  find(id: string): CommandRecord | undefined {
    return this.#records.findLast((record) => record.id === id);
  }
}
