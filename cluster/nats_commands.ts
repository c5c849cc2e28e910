import type { NatsConnection } from "@nats-io/nats-core";
import { PermissionError } from "../errors.ts";
import { errorOf, Failed, failureOf } from "../store/answer.ts";
import { harmless, type Observer } from "../store/observer.ts";
import { untilAborted } from "../store/operation.ts";
import { Requests } from "../store/requests.ts";
import { checkNamespace } from "../store/shard.ts";
import type { CommandAnswer, Commands, Serving } from "./commands.ts";

/** Bytes of a message where the server has not said how many. */
const MAX_PAYLOAD = 1_048_576;
/** Milliseconds that a connection which is away is waited for at once: whoever asks tries again. */
const AWAY = 100;

/** Commands over core NATS: a subject per shard, on which only the shard's owner listens. */
export class NatsCommands implements Commands {
  readonly #nc: NatsConnection;
  readonly #prefix: string;
  readonly #requests: Requests;
  readonly #observer: Observer | undefined;
  #maxSize = MAX_PAYLOAD;

  constructor(nc: NatsConnection, namespace: string, observer?: Observer) {
    this.#nc = nc;
    this.#prefix = `aether.${checkNamespace(namespace)}.cmd.`;
    this.#requests = new Requests(nc);
    this.#observer = harmless(observer);
  }

  get maxSize(): number {
    return this.#maxSize = this.#nc.info?.max_payload ?? this.#maxSize; // there is none while the connection is away
  }

  /** @throws {PermissionError} {@linkcode ClosedError} */
  async request(shard: number, body: string, milliseconds: number, signal?: AbortSignal): Promise<CommandAnswer> {
    if (this.#requests.isAway && !await this.#isBack(milliseconds, signal)) {
      return { kind: "absent", reason: "this node has no connection" };
    }
    try {
      const message = await this.#requests.send(this.#prefix + shard, body, milliseconds, { signal });
      return { kind: "answer", body: message.string() };
    } catch (error) {
      if (!(error instanceof Failed)) {
        if (signal?.aborted) return { kind: "silence" };
        throw error;
      }
      switch (error.failure.kind) {
        case "absent":
        case "silence":
          return { kind: error.failure.kind };
        default:
          throw errorOf(error.failure, "", error);
      }
    }
  }

  /** @throws {PermissionError} {@linkcode ClosedError} */
  async serve(shard: number, handle: (body: string) => Promise<string>): Promise<Serving> {
    const subject = this.#prefix + shard;
    const running = new Set<Promise<void>>();
    let refused: Error | undefined;
    try {
      const subscription = this.#nc.subscribe(subject, {
        callback: (error, message) => {
          if (error) {
            refused = error;
            this.#observer?.event?.("commandsRefused", { shard, error: String(error) });
            return;
          }
          const done: Promise<void> = this.#answer(handle, message).finally(() => running.delete(done));
          running.add(done);
        },
      });
      await this.#reached();
      if (refused !== undefined) throw new PermissionError({ subject }, { cause: refused });
      return {
        drain: async (): Promise<void> => {
          // A plain UNSUB would drop what is on the wire.
          if (!subscription.isClosed() && !this.#nc.isClosed()) await subscription.drain();
          while (running.size > 0) await Promise.all(running);
          if (!this.#nc.isClosed()) await this.#nc.flush().catch(() => {});
        },
      };
    } catch (error) {
      const failure = failureOf(error, subject);
      throw failure.kind === "closed" ? errorOf(failure, "", error) : error;
    }
  }

  /** What the client takes without a connection it would send some time later. */
  async #isBack(milliseconds: number, signal: AbortSignal | undefined): Promise<boolean> {
    try {
      await untilAborted(this.#requests.reconnected(this.#prefix, Math.min(milliseconds, AWAY)), signal);
      return signal?.aborted !== true;
    } catch (error) {
      if (error instanceof Failed && error.failure.kind === "closed") throw errorOf(error.failure, "", error);
      if (error instanceof Failed || signal?.aborted) return false;
      throw error;
    }
  }

  /** Resolves when the server knows of what was sent; a connection that comes back sends its subscriptions again. */
  async #reached(): Promise<void> {
    for (;;) {
      try {
        return await this.#nc.flush();
      } catch (error) {
        if (this.#nc.isClosed() || failureOf(error, "").kind === "closed") throw error;
      }
    }
  }

  /** Once all that was asked has an answer, it asks no more. */
  close(): void {
    this.#requests.close();
  }

  async #answer(
    handle: (body: string) => Promise<string>,
    message: { string(): string; respond(body: string): boolean },
  ): Promise<void> {
    try {
      message.respond(await handle(message.string()));
    } catch (error) { // the connection is closed, or the answer too large for it
      this.#observer?.event?.("answerFailed", { error: String(error) });
    }
  }
}
