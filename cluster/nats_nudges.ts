import type { NatsConnection, Subscription } from "@nats-io/nats-core";
import type { Nudge, Nudges } from "./bucket.ts";

/** Nudges on core NATS: at most once, and nothing rests on them. */
export class NatsNudges implements Nudges, AsyncDisposable {
  readonly #nc: NatsConnection;
  readonly #subject: string;
  readonly #listeners = new Set<(nudge: Nudge) => void>();
  #subscription: Subscription | undefined;

  constructor(nc: NatsConnection, namespace: string) {
    this.#nc = nc;
    this.#subject = `aether.${namespace}.cluster.nudge`;
  }

  send({ created, key, revision, renewal }: Nudge): void {
    try {
      this.#nc.publish(this.#subject, JSON.stringify([created, key, revision, renewal ? 1 : 0]));
    } catch {
      // the connection is closed, and the others will see it
    }
  }

  receive(listener: (nudge: Nudge) => void): Disposable {
    this.#listeners.add(listener);
    this.#subscription ??= this.#subscribe();
    return { [Symbol.dispose]: (): void => void this.#listeners.delete(listener) };
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#listeners.clear();
    this.#subscription?.unsubscribe();
    this.#subscription = undefined;
    return Promise.resolve();
  }

  #subscribe(): Subscription | undefined {
    try {
      return this.#nc.subscribe(this.#subject, {
        callback: (error, message): void => {
          const nudge = error === null ? nudgeOf(message.string()) : undefined;
          if (nudge !== undefined) { for (const listener of this.#listeners) listener(nudge); }
        },
      });
    } catch {
      return undefined; // closed: the polls fail as well
    }
  }
}

/** Undefined for what no node has sent. */
function nudgeOf(text: string): Nudge | undefined {
  try {
    const [created, key, revision, renewal] = JSON.parse(text) as readonly unknown[];
    if (typeof created !== "number" || typeof key !== "string" || !Number.isSafeInteger(revision)) return undefined;
    return { created, key, revision: revision as number, renewal: renewal === 1 };
  } catch {
    return undefined;
  }
}
