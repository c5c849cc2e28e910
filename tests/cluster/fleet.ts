/** Nodes in processes of their own, and what they have told of their shards. */
import type { Runtime } from "../../tasks/runtimes.ts";
import { Child } from "../support/child.ts";
import { until } from "../support/jetstream.ts";
import type { Order, Said, WorkerOptions, WorkerStats, WorkerStatus } from "./worker.ts";

const SCRIPT = new URL("worker.ts", import.meta.url);
/** In turn. */
const RUNTIMES: readonly Runtime[] = ["deno", "bun", "node"];

/** A change to a shard, as its node told of it. */
export interface ShardStep {
  readonly node: FleetNode;
  readonly at: number;
  readonly type: "shardAcquired" | "shardRevoking" | "shardReleased";
  readonly shard: number;
  readonly epoch: number;
}

/** A node in a process of its own. */
export class FleetNode {
  readonly nodeId: string;
  readonly child: Child<Said>;
  /** Told to leave, or killed. */
  isGone = false;
  readonly #steps: ShardStep[] = [];
  readonly #owned = new Map<number, number>();
  #seen = 0;

  constructor(nodeId: string, child: Child<Said>) {
    this.nodeId = nodeId;
    this.child = child;
  }

  /** Resolves once it is a member; rejects with what joining failed with. */
  async ready(): Promise<void> {
    await this.child.heard((said) => {
      if (said.kind === "failed") throw Object.assign(new Error(said.message), { code: said.code });
      return said.kind === "ready" ? true : undefined;
    });
  }

  status(): Promise<WorkerStatus> {
    return this.#ask("status") as Promise<WorkerStatus>;
  }

  stats(): Promise<WorkerStats> {
    return this.#ask("stats") as Promise<WorkerStats>;
  }

  async resign(): Promise<{ readonly began: number; readonly ended: number }> {
    return await this.#ask("resign") as { began: number; ended: number };
  }

  /** Lets what its handlers hold back go on. */
  async go(): Promise<void> {
    await this.#ask("go");
  }

  async leave(): Promise<void> {
    this.isGone = true;
    await this.#ask("leave");
    await this.child.ended;
  }

  async kill(): Promise<void> {
    this.isGone = true;
    await this.child.kill();
  }

  /** What it has told of its shards. */
  get steps(): readonly ShardStep[] {
    this.#read();
    return this.#steps;
  }

  /** The shards that it owns, as far as it has told, and their epochs. */
  get owned(): ReadonlyMap<number, number> {
    this.#read();
    return this.#owned;
  }

  /** What it has said since the last look. */
  #read(): void {
    const { said } = this.child;
    for (; this.#seen < said.length; this.#seen++) {
      const line = said[this.#seen] as Said;
      if (line.kind !== "change" || !("shard" in line.change)) continue;
      const { type, shard, epoch } = line.change;
      this.#steps.push({ node: this, at: line.at, type, shard, epoch });
      if (type === "shardAcquired") this.#owned.set(shard, epoch);
      else if (this.#owned.get(shard) === epoch) this.#owned.delete(shard);
    }
  }

  #ask(what: Order["do"]): Promise<unknown> {
    return this.child.ask({ do: what });
  }
}

/** All nodes of a namespace. */
export class Fleet implements AsyncDisposable {
  readonly nodes: FleetNode[] = [];
  readonly #options: Omit<WorkerOptions, "nodeId">;
  readonly #shards: number;
  #started = 0;

  constructor(options: Omit<WorkerOptions, "nodeId">, shards: number) {
    this.#options = options;
    this.#shards = shards;
  }

  /** Those that are neither told to leave nor killed. */
  get living(): FleetNode[] {
    return this.nodes.filter(({ isGone }) => !isGone);
  }

  async start(nodeId: string, runtime?: Runtime, options: Partial<WorkerOptions> = {}): Promise<FleetNode> {
    const on = runtime ?? RUNTIMES[this.#started++ % RUNTIMES.length] as Runtime;
    const node = new FleetNode(nodeId, await Child.start<Said>(on, SCRIPT, { ...this.#options, ...options, nodeId }));
    this.nodes.push(node);
    return node;
  }

  /** Resolves once all shards have one owner each, and none of the living has more than one more than another. */
  async settled(seconds = 30): Promise<void> {
    await until(() => this.isSettled(), seconds).catch((error) => {
      const facts = this.living.map(({ nodeId, owned, child }) => `${nodeId} (${child.runtime}): ${owned.size}`);
      throw new Error(`${error.message}; ${facts.join(", ")} of ${this.#shards}`);
    });
  }

  isSettled(): boolean {
    const counts = this.living.map(({ owned }) => owned.size);
    const owned = new Set(this.living.flatMap(({ owned }) => [...owned.keys()]));
    const sum = counts.reduce((sum, count) => sum + count, 0);
    return owned.size === this.#shards && sum === this.#shards && Math.max(...counts) - Math.min(...counts) <= 1;
  }

  /** All that was told of shards, by time. */
  steps(since = 0): ShardStep[] {
    return this.nodes.flatMap(({ steps }) => steps).filter(({ at }) => at >= since).sort((a, b) => a.at - b.at);
  }

  /** When nodes ceased to begin anything new on a shard, by shard. */
  revoked(since: number): Map<number, number[]> {
    const all = this.nodes.flatMap(({ child }) => child.said).filter((said) => said.kind === "revoked");
    const times = all.filter(({ at }) => at >= since).sort((one, other) => one.at - other.at);
    return new Map(
      [...Map.groupBy(times, ({ shard }) => shard)].map(([shard, all]) => [shard, all.map(({ at }) => at)]),
    );
  }

  /** Who leads, as the living see it: waits until they agree. */
  async leader(): Promise<{ readonly node: FleetNode; readonly token: number }> {
    let found: { node: FleetNode; token: number } | undefined;
    await until(async () => {
      const leaders = (await Promise.all(this.living.map((node) => node.status()))).map(({ leader }) => leader);
      const [first] = leaders;
      const node = this.living.find(({ nodeId }) => nodeId === first?.nodeId);
      if (first && node && leaders.every((one) => one?.token === first.token)) found = { node, token: first.token };
      return found !== undefined;
    }, 30);
    return found as { node: FleetNode; token: number };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map(({ child }) => child.kill()));
  }
}
