import { shardOf } from "../../store/shard.ts";
import type { Command } from "./counter.ts";
import type { Machine } from "./machine.ts";
import type { World } from "./world.ts";

/** Milliseconds that one try may take, and a command with all its tries. */
const TRY = 1_500;
const PATIENCE = 10_000;
/** Milliseconds before the end at which no more commands are begun. */
const REST = 800;
/** Actors of each shard. */
const ACTORS = 2;

/** Who sends commands, one after the other, until they are answered. */
export class Clients {
  readonly #machine: Machine;
  readonly #world: World;
  readonly #random: () => number;
  readonly #actors: Command["actorId"][];
  #count = 0;

  constructor(machine: Machine, world: World, random: () => number) {
    this.#machine = machine;
    this.#world = world;
    this.#random = random;
    this.#actors = actorsOf(world.schedule.shards);
  }

  async run(end: number): Promise<void> {
    const { scheduler, commands, checker, schedule: { shards } } = this.#world;
    while (scheduler.now < end - REST) {
      const number = ++this.#count;
      const id = `command-${number}`;
      const actorId = this.#actors[Math.floor(this.#random() * this.#actors.length)] as Command["actorId"];
      const late = this.#machine.now() + PATIENCE;
      while (this.#machine.now() < late) {
        const answered = await commands.request(this.#machine, shardOf(actorId, shards), { id, number, actorId }, TRY);
        if (answered === "silence") continue;
        if (answered !== "nobody" && answered.reply.kind !== "notOwner" && answered.reply.kind !== "unknown") {
          checker.onReply(id, actorId, answered.reply);
          break;
        }
        await this.#machine.sleep(20 + this.#random() * 80);
      }
      await this.#machine.sleep(50 + this.#random() * 250);
    }
  }
}

/** As many actors of each shard. */
function actorsOf(shards: number): Command["actorId"][] {
  const counts = Array<number>(shards).fill(0);
  const actors: Command["actorId"][] = [];
  for (let number = 1; actors.length < ACTORS * shards; number++) {
    const actorId = `counter-${number}` as const;
    const shard = shardOf(actorId, shards);
    if ((counts[shard] ?? ACTORS) >= ACTORS) continue;
    counts[shard] = (counts[shard] ?? 0) + 1;
    actors.push(actorId);
  }
  return actors;
}
