/** Commands without rest, from a sender that is no member. */
import type { NatsConnection } from "@nats-io/nats-core";
import { systemClock } from "../../cluster/clock.ts";
import { NatsCommands } from "../../cluster/nats_commands.ts";
import { Router, type SendOptions } from "../../cluster/router.ts";
import { isAetherError } from "../../mod.ts";
import { now } from "../history/history.ts";

/** Sends commands, and is no member. */
export class Sender implements Disposable {
  readonly #commands: NatsCommands;
  readonly #router: Router;

  constructor(nc: NatsConnection, namespace: string, shards: number) {
    this.#commands = new NatsCommands(nc, namespace);
    this.#router = new Router({ clock: systemClock, commands: this.#commands, shards });
  }

  send(actorId: string, command: unknown, options?: SendOptions): Promise<unknown> {
    return this.#router.send(actorId, command, options);
  }

  [Symbol.dispose](): void {
    this.#commands.close();
  }
}

/** A command, and what became of it. */
export interface Sent {
  readonly commandId: string;
  readonly actorId: string;
  readonly began: number;
  readonly ended: number;
  /** `ok`, or the code of its error. */
  readonly outcome: string;
}

/** How commands are sent. */
export interface LoadOptions {
  readonly namespace: string;
  readonly shards: number;
  /** Commands that are under way at once. @default 4 */
  readonly lanes?: number;
  /** Milliseconds of each command. @default 20000 */
  readonly timeout?: number;
  /** Milliseconds between two commands of a lane. @default 5 */
  readonly pause?: number;
  /** Before the ids of its commands. @default "load" */
  readonly name?: string;
}

/** Counts up counters, until it is stopped. */
export class Load {
  readonly sent: Sent[] = [];
  readonly #sender: Sender;
  readonly #options: LoadOptions;
  readonly #stop = new AbortController();
  readonly #lanes: Promise<void>[];

  constructor(nc: NatsConnection, options: LoadOptions) {
    const { namespace, shards, lanes = 4 } = options;
    this.#options = options;
    this.#sender = new Sender(nc, namespace, shards);
    this.#lanes = Array.from({ length: lanes }, (_, lane) => this.#run(lane));
  }

  /** Lets what is under way end. */
  async stop(): Promise<readonly Sent[]> {
    this.#stop.abort();
    await Promise.all(this.#lanes);
    this.#sender[Symbol.dispose]();
    return this.sent;
  }

  /** Those that did not end well. */
  get failed(): Sent[] {
    return this.sent.filter(({ outcome }) => outcome !== "ok");
  }

  /** Milliseconds of each command. */
  get latencies(): number[] {
    return this.sent.map(({ began, ended }) => ended - began);
  }

  async #run(lane: number): Promise<void> {
    const { shards, timeout = 20_000, pause = 5, name = "load" } = this.#options;
    for (let count = 0; !this.#stop.signal.aborted; count++) {
      const actorId = `counter-${Math.floor(Math.random() * 3 * shards)}`;
      const commandId = `${name}-${lane}-${count}`;
      const began = now();
      const outcome = await this.#sender.send(actorId, { add: 1 }, { commandId, timeout })
        .then(() => "ok", (error) => isAetherError(error) ? error.code : String(error));
      this.sent.push({ commandId, actorId, began, ended: now(), outcome });
      if (pause > 0) await systemClock.sleep(pause, this.#stop.signal);
    }
  }
}
