import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { ClosedError, InvalidArgumentError } from "../errors.ts";
import { Fault, type FaultOptions, type HeldMessages, type MessageMatch, type NetworkFault } from "./network_fault.ts";
import { type Fate, type NetworkConditions, NetworkLink } from "./network_link.ts";
import type { NetworkMessage } from "./network_message.ts";

const NATS_PORT = 4222;

/** Options of `cutAt`. */
export interface CutOptions extends FaultOptions {
  /** Whether the message still arrives. By default it is lost. */
  readonly delivered?: boolean;
}

/**
 * A network between clients and a nats-server, on 127.0.0.1, that loses, delays or holds back messages, cuts
 * connections, or stands still, as it is told. Faults meet whole messages; the rest of the NATS protocol passes. Without
 * TLS. It does not keep this process alive.
 *
 * Of several faults that mean a message, the one made first decides. For a cluster, take one for each server: clients
 * are not told of servers behind it.
 *
 * @example
 * ```ts
 * import { FaultyNetwork, NatsServer } from "@aether/aether/testing";
 * import { connect } from "@nats-io/transport-node";
 *
 * const server = await NatsServer.start();
 * const network = await FaultyNetwork.between(server.url);
 * try {
 *   const nc = await connect({ servers: network.url });
 *   const lost = network.swallow((message) => message.isPubAck, { times: 1 });
 *   // … something is stored, and whoever did it is not told so …
 *   await lost.met();
 *   await nc.close();
 * } finally {
 *   await network.close();
 *   await server.stop();
 * }
 * ```
 */
export class FaultyNetwork implements AsyncDisposable {
  /** Where clients connect. */
  readonly url: string;
  readonly #listener: Server;
  readonly #conditions: NetworkConditions;
  readonly #links: Set<NetworkLink> = new Set();
  #faults: Fault[] = [];
  #standstill: PromiseWithResolvers<void> | undefined;
  #closed: Promise<void> | undefined;

  private constructor(listener: Server, server: NetworkConditions["server"]) {
    this.url = `nats://127.0.0.1:${(listener.address() as AddressInfo).port}`;
    this.#listener = listener;
    this.#conditions = {
      server,
      standstill: () => this.#standstill?.promise,
      fateOf: (message) => this.#fateOf(message),
    };
    listener.on("connection", (client) => void this.#link(client));
  }

  /**
   * A network before a server, which need not run yet. Throws `InvalidArgumentError` if that is no URL of one, such as
   * `nats://127.0.0.1:4222`.
   */
  static async between(serverUrl: string): Promise<FaultyNetwork> {
    const server = addressOf(serverUrl);
    const listener = createServer().unref();
    await once(listener.listen(0, "127.0.0.1"), "listening");
    return new FaultyNetwork(listener, server);
  }

  /** How many clients are connected. */
  get connections(): number {
    return [...this.#links].filter((link) => link.connected).length;
  }

  /** Messages that match never arrive. */
  swallow(match: MessageMatch, options: FaultOptions = {}): NetworkFault {
    return this.#add(new Fault(match, options, () => ({ kind: "lost" })));
  }

  /** Messages that match arrive later; others overtake them, but they keep their order. */
  delay(match: MessageMatch, milliseconds: number, options: FaultOptions = {}): NetworkFault {
    if (!(milliseconds >= 0 && milliseconds < Infinity)) {
      throw new InvalidArgumentError({ argument: "milliseconds" }, `A delay is 0 or more, not ${milliseconds}`);
    }
    const when = (): Promise<void> => delay(milliseconds, undefined, { ref: false });
    return this.#add(new Fault(match, options, () => ({ kind: "late", when: when() })));
  }

  /** Messages that match wait for their release; others overtake them. */
  hold(match: MessageMatch, options: FaultOptions = {}): HeldMessages {
    const { promise: when, resolve } = Promise.withResolvers<void>();
    return this.#add(new Fault(match, options, () => ({ kind: "late", when }), resolve));
  }

  /** A message that matches ends the connection that it is on. Clients may connect again. */
  cutAt(match: MessageMatch, options: CutOptions = {}): NetworkFault {
    const { delivered = false } = options;
    return this.#add(new Fault(match, options, () => ({ kind: "cut", delivered })));
  }

  /** Ends all connections now, with all that is under way on them. Clients may connect again. */
  cut(): void {
    for (const link of this.#links) link.cut();
  }

  /** Nothing gets through, and nobody is told so: connections stay open and are silent, new ones too. */
  pause(): void {
    this.#standstill ??= Promise.withResolvers();
  }

  /** Lets everything through again, first of all what has waited since {@linkcode pause}. */
  resume(): void {
    this.#standstill?.resolve();
    this.#standstill = undefined;
  }

  /** Ends all connections and takes no more. May be called at any time and more than once. */
  async close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => void this.#listener.close(() => resolve()));
    for (const fault of this.#faults) fault.end();
    this.cut();
    await this.#closed;
  }

  /** As {@linkcode close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #link(client: Socket): Promise<void> {
    const link = new NetworkLink(client, this.#conditions);
    this.#links.add(link);
    try {
      await link.run();
    } finally {
      this.#links.delete(link);
    }
  }

  #add(fault: Fault): Fault {
    if (this.#closed) throw new ClosedError({ what: "The network" });
    this.#faults = [...this.#faults.filter(({ ended }) => !ended), fault];
    return fault;
  }

  #fateOf(message: NetworkMessage): Fate | undefined {
    for (const fault of this.#faults) {
      const fate = fault.fateOf(message);
      if (fate) return fate;
    }
    return undefined;
  }
}

function addressOf(serverUrl: string): NetworkConditions["server"] {
  const { protocol, hostname, port } = URL.parse(serverUrl) ?? {};
  if (protocol !== "nats:" || !hostname) {
    throw new InvalidArgumentError({ argument: "serverUrl" }, `No URL of a nats-server without TLS: ${serverUrl}`);
  }
  return { host: hostname.replace(/^\[(.*)\]$/, "$1"), port: Number(port) || NATS_PORT };
}
