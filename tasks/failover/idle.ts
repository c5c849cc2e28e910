/** What nodes cost that have nothing to do. */
import { setTimeout as delay } from "node:timers/promises";
import type { Bar, Figures } from "./figures.ts";
import type { Scene } from "./scene.ts";

const WRITES: readonly Bar[] = [{ of: "max", most: 3 }];
const MESSAGES: readonly Bar[] = [{ of: "max", most: 5 }];

/** For so many seconds. */
export async function idle(scene: Scene, figures: Figures, seconds: number): Promise<void> {
  const { fleet, where } = scene;
  const stats = (): ReturnType<typeof nodes[0]["stats"]>[] => nodes.map((node) => node.stats());
  const nodes = fleet.living;
  const [before, writes] = [await Promise.all(stats()), await scene.writes()];
  await delay(seconds * 1_000);
  const [after, writesAfter] = [await Promise.all(stats()), await scene.writes()];
  const took = ((after[0]?.at ?? 0) - (before[0]?.at ?? 0)) / 1_000;
  figures.add("idle: KV writes per node", where, "1/s", WRITES, [(writesAfter - writes) / took / nodes.length]);
  figures.add(
    "idle: messages sent per node",
    where,
    "1/s",
    MESSAGES,
    after.map(({ sent }, index) => (sent - (before[index]?.sent ?? 0)) / took),
  );
}
