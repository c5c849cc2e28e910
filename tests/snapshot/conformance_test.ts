import { connect, type NatsConnection } from "@nats-io/transport-node";
import { after, before, describe, it } from "node:test";
import { InMemorySnapshotStore, KvSnapshotStore } from "../../mod.ts";
import { NatsCluster, NatsServer, snapshotStoreConformance } from "../../testing/mod.ts";

describe("InMemorySnapshotStore", () => {
  for (const { name, run } of snapshotStoreConformance(() => new InMemorySnapshotStore())) it(name, run);
});

describe("KvSnapshotStore", () => onServers(1, () => NatsServer.start()));
describe("KvSnapshotStore on three servers", () => onServers(3, () => NatsCluster.start()));

/** Stores of one namespace take turns over connections of their own, to different servers where there are several. */
function onServers(replicas: number, start: () => Promise<NatsServer | NatsCluster>): void {
  const connections: NatsConnection[] = [];
  let servers: NatsServer | NatsCluster;
  let opened = 0;

  before(async () => {
    servers = await start();
    const urls = "urls" in servers ? servers.urls : [servers.url];
    for (let count = 0; count < 3; count++) {
      connections.push(await connect({ servers: urls[count % urls.length] ?? "" }));
    }
  });
  after(async () => {
    for (const connection of connections) await connection.close();
    await servers.stop();
  });

  const open = (namespace: string): Promise<KvSnapshotStore> => {
    const connection = connections[opened++ % connections.length] as NatsConnection;
    return KvSnapshotStore.open(connection, { namespace, replicas });
  };
  for (const { name, run } of snapshotStoreConformance(open, { shared: true })) it(name, run);
}
