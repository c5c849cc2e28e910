import { connect, type NatsConnection } from "@nats-io/transport-node";
import { after, before, describe, it } from "node:test";
import { InMemoryEventStore, JetStreamEventStore } from "../mod.ts";
import { eventStoreConformance, OPEN_PROMISES } from "../testing/mod.ts";
import { NatsServer } from "../testing/nats_server.ts";

describe("InMemoryEventStore", () => {
  for (const { name, run } of eventStoreConformance((namespace) => new InMemoryEventStore({ namespace }))) {
    it(name, run);
  }
});

describe("JetStreamEventStore", () => {
  let server: NatsServer;
  /** Several, so that stores of one namespace race over connections of their own. */
  const connections: NatsConnection[] = [];
  let opened = 0;

  before(async () => {
    server = await NatsServer.start();
    for (let count = 0; count < 4; count++) connections.push(await connect({ servers: server.url }));
  });
  after(async () => {
    for (const connection of connections) await connection.close();
    await server.stop();
  });

  const open = (namespace: string): Promise<JetStreamEventStore> => {
    const connection = connections[opened++ % connections.length] as NatsConnection;
    return JetStreamEventStore.open(connection, { namespace });
  };
  for (const { name, run } of eventStoreConformance(open, { shared: true })) it(name, run);
});

describe("open, for the next version", () => {
  for (const name of OPEN_PROMISES) it(name, { skip: true }, () => {});
});
