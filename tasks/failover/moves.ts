/** Nodes that join and leave in order, under load. */
import { now } from "../../tests/history/history.ts";
import { until } from "../../tests/support/jetstream.ts";
import type { FleetNode } from "../../tests/cluster/fleet.ts";
import type { Bar, Figures } from "./figures.ts";
import { type Scene, SHARDS } from "./scene.ts";

const NONE: readonly Bar[] = [{ of: "max", most: 0 }];
const PAUSE: readonly Bar[] = [{ of: "p99", most: 250 }];

/** A node joins and leaves again. */
export async function joinAndLeave(scene: Scene, figures: Figures, nodeId: string): Promise<void> {
  const node = await join(scene, figures, nodeId);
  await leave(scene, figures, node);
}

/** Each node in turn leaves and comes back under its id. */
export async function rollingRestart(scene: Scene, figures: Figures, restarts: number): Promise<void> {
  const ids = scene.fleet.living.map(({ nodeId }) => nodeId);
  for (let count = 0; count < restarts; count++) {
    const nodeId = ids[count % ids.length] as string;
    const node = scene.fleet.living.find((one) => one.nodeId === nodeId) as FleetNode;
    await leave(scene, figures, node, "rolling restart");
    await join(scene, figures, nodeId, "rolling restart");
  }
}

async function join(scene: Scene, figures: Figures, nodeId: string, what = "join"): Promise<FleetNode> {
  const { fleet, where } = scene;
  const optimum = Math.floor(SHARDS / (fleet.living.length + 1));
  const began = now();
  const node = await fleet.start(nodeId);
  await node.ready();
  await fleet.settled();
  const steps = fleet.steps(began);
  const moved = steps.filter(({ type }) => type === "shardAcquired");
  const away = moved.filter((step) => step.node !== node).length;
  figures.add(`${what}: shards moved beyond the optimum`, where, "shards", NONE, [moved.length - optimum + away]);
  report(scene, figures, began);
  return node;
}

async function leave(scene: Scene, figures: Figures, node: FleetNode, what = "leave"): Promise<void> {
  const { fleet, where } = scene;
  const lost = [...node.owned.keys()];
  const began = now();
  await node.leave();
  await until(() => fleet.isSettled(), 30);
  const steps = fleet.steps(began);
  const moved = steps.filter(({ type }) => type === "shardAcquired");
  const others = moved.filter(({ shard }) => !lost.includes(shard)).length;
  figures.add(`${what}: shards moved beyond the leaver's`, where, "shards", NONE, [
    Math.max(others, Math.abs(moved.length - lost.length)),
  ]);
  report(scene, figures, began);
}

/** From the moment at which nothing new begins on the old owner, until the new one begins. */
function report({ fleet, where }: Scene, figures: Figures, since: number): void {
  const revoked = fleet.revoked(since);
  const pauses = fleet.steps(since).filter(({ type }) => type === "shardAcquired").flatMap(({ shard, at }) => {
    const before = revoked.get(shard)?.findLast((time) => time <= at);
    return before === undefined ? [] : [at - before];
  });
  figures.add("hand-off: pause of a shard", where, "ms", PAUSE, pauses);
}
