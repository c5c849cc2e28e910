/** Commands between nodes of one process, over a network that delays, loses and doubles. */
import { decodeCommand } from "../../../cluster/command_messages.ts";
import type { CommandAnswer, Commands, Serving } from "../../../cluster/commands.ts";
import { within } from "../../../cluster/within.ts";
import type { VirtualClock } from "./virtual_clock.ts";

export interface Faults {
  /** Milliseconds of one way, at most. */
  readonly delay?: number;
  /** How often a command, or an answer, is lost: 0 to 1. */
  readonly loss?: number;
  /** How often a command comes twice. */
  readonly doubled?: number;
  /** How often a command comes only after seconds: up to 9, before what was answered is forgotten. */
  readonly late?: number;
}

interface Listener {
  readonly handle: (body: string) => Promise<string>;
  readonly running: Set<Promise<string>>;
}

export class CommandNetwork implements Commands {
  readonly clock: VirtualClock;
  maxSize = 1_048_576;
  faults: Faults;
  /** Commands that were sent. */
  sent = 0;
  /** Those that came twice: what is said of one copy need not be true of the other. NATS never does that. */
  readonly doubled = new Set<string>();
  readonly #random: () => number;
  readonly #listeners = new Map<number, Set<Listener>>();

  constructor(clock: VirtualClock, faults: Faults = {}, random: () => number = Math.random) {
    this.clock = clock;
    this.faults = faults;
    this.#random = random;
  }

  async request(shard: number, body: string, milliseconds: number, signal?: AbortSignal): Promise<CommandAnswer> {
    this.sent++;
    const { doubled = 0 } = this.faults;
    if (this.#random() < doubled) {
      this.doubled.add(decodeCommand(body)?.commandId ?? "");
      void this.#carry(shard, body);
    }
    return await within(this.clock, this.#carry(shard, body), milliseconds, signal) ?? { kind: "silence" };
  }

  serve(shard: number, handle: (body: string) => Promise<string>): Promise<Serving> {
    const listeners = this.#listeners.get(shard) ?? new Set();
    const listener: Listener = { handle, running: new Set() };
    this.#listeners.set(shard, listeners.add(listener));
    return Promise.resolve({
      drain: async (): Promise<void> => {
        listeners.delete(listener);
        while (listener.running.size > 0) await Promise.all(listener.running);
      },
    });
  }

  async #carry(shard: number, body: string): Promise<CommandAnswer> {
    const { delay = 1, loss = 0, late = 0 } = this.faults;
    await this.clock.sleep(this.#random() < late ? 9_000 * this.#random() : delay * this.#random());
    if (this.#random() < loss) return await this.#silence();
    const [listener] = this.#listeners.get(shard) ?? [];
    if (listener === undefined) return { kind: "absent" };
    const answering = listener.handle(body);
    listener.running.add(answering);
    const answer = await answering.finally(() => listener.running.delete(answering));
    await this.clock.sleep(delay * this.#random());
    return this.#random() < loss ? await this.#silence() : { kind: "answer", body: answer };
  }

  async #silence(): Promise<CommandAnswer> {
    await this.clock.sleep(3_600_000);
    return { kind: "silence" };
  }
}
