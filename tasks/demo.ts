/** The quick start in memory, and on JetStream where a server is at hand: nothing is downloaded. */
import { connect } from "@nats-io/transport-node";
import process from "node:process";
import { type OrderEvent, quickStart } from "../examples/quick_start.ts";
import { InMemoryEventStore, JetStreamEventStore } from "../mod.ts";
import { findNatsServer } from "../testing/nats_binary.ts";
import { NatsServer } from "../testing/nats_server.ts";

console.log(await quickStart(new InMemoryEventStore()));
console.log("\nThat was the store in memory. Now on JetStream:\n");

const url = process.env.NATS_URL;
if (url !== undefined) await onJetStream(url);
else {
  const binary = await findNatsServer({ download: false }).catch((error: Error) => {
    console.log(`no NATS_URL is set, and no nats-server is here (${error.message}).`);
    console.log(
      "`deno task test` fetches one; or install it: https://docs.nats.io/running-a-nats-service/introduction",
    );
  });
  if (binary !== undefined) {
    const server = await NatsServer.start({ binary });
    try {
      await onJetStream(server.url);
    } finally {
      await server.stop();
    }
  }
}

async function onJetStream(url: string): Promise<void> {
  const nc = await connect({ servers: url });
  // A namespace of its own: the quick start begins with an order that is not there yet.
  const namespace = `quick-start-${crypto.randomUUID().slice(0, 8)}`;
  try {
    const store = await JetStreamEventStore.open<OrderEvent>(nc, { namespace });
    console.log(await quickStart(store));
    console.log(`\nThat was the store on JetStream: stream ${store.stream} of nats-server ${nc.info?.version}.`);
  } finally {
    await nc.request(`$JS.API.STREAM.DELETE.AETHER_${namespace}`);
    await nc.close();
  }
}
