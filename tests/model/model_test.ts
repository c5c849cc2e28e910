import { connect, type NatsConnection } from "@nats-io/transport-node";
import fc from "fast-check";
import { after, before, describe, it } from "node:test";
import process from "node:process";
import { InMemoryEventStore, JetStreamEventStore } from "../../mod.ts";
import { FaultyNetwork, NatsServer } from "../../testing/mod.ts";
import { commands, run, type Subject } from "./commands.ts";

/** `AETHER_SEED=…` repeats a run. */
const seed = Number(process.env.AETHER_SEED ?? Date.now() % 2 ** 31);

describe(`random commands do what a plain list does (AETHER_SEED=${seed})`, () => {
  it("in memory", async () => {
    await fc.assert(
      fc.asyncProperty(commands, async (steps) => {
        const store = new InMemoryEventStore();
        await run({ store: () => store, fault: () => {}, lossy: false }, steps);
      }),
      { seed, numRuns: 300 },
    );
  });

  describe("on JetStream", () => {
    let server: NatsServer;
    let network: FaultyNetwork;
    const connections: NatsConnection[] = [];
    let names = 0;
    before(async () => {
      server = await NatsServer.start();
      network = await FaultyNetwork.between(server.url);
      for (const servers of [server.url, network.url]) {
        connections.push(
          await connect({ servers, reconnectTimeWait: 5, reconnectJitter: 0, maxReconnectAttempts: -1 }),
        );
      }
    });
    after(async () => {
      for (const nc of connections) await nc.close();
      await network.close();
      await server.stop();
    });
    const open = (namespace: string, nc = connections[0] as NatsConnection): Promise<JetStreamEventStore> =>
      JetStreamEventStore.open(nc, { namespace, messageSize: 200, cachedActors: 2 });

    it("by two stores that take turns", async () => {
      await fc.assert(
        fc.asyncProperty(commands, async (steps) => {
          const namespace = `quiet${++names}`;
          const stores = [await open(namespace), await open(namespace)];
          let turn = 0;
          const store = (): JetStreamEventStore => stores[turn++ % 2] as JetStreamEventStore;
          await run({ store, fault: () => {}, lossy: false }, steps);
        }),
        { seed, numRuns: 25 },
      );
    });

    it("with answers that are lost, connections that end, and processes that begin anew", async () => {
      await fc.assert(
        fc.asyncProperty(commands, async (steps) => {
          const namespace = `lossy${++names}`;
          const behind = connections[1] as NatsConnection;
          let store = await open(namespace, behind);
          const subject: Subject = {
            store: () => store,
            lossy: true,
            async fault(number) {
              if (number % 4 === 0) store = await open(namespace, behind);
              else if (number % 4 === 1) network.cut();
              else if (number % 4 === 2) network.cutAt(({ isPubAck }) => isPubAck, { times: 1 });
              else network.cutAt(({ to, subject }) => to === "server" && subject.startsWith("aether."), { times: 1 });
            },
          };
          await run(subject, steps);
        }),
        { seed, numRuns: 25 },
      );
    });
  });
});
