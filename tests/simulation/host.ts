import { isAetherError } from "../../errors.ts";
import { aborted } from "../../cluster/crew.ts";
import type { ClusterNode } from "../../cluster/node.ts";
import type { OwnedShard } from "../../cluster/ownership.ts";
import { execute } from "../../decider/execute.ts";
import { StateCache } from "../../decider/state_cache.ts";
import { type Command, counter, Refusal } from "./counter.ts";
import type { CommandNetwork } from "./commands.ts";
import type { SimulatedEventStore } from "./event_store.ts";
import type { Machine } from "./machine.ts";

/** What an owner answers. */
export type Reply =
  | { readonly kind: "stored" | "nothing" | "refused"; readonly epoch: number; readonly version: number }
  | { readonly kind: "notOwner" | "unknown" };

/** What a host needs. */
export interface HostParts {
  readonly machine: Machine;
  readonly node: ClusterNode;
  readonly store: SimulatedEventStore;
  readonly commands: CommandNetwork<Command, Reply>;
}

/** Serves the actors of the shards that a node owns. */
export class Host {
  readonly #parts: HostParts;
  /** What was answered without a write: a copy of the command that comes later is not to be decided anew. */
  readonly #outcomes = new Map<string, Reply>();
  /** What is being executed: a copy that comes meanwhile waits for the same answer. */
  readonly #executing = new Map<string, Promise<Reply>>();

  constructor(parts: HostParts) {
    this.#parts = parts;
    parts.node.distribution.add((owned) => this.#serve(owned));
  }

  async #serve({ shard, fence, signal }: OwnedShard): Promise<void> {
    const { machine, commands } = this.#parts;
    const cache = new StateCache();
    const running = new Set<Promise<unknown>>();
    const handle = (command: Command): Promise<Reply> => {
      const known = this.#executing.get(command.id);
      if (known !== undefined) return known;
      const work = this.#execute(command, fence, cache).finally(() => {
        running.delete(work);
        this.#executing.delete(command.id);
      });
      running.add(work);
      this.#executing.set(command.id, work);
      return work;
    };
    using _serving = commands.serve(machine, shard, handle);
    await aborted(signal);
    while (running.size > 0) await Promise.all(running);
  }

  async #execute(command: Command, fence: OwnedShard["fence"], cache: StateCache): Promise<Reply> {
    const { node: { distribution }, store } = this.#parts;
    const { id: commandId, actorId } = command;
    const { shard, epoch } = fence;
    const isOwner = (): boolean => distribution.fence(shard)?.epoch === epoch;
    if (!isOwner()) return { kind: "notOwner" };
    const earlier = this.#outcomes.get(commandId);
    if (earlier !== undefined) return earlier;
    let reply: Reply;
    try {
      const { version, events } = await execute(store, counter, actorId, command, { fence, commandId, cache });
      reply = { kind: events.length > 0 ? "stored" : "nothing", epoch, version };
    } catch (error) {
      if (error instanceof Refusal) reply = { kind: "refused", epoch, version: error.version };
      else if (isAetherError(error, "FENCED")) {
        distribution.fenced(shard, error.epoch);
        return { kind: "notOwner" };
      } else if (isAetherError(error)) return { kind: "unknown" };
      else throw error;
    }
    if (reply.kind === "stored") return reply;
    if (!isOwner()) return { kind: "notOwner" }; // nothing but the lease says that this holds still
    this.#outcomes.set(commandId, reply);
    return reply;
  }
}
