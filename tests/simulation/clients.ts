import { Router } from "../../cluster/router.ts";
import { isAetherError } from "../../errors.ts";
import { shardOf } from "../../store/shard.ts";
import { type Command, Refusal } from "./counter.ts";
import type { Machine } from "./machine.ts";
import type { World } from "./world.ts";

/** Milliseconds that a command may take with all its tries. */
const TIMEOUT = 10_000;
/** Milliseconds that an answer of a node which may be stopped is waited for. */
const PATIENCE = 11_000;
/** Milliseconds before the end at which no more commands are begun. */
const REST = 800;
/** Actors of each shard. */
const ACTORS = 2;

/** What a client was told. */
export interface Told {
  readonly kind: "stored" | "nothing" | "refused" | "unknown" | "absent";
  /** Of the actor, where it was said. */
  readonly version?: number;
}

/** Who sends commands, one after the other: from outside, or through some node. */
export class Clients {
  readonly #machine: Machine;
  readonly #world: World;
  readonly #random: () => number;
  readonly #actors: Command["actorId"][];
  readonly #visitor: Router;
  #count = 0;

  constructor(machine: Machine, world: World, random: () => number) {
    const { schedule: { shards }, commands } = world;
    this.#machine = machine;
    this.#world = world;
    this.#random = random;
    this.#actors = actorsOf(shards);
    this.#visitor = new Router({ clock: machine, commands: commands.of(machine), shards });
  }

  async run(end: number): Promise<void> {
    const { scheduler, checker, log } = this.#world;
    while (scheduler.now < end - REST) {
      const number = ++this.#count;
      const actorId = this.#actors[Math.floor(this.#random() * this.#actors.length)] as Command["actorId"];
      const id = `command-${number}`;
      const before = log.commitsOf(actorId).at(-1)?.version ?? 0;
      const told = await this.#send(actorId, { id, number, actorId });
      if (told !== undefined) checker.onTold(id, actorId, told, before);
      await this.#machine.sleep(50 + this.#random() * 250);
    }
  }

  /** Undefined: the node that was to send it does not say. */
  async #send(actorId: Command["actorId"], command: Command): Promise<Told | undefined> {
    const nodes = this.#world.there;
    const node = nodes[Math.floor(this.#random() * 2 * nodes.length)];
    if (node === undefined) return await this.#through(this.#visitor, actorId, command);
    const { machine, router } = node;
    return await new Promise((resolve) => {
      const cancel = this.#machine.timer(PATIENCE, () => resolve(undefined));
      machine.deliver(() => {
        void this.#through(router, actorId, command).then((told) => {
          this.#world.scheduler.after(0, () =>
            this.#machine.deliver(() => {
              cancel();
              resolve(told);
            }));
        });
      });
    });
  }

  async #through(router: Router, actorId: string, command: Command): Promise<Told> {
    try {
      const result = await router.send(actorId, command, { commandId: command.id, timeout: TIMEOUT });
      const { version, events } = result as { readonly version: number; readonly events: readonly unknown[] };
      return { kind: events.length > 0 ? "stored" : "nothing", version };
    } catch (error) {
      if (isAetherError(error, "COMMAND_REJECTED")) {
        const { reason } = error;
        if (reason.name === Refusal.name) return { kind: "refused", version: Refusal.versionIn(reason.message) };
        if (reason.code === "VERSION_CONFLICT") return { kind: "refused" };
        this.#world.checker.say("X", `${command.id} was refused by ${reason.name}: ${reason.message}`);
      } else if (isAetherError(error, "UNKNOWN_OUTCOME")) return { kind: "unknown" };
      else if (isAetherError(error, "NO_OWNER") || isAetherError(error, "NO_HANDLER")) return { kind: "absent" };
      else this.#world.checker.say("X", `${command.id} failed: ${error}`);
      return { kind: "unknown" };
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
