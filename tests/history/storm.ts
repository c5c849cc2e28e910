import { setTimeout as delay } from "node:timers/promises";
import type { FaultyNetwork, NetworkFault, NetworkMessage } from "../../testing/mod.ts";

/** Milliseconds that a message is late at most. A store of the workers asks again after 500. */
const LATE = 1_500;

/** What a network can do to stores, one thing after another, by chance. */
export class Storm {
  readonly #network: FaultyNetwork;
  readonly #random: () => number;
  readonly #faults: NetworkFault[] = [];

  constructor(network: FaultyNetwork, random: () => number) {
    this.#network = network;
    this.#random = random;
  }

  /** How many messages it has met. */
  get met(): number {
    return this.#faults.reduce((sum, { count }) => sum + count, 0);
  }

  /** Goes on for a while. Then the network is as it was. */
  async rage(seconds: number): Promise<void> {
    for (const end = performance.now() + seconds * 1_000; performance.now() < end;) {
      const fault = this.#strike();
      if (fault) this.#faults.push(fault);
      await delay(20 + 300 * this.#random());
      this.#network.resume();
    }
    for (const fault of this.#faults) fault.end();
  }

  #strike(): NetworkFault | void {
    const network = this.#network;
    const options = { times: 1 + Math.floor(3 * this.#random()), delivered: this.#random() < 0.5 };
    const milliseconds = LATE * this.#random();
    const strikes = [
      () => network.swallow(isAck, options),
      () => network.swallow(isCommit, options),
      () => network.swallow(isAnswer, options),
      () => network.delay(isAck, milliseconds, options),
      () => network.delay(isCommit, milliseconds, options),
      () => network.cutAt(isAck, options),
      () => network.cutAt(isCommit, options),
      () => network.cut(),
      () => network.pause(),
    ];
    return strikes[Math.floor(strikes.length * this.#random())]?.();
  }
}

function isAck({ isPubAck }: NetworkMessage): boolean {
  return isPubAck;
}

function isCommit({ to, subject }: NetworkMessage): boolean {
  return to === "server" && subject.startsWith("aether.");
}

function isAnswer({ to }: NetworkMessage): boolean {
  return to === "client";
}
