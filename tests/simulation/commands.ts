/** Commands between machines, as core NATS carries them. */
import type { CommandAnswer, Commands, Serving } from "../../cluster/commands.ts";
import type { Machine } from "./machine.ts";
import type { Network } from "./network.ts";
import type { Scheduler } from "./scheduler.ts";

/** Milliseconds of one way, at least and at most. */
const HOP = { least: 0.5, most: 3 } as const;

interface Server {
  readonly machine: Machine;
  readonly handle: (body: string) => Promise<string>;
  readonly running: Set<Promise<unknown>>;
}

/** All who serve a shard get each command: there is no queue group. The first answer counts. */
export class CommandNetwork {
  readonly #scheduler: Scheduler;
  readonly #network: Network;
  readonly #servers = new Map<number, Set<Server>>();

  constructor(scheduler: Scheduler, network: Network) {
    this.#scheduler = scheduler;
    this.#network = network;
  }

  of(machine: Machine): Commands {
    return {
      maxSize: 1_048_576,
      request: (shard, body, milliseconds) => this.#request(machine, shard, body, milliseconds),
      serve: (shard, handle) => this.#serve(machine, shard, handle),
    };
  }

  #request(from: Machine, shard: number, body: string, milliseconds: number): Promise<CommandAnswer> {
    return new Promise((resolve) => {
      const cancel = from.timer(milliseconds, () => resolve({ kind: "silence" }));
      const answer = (answered: CommandAnswer): void => {
        // It may come behind the answer to a later try.
        this.#scheduler.after(this.#network.delayOfCommand(HOP.most), () =>
          from.deliver(() => {
            cancel();
            resolve(answered);
          }));
      };
      this.#hop(() => {
        const { now } = this.#scheduler;
        if (this.#network.blackout > now || from.cut.out > now) return;
        const servers = [...this.#servers.get(shard) ?? []].filter(({ machine }) => !machine.isDead);
        if (servers.length === 0) return answer({ kind: "absent" });
        for (const server of servers) {
          if (server.machine.cut.in > now) continue;
          // May wait in some buffer, so that a later try overtakes it.
          const deliver = (): void => server.machine.deliver(() => this.#handle(server, body, answer));
          this.#scheduler.after(this.#network.delayOfCommand(HOP.most), deliver);
        }
      });
    });
  }

  #handle({ machine, handle, running }: Server, body: string, answer: (answered: CommandAnswer) => void): void {
    const work = handle(body).then((body) => {
      running.delete(work);
      const isAway = Math.max(machine.cut.out, this.#network.blackout) > this.#scheduler.now;
      if (!isAway) answer({ kind: "answer", body });
    });
    running.add(work);
  }

  #serve(machine: Machine, shard: number, handle: (body: string) => Promise<string>): Promise<Serving> {
    const servers = this.#servers.get(shard) ?? new Set();
    this.#servers.set(shard, servers);
    const server: Server = { machine, handle, running: new Set() };
    const drain = (): Promise<void> =>
      new Promise((resolve) => {
        this.#hop(() => {
          servers.delete(server);
          // What was on its way is there before the answer to this.
          this.#scheduler.after(2 * HOP.most, () => machine.deliver(() => void settled(server).then(resolve)));
        });
      });
    return new Promise((resolve) => {
      this.#hop(() => {
        servers.add(server);
        this.#hop(() => machine.deliver(() => resolve({ drain })));
      });
    });
  }

  #hop(run: () => void): void {
    this.#scheduler.after(this.#network.between(HOP.least, HOP.most), run);
  }
}

async function settled({ running }: Server): Promise<void> {
  while (running.size > 0) await Promise.all(running);
}
