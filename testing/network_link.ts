import { Socket } from "node:net";
import { type Frame, FrameReader, infoFrame } from "./nats_frames.ts";
import { type NetworkDirection, NetworkMessage } from "./network_message.ts";

/** So many requests can wait for their answers on one connection, and `answerTo` still knows them. */
const REMEMBERED_REQUESTS = 10_000;

/** What becomes of a message that does not simply go on. */
export type Fate =
  /** It never arrives. */
  | { readonly kind: "lost" }
  /** It arrives then; what comes after it need not wait. */
  | { readonly kind: "late"; readonly when: Promise<unknown> }
  /** Its connection ends, with the message delivered before or not. */
  | { readonly kind: "cut"; readonly delivered: boolean };

/** What a network does to its connections. */
export interface NetworkConditions {
  /** Where the server is. */
  readonly server: { readonly host: string; readonly port: number };
  /** Until when nothing gets through; undefined while it does. */
  standstill(): Promise<void> | undefined;
  /** What becomes of a message; undefined: it goes on. */
  fateOf(message: NetworkMessage): Fate | undefined;
}

/** A client's connection, and the one to the server that is made for it. */
export class NetworkLink {
  readonly #network: NetworkConditions;
  readonly #client: Socket;
  readonly #server: Socket = new Socket();
  /** Messages that arrive late. */
  readonly #late: Set<Promise<void>> = new Set();
  /** Subjects of requests by where their answers go. */
  readonly #requests: Map<string, string> = new Map();

  /** Of a client that has just connected. */
  constructor(client: Socket, network: NetworkConditions) {
    this.#network = network;
    this.#client = client;
    for (const socket of [client, this.#server]) {
      socket.setNoDelay(true);
      socket.on("error", () => {}); // "close" follows
      socket.unref();
    }
  }

  /** Whether its client is still there. */
  get connected(): boolean {
    return !this.#client.destroyed;
  }

  /** Lets both talk to each other until one has left. What the client sent before it left still arrives. */
  async run(): Promise<void> {
    const [client, server] = [this.#client, this.#server];
    try {
      server.connect(this.#network.server);
      await first(server, "connect", "close");
      const down = this.#pump(server, client, "client");
      const up = this.#pump(client, server, "server");
      await Promise.race([down, up.then(() => this.#leave()).then(() => down)]);
    } finally {
      server.destroy();
      client.destroySoon();
      if (!client.closed) await first(client, "close");
    }
  }

  /** Ends both connections at once, or one of them after what is on its way there. */
  cut(last?: NetworkDirection): void {
    if (last === "client") this.#client.end();
    else this.#client.destroy();
    if (last === "server") this.#server.end();
    else this.#server.destroy();
  }

  async #leave(): Promise<void> {
    await Promise.all(this.#late);
    this.#server.end();
  }

  /** Waits while nothing gets through. */
  async #moving(): Promise<void> {
    while (this.#network.standstill()) await this.#network.standstill();
  }

  async #pump(from: Socket, to: Socket, direction: NetworkDirection): Promise<void> {
    for await (const frame of framesOf(from)) {
      await this.#moving();
      if (to.writable) this.#pass(frame, to, direction);
      if (to.writableNeedDrain) await first(to, "drain", "close");
    }
  }

  #pass(frame: Frame, to: Socket, direction: NetworkDirection): void {
    const fate = this.#fateOf(frame, direction);
    if (fate?.kind === "late") {
      const arrival = this.#arrive(frame, to, fate.when).finally(() => this.#late.delete(arrival));
      this.#late.add(arrival);
    } else if (fate?.kind === "cut") {
      if (fate.delivered) to.write(frame.bytes);
      this.cut(fate.delivered ? direction : undefined);
    } else if (fate?.kind !== "lost") {
      to.write(frame.verb === "INFO" ? withoutOtherServers(frame) : frame.bytes);
    }
  }

  async #arrive(frame: Frame, to: Socket, when: Promise<unknown>): Promise<void> {
    await when;
    await this.#moving();
    if (to.writable) to.write(frame.bytes);
  }

  #fateOf({ message }: Frame, direction: NetworkDirection): Fate | undefined {
    if (message === undefined) return undefined;
    const { subject, reply } = message;
    const answerTo = this.#requests.get(subject);
    if (reply !== undefined) {
      this.#requests.set(reply, subject);
      if (this.#requests.size > REMEMBERED_REQUESTS) this.#requests.delete(this.#requests.keys().next().value ?? "");
    }
    return this.#network.fateOf(new NetworkMessage(direction, message, answerTo));
  }
}

/** Ends where the connection does, or does not speak NATS. */
async function* framesOf(socket: Socket): AsyncGenerator<Frame> {
  const reader = new FrameReader();
  try {
    for await (const chunk of socket) yield* reader.read(chunk);
  } catch {
    // A reset is an end, too.
  }
}

/** A client would follow them around this network. */
function withoutOtherServers({ argument }: Frame): Uint8Array {
  return infoFrame({ ...JSON.parse(argument), connect_urls: undefined });
}

/** Waits for whichever comes first. */
function first(socket: Socket, ...events: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    const come = (): void => {
      for (const event of events) socket.off(event, come);
      resolve();
    };
    for (const event of events) socket.on(event, come);
  });
}
