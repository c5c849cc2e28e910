/**
 * `deno task failover [--quick] [--replicas 1,3] [--only idle,resign,move,crash,outage]`: nodes on Deno, Bun and Node, each a process of its own, are killed,
 * stopped, restarted, joined and left, and so is NATS, under commands without rest. Prints how long each takes and how
 * many shards move, beside the bars; in the end all of it is verified from the stream.
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { crash, standstill } from "./failover/crashes.ts";
import { Figures } from "./failover/figures.ts";
import { idle } from "./failover/idle.ts";
import { joinAndLeave, rollingRestart } from "./failover/moves.ts";
import { outage, serverCrash } from "./failover/outages.ts";
import { resignations } from "./failover/resignations.ts";
import { Scene } from "./failover/scene.ts";

const { values } = parseArgs({
  options: { quick: { type: "boolean" }, replicas: { type: "string" }, only: { type: "string" } },
});
const asks = (part: string): boolean => values.only === undefined || values.only.split(",").includes(part);
const NODES = ["a", "b", "c", "d"];

/** How often each thing happens. */
interface Plan {
  readonly crashes: number;
  readonly leaderCrashes: number;
  readonly standstills: number;
  readonly joins: number;
  readonly restarts: number;
  readonly outages: number;
  readonly serverCrashes: number;
  readonly resignations: number;
  readonly idleSeconds: number;
}

const FULL: Plan = {
  crashes: 10,
  leaderCrashes: 10,
  standstills: 2,
  joins: 5,
  restarts: 6,
  outages: 2,
  serverCrashes: 3,
  resignations: 100,
  idleSeconds: 15,
};
const QUICK: Plan = {
  crashes: 0,
  leaderCrashes: 1,
  standstills: 0,
  joins: 1,
  restarts: 3,
  outages: 0,
  serverCrashes: 0,
  resignations: 20,
  idleSeconds: 3,
};

/** All of a plan on servers of one kind; gives what is wrong with what was stored. */
async function play(replicas: 1 | 3, plan: Plan, figures: Figures): Promise<string[]> {
  // Both strengths: what is free on one server, checked fences on three.
  await using scene = await Scene.open(replicas, replicas === 3, plan === QUICK ? NODES.slice(1) : NODES);
  const say = (what: string): void => console.log(`${scene.where}: ${what}`);
  const times = async (count: number, what: string, work: (index: number) => Promise<void>): Promise<void> => {
    for (let index = 1; index <= count; index++) {
      await work(index);
      say(`${what} ${index} of ${count}`);
    }
  };
  if (asks("idle")) await idle(scene, figures, plan.idleSeconds);
  if (asks("resign")) await resignations(scene, figures, plan.resignations);
  say("idle, and resigned");
  const moving = scene.work();
  if (asks("move")) {
    await times(plan.joins, "joined and left", (index) => joinAndLeave(scene, figures, `more-${index}`));
    await rollingRestart(scene, figures, plan.restarts);
    say(`restarted ${plan.restarts}`);
    figures.add("commands while nodes join and leave", scene.where, "ms", [], moving.latencies);
    figures.add("… that failed", scene.where, "commands", [{ of: "max", most: 0 }], [moving.failed.length]);
  }
  if (asks("crash")) {
    await times(plan.crashes, "killed", () => crash(scene, figures, "node"));
    await times(plan.leaderCrashes, "killed the leader", () => crash(scene, figures, "leader"));
    await times(plan.standstills, "stopped", () => standstill(scene, figures));
  }
  if (asks("outage")) {
    await times(plan.outages, "outage", () => outage(scene, figures));
    if (replicas === 3) await times(plan.serverCrashes, "killed the NATS leader", () => serverCrash(scene, figures));
  }
  await scene.rest();
  const wrong = await scene.verify();
  say(`${scene.acknowledged.length} commands acknowledged, ${scene.failed.length} failed, ${wrong.length} violations`);
  await Promise.all(scene.fleet.living.map((node) => node.leave()));
  return wrong;
}

const plan = values.quick ? QUICK : FULL;
const kinds = values.replicas ?? (values.quick ? "1" : "1,3");
const figures = new Figures();
const wrong: string[] = [];
const began = performance.now();
for (const replicas of kinds.split(",").map(Number)) {
  wrong.push(...await play(replicas === 3 ? 3 : 1, plan, figures));
}
console.log(`\n${figures}\n`);
for (const what of wrong.slice(0, 20)) console.log(what);
const { missed } = figures;
for (const what of missed) console.log(`missed: ${what}`);
const seconds = ((performance.now() - began) / 1_000).toFixed(0);
console.log(`failover: ${seconds} s, ${missed.length} bars missed, ${wrong.length} violations`);
process.exitCode = missed.length + wrong.length === 0 ? 0 : 1;
