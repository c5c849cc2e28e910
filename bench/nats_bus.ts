/** The bus on NATS, against a bare subscription of the client to the same messages. */
import type { Msg, NatsConnection } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect as dial, type Socket } from "node:net";
import { type Event, NatsEventBus, shardOf } from "../mod.ts";
import { Subjects } from "../store/subjects.ts";
import { encodeCommit } from "../store/wire.ts";
import { NatsServer } from "../testing/mod.ts";
import { medians, type Row } from "./measure.ts";

const NAMESPACE = "bench";
const SHARDS = 64;
const ACTORS = 1_000;
/** Bytes that the sender writes at once. */
const CHUNK = 65_536;
/** 100 bytes as JSON. */
const DATA = { total: 99.99, items: 3, customer: "customer-0815", note: "leave it at the door please!", ok: true };

/** Commits as the server announces them, 50,000 or 80,000 in a row. */
export async function natsBus(full: boolean): Promise<Row[]> {
  const count = full ? 80_000 : 50_000;
  const server = await NatsServer.start();
  const nc = await connect({ servers: server.url });
  const sender = await Sender.to(server.url);
  try {
    const chunks = announcements(count);
    const bare = (take: (message: Msg) => void) => (): Promise<void> =>
      received(count, () => sender.send(chunks), async (arrived) => {
        const subscription = nc.subscribe(`aether.${NAMESPACE}.bus.>`, {
          callback: (_, message) => {
            take(message);
            arrived();
          },
        });
        await nc.flush();
        return () => Promise.resolve(subscription.unsubscribe());
      });
    const times = await medians([
      { name: "json", run: bare((message) => void (message.json<Event[]>()[0]?.version)) },
      {
        name: "header",
        run: bare((message) => void [message.json<Event[]>()[0]?.version, message.headers?.get("Aether-Version")]),
      },
      { name: "bus", run: () => ours(nc, count, () => sender.send(chunks)) },
    ], full ? 9 : 5);
    const of = (name: string): number => count / (times.get(name) ?? NaN);
    const ratio = of("bus") / of("header");
    return [{
      work: "bus on NATS: commits to one handler, filtered by type",
      figure: `${ratio.toFixed(2)} × (${of("bus").toFixed(0)},000 a second; bare, JSON and one header ${
        of("header").toFixed(0)
      },000, JSON alone ${of("json").toFixed(0)},000)`,
      bar: { text: "≥ 0.8 × a bare subscription that parses the JSON and reads one header", met: ratio >= 0.8 },
    }];
  } finally {
    sender.close();
    await nc.close();
    await server.stop();
  }
}

async function ours(nc: NatsConnection, count: number, send: () => Promise<void>): Promise<void> {
  await using bus = await NatsEventBus.open<Event>(nc, { namespace: NAMESPACE, shards: SHARDS });
  await received(count, send, async (arrived) => {
    const onError = (error: unknown): void => {
      throw error;
    };
    const subscription = bus.on({ eventTypes: ["OrderPlaced"], buffer: count, onError }, arrived);
    await subscription.ready;
    return () => subscription.drain();
  });
}

/** Until so many have arrived. */
async function received(
  count: number,
  send: () => Promise<void>,
  subscribe: (arrived: () => void) => Promise<() => Promise<void>>,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let left = count;
  const end = await subscribe(() => void (--left === 0 && resolve()));
  await send();
  await promise;
  await end();
}

/** What a client would send, made beforehand: it costs no more than the writing. */
function announcements(count: number): Uint8Array[] {
  const subjects = new Subjects(NAMESPACE, SHARDS);
  const timestamp = new Date().toISOString();
  const messages: Uint8Array[] = [];
  for (let sequence = 1; sequence <= count; sequence++) {
    const actorId = `order-${sequence % ACTORS}`;
    const subject = subjects.ofActor(actorId, shardOf(actorId, SHARDS));
    const version = Math.ceil(sequence / ACTORS);
    const previous = Math.max(0, sequence - ACTORS);
    const event = { id: crypto.randomUUID(), eventType: "OrderPlaced", actorId, version, data: DATA, timestamp };
    for (const message of encodeCommit({ subject, events: [event], version, previous, epoch: 0 }, 16_384)) {
      let head = "NATS/1.0\r\n";
      const server = {
        "Nats-Stream": subjects.stream,
        "Nats-Subject": subject,
        "Nats-Sequence": sequence,
        "Nats-Time-Stamp": "2026-01-31T12:00:00.123456789Z",
        "Nats-Last-Sequence": previous,
      };
      for (const [name, value] of Object.entries({ ...message.headers, ...server })) head += `${name}: ${value}\r\n`;
      head += "\r\n";
      const line = `HPUB ${subjects.announced(subject)} ${head.length} ${head.length + message.payload.length}\r\n`;
      messages.push(Buffer.concat([Buffer.from(line + head), message.payload, Buffer.from("\r\n")]));
    }
  }
  const chunks: Uint8Array[] = [];
  const whole = Buffer.concat(messages);
  for (let at = 0; at < whole.length; at += CHUNK) chunks.push(whole.subarray(at, at + CHUNK));
  return chunks;
}

/** A client that only writes. */
class Sender {
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static async to(url: string): Promise<Sender> {
    const { hostname, port } = new URL(url);
    const socket = dial(Number(port), hostname);
    await once(socket, "data"); // INFO
    socket.on("data", () => {});
    socket.write('CONNECT {"verbose":false,"headers":true,"lang":"bench","version":"0"}\r\n');
    return new Sender(socket);
  }

  async send(chunks: readonly Uint8Array[]): Promise<void> {
    for (const chunk of chunks) if (!this.#socket.write(chunk)) await once(this.#socket, "drain");
  }

  close(): void {
    this.#socket.destroy();
  }
}
