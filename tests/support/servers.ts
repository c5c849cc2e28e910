/** Servers for the tests of one `describe`, and connections to them. */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { after, before } from "node:test";
import { NatsCluster, NatsServer } from "../../testing/mod.ts";

/**
 * Starts them before the tests and stops them behind; the connections take turns, to different servers where there are
 * several.
 */
export function connectedTo(
  start: () => Promise<NatsServer | NatsCluster> = () => NatsServer.start(),
  count = 1,
): () => NatsConnection {
  const connections: NatsConnection[] = [];
  let servers: NatsServer | NatsCluster;
  let taken = 0;
  before(async () => {
    servers = await start();
    const urls = "urls" in servers ? servers.urls : [servers.url];
    for (let index = 0; index < count; index++) {
      connections.push(await connect({ servers: urls[index % urls.length] ?? "" }));
    }
  });
  after(async () => {
    for (const connection of connections) await connection.close();
    await servers.stop();
  });
  return () => connections[taken++ % connections.length] as NatsConnection;
}

/** Where streams with so many replicas can be. */
export interface Started {
  readonly url: string;
  readonly replicas: number;
  stop(): Promise<void>;
}

export async function startOne(): Promise<Started> {
  const server = await NatsServer.start();
  return { url: server.url, replicas: 1, stop: () => server.stop() };
}

export async function startThree(): Promise<Started> {
  const cluster = await NatsCluster.start();
  return { url: cluster.urls[0] as string, replicas: 3, stop: () => cluster.stop() };
}
