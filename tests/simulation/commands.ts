/** Requests to whoever serves a shard, as core NATS has them. */
import type { Machine } from "./machine.ts";
import type { Network } from "./network.ts";
import type { Scheduler } from "./scheduler.ts";

/** What became of a request: an answer, nobody served the shard, or silence. */
export type Answered<Reply> = { readonly reply: Reply } | "nobody" | "silence";

interface Server<Body, Reply> {
  readonly machine: Machine;
  readonly handle: (body: Body) => Promise<Reply>;
}

/** Every server of a shard gets each request: there is no queue group. The first answer counts. */
export class CommandNetwork<Body, Reply> {
  readonly #scheduler: Scheduler;
  readonly #network: Network;
  readonly #servers = new Map<number, Set<Server<Body, Reply>>>();

  constructor(scheduler: Scheduler, network: Network) {
    this.#scheduler = scheduler;
    this.#network = network;
  }

  serve(machine: Machine, shard: number, handle: (body: Body) => Promise<Reply>): Disposable {
    const servers = this.#servers.get(shard) ?? new Set();
    this.#servers.set(shard, servers);
    const server = { machine, handle };
    servers.add(server);
    return { [Symbol.dispose]: (): void => void servers.delete(server) };
  }

  request(from: Machine, shard: number, body: Body, milliseconds: number): Promise<Answered<Reply>> {
    return new Promise((resolve) => {
      const cancel = from.timer(milliseconds, () => resolve("silence"));
      const answer = (answered: Answered<Reply>): void => {
        this.#scheduler.after(this.#hop(), () =>
          from.deliver(() => {
            cancel();
            resolve(answered);
          }));
      };
      this.#scheduler.after(this.#hop(), () => {
        const { now } = this.#scheduler;
        if (this.#network.blackout > now) return;
        const servers = [...this.#servers.get(shard) ?? []].filter(({ machine }) => !machine.isDead);
        if (servers.length === 0) return answer("nobody");
        for (const { machine, handle } of servers) {
          if (machine.cut.in > now) continue;
          const run = async (): Promise<void> => {
            const reply = await handle(body);
            if (machine.cut.out <= this.#scheduler.now) answer({ reply });
          };
          this.#scheduler.after(this.#hop(), () => machine.deliver(() => void run()));
        }
      });
    });
  }

  #hop(): number {
    return this.#network.between(0.5, 3);
  }
}
