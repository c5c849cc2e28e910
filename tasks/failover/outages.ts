/** NATS goes away: nothing moves. */
import { now } from "../../tests/history/history.ts";
import { until } from "../../tests/support/jetstream.ts";
import type { Bar, Figures } from "./figures.ts";
import type { Scene } from "./scene.ts";

const NONE: readonly Bar[] = [{ of: "max", most: 0 }];
/** Milliseconds: more than a lease lasts. */
const OUTAGE = 6_000;

/** All servers stand still for longer than a lease lasts. */
export async function outage(scene: Scene, figures: Figures): Promise<void> {
  await without(scene, figures, "an outage of NATS > TTL", async () => {
    const began = now();
    await Promise.all(scene.servers.map((server) => server.pause()));
    await until(() => now() > began + OUTAGE);
    await Promise.all(scene.servers.map((server) => server.resume()));
    return () => Promise.resolve();
  });
}

/** The server dies that leads the bucket's stream. */
export async function serverCrash(scene: Scene, figures: Figures): Promise<void> {
  await without(scene, figures, "kill of the NATS leader", async () => {
    const server = await scene.bucketLeader();
    await server.kill();
    return () => server.restart();
  });
}

async function without(
  scene: Scene,
  figures: Figures,
  what: string,
  strike: () => Promise<() => Promise<void>>,
): Promise<void> {
  const { fleet, where } = scene;
  const before = await fleet.leader();
  const began = now();
  const heal = await strike();
  const isBack = async (): Promise<boolean> => {
    const all = await Promise.all(fleet.living.map((node) => node.status()));
    return all.every(({ channels, owned }) => channels.store === "ok" && owned.length > 0);
  };
  await until(isBack, 60);
  figures.add(`${what} → all may act again`, where, "ms", [], [now() - began]);
  await heal();
  await until(isBack, 60);
  const moved = fleet.steps(began).filter(({ type }) => type === "shardAcquired").length;
  const { token } = await fleet.leader();
  figures.add(`${what}: shards moved`, where, "shards", NONE, [moved]);
  figures.add(`${what}: changes of the leader`, where, "tokens", NONE, [token - before.token]);
}
