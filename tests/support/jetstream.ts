/** A server, a connection and raw JetStream, for tests that look below the library. */
import type { Msg } from "@nats-io/nats-core";
import { connect, type ConnectionOptions, headers, type NatsConnection } from "@nats-io/transport-node";
import { NatsServer, type NatsServerOptions } from "../../testing/mod.ts";

/** What `raw` gives. */
export interface Raw extends AsyncDisposable {
  readonly server: NatsServer;
  readonly nc: NatsConnection;
  /** A JetStream API by its subject behind `$JS.API.`. */
  api(name: string, body?: unknown): Promise<ApiAnswer>;
  publish(subject: string, payload: string, fields?: Record<string, string | number>): Promise<PubAnswer>;
  /** All messages that a request is answered with, up to the status that ends them. */
  many(subject: string, body: unknown): Promise<Msg[]>;
}

/** Whatever the server says. */
// deno-lint-ignore no-explicit-any
export type ApiAnswer = any;

/** To a publish. */
export interface PubAnswer {
  readonly seq: number;
  readonly duplicate?: boolean;
  readonly count?: number;
  readonly error?: { readonly err_code: number; readonly description: string };
}

/** Starts a server and connects to it. */
export async function raw(options: NatsServerOptions = {}, connection: ConnectionOptions = {}): Promise<Raw> {
  const server = await NatsServer.start(options);
  const nc = await connect({ ...connection, servers: server.url });
  return {
    server,
    nc,
    async api(name, body): Promise<ApiAnswer> {
      const answer = await nc.request(`$JS.API.${name}`, body === undefined ? "" : JSON.stringify(body), {
        timeout: 5_000,
      });
      return answer.json();
    },
    async publish(subject, payload, fields = {}): Promise<PubAnswer> {
      return (await nc.request(subject, payload, { headers: headersOf(fields), timeout: 5_000 })).json();
    },
    async many(subject, body): Promise<Msg[]> {
      const messages: Msg[] = [];
      const options = { strategy: "sentinel", maxWait: 5_000 } as const;
      for await (const message of await nc.requestMany(subject, JSON.stringify(body), options)) messages.push(message);
      return messages;
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await nc.close();
      await server.stop();
    },
  };
}

/** Headers of a message. */
export function headersOf(fields: Record<string, string | number>): ReturnType<typeof headers> {
  const head = headers();
  for (const [name, value] of Object.entries(fields)) head.set(name, String(value));
  return head;
}

/** A condition that will hold, soon; a cluster that has lost its leader takes longer. */
export async function until(condition: () => boolean | Promise<boolean>, seconds = 10): Promise<void> {
  const limit = performance.now() + seconds * 1_000;
  while (!await condition()) {
    if (performance.now() > limit) throw new Error(`the condition did not come true within ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
