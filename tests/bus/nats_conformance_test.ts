import { connect, type NatsConnection } from "@nats-io/transport-node";
import { after, before, describe, it } from "node:test";
import { JetStreamEventStore, NatsEventBus } from "../../mod.ts";
import { eventBusConformance, NatsServer } from "../../testing/mod.ts";

describe("NatsEventBus", () => {
  let server: NatsServer;
  const connections: NatsConnection[] = [];
  before(async () => {
    server = await NatsServer.start();
    for (let count = 0; count < 2; count++) connections.push(await connect({ servers: server.url }));
  });
  after(async () => {
    for (const nc of connections) await nc.close();
    await server.stop();
  });
  let turn = 0;
  /** By turns, so that two buses of a namespace are two connections. */
  const open = (namespace: string): Promise<NatsEventBus> =>
    NatsEventBus.open(connections[turn++ % 2] as NatsConnection, { namespace });
  const cases = eventBusConformance(open, {
    shared: true,
    store: (namespace) => JetStreamEventStore.open(connections[0] as NatsConnection, { namespace }),
  });
  for (const { name, run } of cases) it(name, run);
});
