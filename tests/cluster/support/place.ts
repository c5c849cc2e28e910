/** A server for the tests of one `describe`, a namespace for each. */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { after, before } from "node:test";
import { NatsServer } from "../../../testing/mod.ts";

/** Where a test is. */
export interface Place {
  readonly server: NatsServer;
  readonly url: string;
  /** A connection that is there until the end. */
  readonly nc: NatsConnection;
  /** One that no other test has. */
  namespace(): string;
}

/** Started before the tests, stopped behind them. */
export function serverOf(): Place {
  let server: NatsServer;
  let nc: NatsConnection;
  let count = 0;
  before(async () => {
    server = await NatsServer.start();
    nc = await connect({ servers: server.url });
  });
  after(async () => {
    await nc.close();
    await server.stop();
  });
  return {
    get server(): NatsServer {
      return server;
    },
    get url(): string {
      return server.url;
    },
    get nc(): NatsConnection {
      return nc;
    },
    namespace: () => `c${++count}`,
  };
}

/** Gathers what is told until it is disposed of. */
export function gather<T>(changes: AsyncIterable<T>): T[] {
  const told: T[] = [];
  void (async (): Promise<void> => {
    for await (const change of changes) told.push(change);
  })();
  return told;
}
