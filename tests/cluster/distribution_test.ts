import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  Cluster,
  type DistributionJoinOptions,
  JetStreamEventStore,
  LeaderElection,
  NodeDiscovery,
  type OwnedShard,
  ShardDistribution,
} from "../../mod.ts";
import { until } from "../support/jetstream.ts";
import { readLedger } from "./ledger.ts";
import { serverOf } from "./support/place.ts";

const SHARDS = 16;

/** An acquisition or a release, in the order in which they came. */
interface Step {
  readonly what: "begin" | "end";
  readonly nodeId: string;
  readonly shard: number;
  readonly epoch: number;
}

describe("shards", () => {
  const at = serverOf();

  /** Nodes that write down what they are given, in one list for all. */
  class Nodes implements AsyncDisposable {
    readonly namespace: string = at.namespace();
    readonly steps: Step[] = [];
    readonly all: Cluster[] = [];
    /** What work waits for before it returns. */
    hold: Promise<void> = Promise.resolve();

    async open(): Promise<this> {
      await using _store = await JetStreamEventStore.open(at.nc, { namespace: this.namespace, shards: SHARDS });
      return this;
    }

    async join(nodeId: string, weight = 1): Promise<Cluster> {
      const cluster = await Cluster.join(at.nc, { namespace: this.namespace, nodeId, weight });
      this.all.push(cluster);
      cluster.onShard(async ({ shard, fence: { epoch }, signal }: OwnedShard) => {
        this.steps.push({ what: "begin", nodeId, shard, epoch });
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        await this.hold;
        this.steps.push({ what: "end", nodeId, shard, epoch });
      });
      return cluster;
    }

    /** Resolves once each of these has so many. */
    async share(...counts: readonly (readonly [Cluster, number])[]): Promise<void> {
      await until(() => counts.every(([cluster, count]) => cluster.ownedShards.size === count), 20);
      const owned = counts.flatMap(([cluster]) => [...cluster.ownedShards]);
      assert.deepEqual(owned.sort((a, b) => a - b), Array.from({ length: SHARDS }, (_, shard) => shard));
      await until(() => counts.every(([{ nodeId }, count]) => this.#running(nodeId) === count));
    }

    /** A shard is begun only once the owner before has returned, and under a higher epoch. */
    verify(): void {
      const owners = new Map<number, { nodeId: string; epoch: number; isOver: boolean }>();
      for (const { what, nodeId, shard, epoch } of this.steps) {
        const last = owners.get(shard);
        if (what === "end") assert.deepEqual(last, { nodeId, epoch, isOver: false });
        else assert.ok(last === undefined || last.isOver && last.epoch < epoch, `shard ${shard} was begun too early`);
        owners.set(shard, { nodeId, epoch, isOver: what === "end" });
      }
    }

    #running(nodeId: string): number {
      const own = this.steps.filter((step) => step.nodeId === nodeId);
      return own.reduce((count, { what }) => count + (what === "begin" ? 1 : -1), 0);
    }

    async [Symbol.asyncDispose](): Promise<void> {
      await Promise.all(this.all.map((cluster) => cluster.leave()));
    }
  }

  it("are balanced; joining and leaving move as few as that allows, and none is ever owned twice", async () => {
    await using nodes = await new Nodes().open();
    const a = await nodes.join("a");
    await nodes.share([a, 16]);
    const b = await nodes.join("b");
    await nodes.share([a, 8], [b, 8]);
    const c = await nodes.join("c");
    await until(() => c.ownedShards.size >= 5);
    await until(() => a.ownedShards.size + b.ownedShards.size + c.ownedShards.size === SHARDS);
    const sizes = [a, b, c].map(({ ownedShards: { size } }) => size).sort();
    assert.deepEqual(sizes, [5, 5, 6]);
    const begun = (id: string): number =>
      nodes.steps.filter(({ what, nodeId }) => what === "begin" && nodeId === id).length;
    // 16 and 8 and 5: what the one who joins gets, and nothing else.
    assert.deepEqual([begun("a"), begun("b"), begun("c")], [16, 8, 5]);
    const [lost, before] = [c.ownedShards.size, nodes.steps.length];
    await c.leave();
    await nodes.share([a, 8], [b, 8]);
    const moved = nodes.steps.slice(before).filter(({ what }) => what === "begin");
    assert.equal(moved.length, lost);
    nodes.verify();
    const { fences } = await readLedger(at.nc, nodes.namespace);
    for (const [shard, sequences] of fences) {
      const epochs = nodes.steps.filter((step) => step.shard === shard && step.what === "begin").map(({ epoch }) =>
        epoch
      );
      assert.deepEqual(epochs, sequences);
    }
  });

  it("go by weight, and to nodes that do something for them only", async () => {
    await using nodes = await new Nodes().open();
    const idle = await Cluster.join(at.nc, { namespace: nodes.namespace, nodeId: "idle" });
    nodes.all.push(idle);
    const [a, b] = await Promise.all([nodes.join("a", 3), nodes.join("b")]);
    await nodes.share([a, 12], [b, 4], [idle, 0]);
    nodes.verify();
  });

  it("are given up only once their work has returned", async () => {
    await using nodes = await new Nodes().open();
    const a = await nodes.join("a");
    await nodes.share([a, SHARDS]);
    const { promise, resolve } = Promise.withResolvers<void>();
    nodes.hold = promise;
    const b = await nodes.join("b");
    await until(() => a.ownedShards.size < SHARDS);
    const table = b.status();
    assert.ok(table.shards.every(({ owner }) => owner === "a"));
    assert.equal(b.ownedShards.size, 0);
    resolve();
    await nodes.share([a, 8], [b, 8]);
    nodes.verify();
  });

  it("come back after the bucket was deleted, to the same nodes, under higher epochs and tokens", async () => {
    await using nodes = await new Nodes().open();
    const [a, b] = await Promise.all([nodes.join("a"), nodes.join("b")]);
    await nodes.share([a, 8], [b, 8]);
    const token = a.status().leader?.token ?? Infinity;
    const count = nodes.steps.length;
    await at.nc.request(`$JS.API.STREAM.DELETE.KV_AETHER_${nodes.namespace}_cluster`, "", { timeout: 5_000 });
    await until(() => nodes.steps.slice(count).filter(({ what }) => what === "begin").length === SHARDS, 20);
    await nodes.share([a, 8], [b, 8]);
    await until(() => (b.status().leader?.token ?? 0) > token);
    assert.deepEqual(b.status().nodes.map(({ nodeId, state }) => [nodeId, state]), [["a", "up"], ["b", "up"]]);
    nodes.verify();
  });

  it("are handed out without a Cluster, by discovery and election of one's own", async () => {
    const namespace = at.namespace();
    await using _store = await JetStreamEventStore.open(at.nc, { namespace, shards: SHARDS });
    await using discovery = await NodeDiscovery.join(at.nc, { namespace });
    await using election = await LeaderElection.campaign(at.nc, { namespace, name: "mine" });
    await using distribution = await ShardDistribution.join(at.nc, { namespace, discovery, election, fenced: true });
    const fences = new Set<boolean>();
    const begun = new Set<number>();
    await using _work = distribution.onShard(async ({ shard, fence, signal }) => {
      fences.add(fence.checked);
      begun.add(shard);
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    });
    await until(() => begun.size === SHARDS && distribution.ownedShards.size === SHARDS);
    assert.deepEqual([...fences], [true]);

    await using heavier = await NodeDiscovery.join(at.nc, { namespace });
    await using voter = await LeaderElection.campaign(at.nc, { namespace, name: "mine" });
    const parts = { namespace, discovery: heavier, election: voter };
    const other = await NodeDiscovery.join(at.nc, { namespace: at.namespace() });
    const wrong: [unknown, string][] = [
      [{ ...parts, weight: 0 }, "weight"],
      [{ ...parts, discovery: undefined }, "discovery"],
      [{ ...parts, discovery: other }, "discovery"],
      [{ ...parts, election: other }, "election"],
      [{ ...parts, discovery }, "discovery"], // takes part already
    ];
    for (const [options, argument] of wrong) {
      const joining = ShardDistribution.join(at.nc, options as DistributionJoinOptions);
      await assert.rejects(joining, { code: "INVALID_ARGUMENT", argument });
    }
    await other.leave();
    await using more = await ShardDistribution.join(at.nc, { ...parts, weight: 3 });
    await using _more = more.onShard(({ signal }) => new Promise((resolve) => (signal.onabort = () => resolve())));
    await until(() => more.ownedShards.size === 12 && distribution.ownedShards.size === 4);

    const running = new Set<number>();
    await using _other = more.onShard(async ({ shard, signal }) => {
      running.add(shard);
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      running.delete(shard);
    });
    await until(() => running.size === 12);
    await more[Symbol.asyncDispose]();
    assert.equal(running.size, 0, "its work had not returned");
    await until(() => distribution.ownedShards.size === SHARDS);
  });
});
