/** Nodes that are killed, or stand still. */
import { now } from "../../tests/history/history.ts";
import { until } from "../../tests/support/jetstream.ts";
import type { FleetNode } from "../../tests/cluster/fleet.ts";
import type { Bar, Figures } from "./figures.ts";
import type { Scene } from "./scene.ts";

const CRASH: readonly Bar[] = [{ of: "p50", most: 5_000 }, { of: "max", most: 6_000 }];
const NONE: readonly Bar[] = [{ of: "max", most: 0 }];
/** Milliseconds: two leases. */
const STANDSTILL = 9_000;

/** Kills a node, or the leader; it comes back under its id. */
export async function crash(scene: Scene, figures: Figures, which: "node" | "leader"): Promise<void> {
  const { fleet, where } = scene;
  const victim = await victimOf(scene, which);
  const lost = [...victim.owned.keys()];
  const began = now();
  const killed = victim.kill();
  const { last, more } = await taken(scene, victim, lost, began);
  await killed;
  figures.add(`kill -9 of ${which === "leader" ? "the leader" : "a node"} → all shards owned`, where, "ms", CRASH, [
    last - began,
  ]);
  figures.add("shards moved beyond those of a killed node", where, "shards", NONE, [more]);
  await (await fleet.start(victim.nodeId)).ready();
  await fleet.settled();
}

/** Stops a node for two leases, under load. */
export async function standstill(scene: Scene, figures: Figures): Promise<void> {
  const { fleet, where } = scene;
  const victim = await victimOf(scene, Math.random() < 0.5 ? "node" : "leader");
  const lost = [...victim.owned.keys()];
  const began = now();
  victim.isGone = true; // for as long as it stands still
  victim.child.signal("SIGSTOP");
  const { last, more } = await taken(scene, victim, lost, began);
  figures.add("SIGSTOP of a node → all shards owned", where, "ms", CRASH, [last - began]);
  figures.add("shards moved beyond those of a stopped node", where, "shards", NONE, [more]);
  await until(() => now() > began + STANDSTILL, 20);
  victim.child.signal("SIGCONT");
  victim.isGone = false;
  await fleet.settled();
}

async function victimOf({ fleet }: Scene, which: "node" | "leader"): Promise<FleetNode> {
  const { node: leader } = await fleet.leader();
  const others = fleet.living.filter((node) => node !== leader);
  return which === "leader" ? leader : others[Math.floor(Math.random() * others.length)] as FleetNode;
}

/** When the last of the lost shards was owned again, and how many others moved. */
async function taken(
  { fleet }: Scene,
  victim: FleetNode,
  lost: readonly number[],
  since: number,
): Promise<{ readonly last: number; readonly more: number }> {
  const acquired = (): { at: number; shard: number }[] =>
    fleet.steps(since).filter(({ node, type }) => node !== victim && type === "shardAcquired");
  await until(() => {
    const shards = new Set(acquired().map(({ shard }) => shard));
    return lost.every((shard) => shards.has(shard));
  }, 60);
  const own = acquired().filter(({ shard }) => lost.includes(shard));
  return { last: Math.max(...own.map(({ at }) => at)), more: acquired().length - lost.length };
}
