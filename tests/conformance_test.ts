import { connect, type NatsConnection } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { InMemoryEventStore, JetStreamEventStore } from "../mod.ts";
import { eventStoreConformance, NatsCluster, NatsServer } from "../testing/mod.ts";

describe("InMemoryEventStore", () => {
  for (const { name, run } of eventStoreConformance((namespace) => new InMemoryEventStore({ namespace }))) {
    it(name, run);
  }
});

describe("JetStreamEventStore", () => onServers(1, () => NatsServer.start()));
describe("JetStreamEventStore on three servers", () => onServers(3, () => NatsCluster.start()));

/** Stores of one namespace take turns over connections of their own, to different servers where there are several. */
function onServers(replicas: number, start: () => Promise<NatsServer | NatsCluster>): void {
  const connections: NatsConnection[] = [];
  let servers: NatsServer | NatsCluster;
  let opened = 0;

  before(async () => {
    servers = await start();
    const urls = "urls" in servers ? servers.urls : [servers.url];
    for (let count = 0; count < 4; count++) {
      connections.push(await connect({ servers: urls[count % urls.length] ?? "" }));
    }
  });
  after(async () => {
    for (const connection of connections) await connection.close();
    await servers.stop();
  });

  const open = (namespace: string): Promise<JetStreamEventStore> => {
    const connection = connections[opened++ % connections.length] as NatsConnection;
    return JetStreamEventStore.open(connection, { namespace, replicas });
  };
  it("opens one stream when ten open it at once", async () => {
    const stores = await Promise.all(Array.from({ length: 10 }, () => open("ten-at-once")));
    const results = await Promise.all(
      stores.map((store, index) => store.append("order-1", [{ eventType: "Opened", data: index }])),
    );
    assert.deepEqual(results.map(({ version }) => version).toSorted((a, b) => a - b), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });
  for (const { name, run } of eventStoreConformance(open, { shared: true })) it(name, run);
}
