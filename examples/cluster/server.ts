/** A nats-server with JetStream, fetched if there is none; until Ctrl+C. Its data is gone afterwards. */
import process from "node:process";
import { NatsServer } from "../../testing/mod.ts";

await using server = await NatsServer.start();
console.log(`export NATS_URL=${server.url}`);
const { promise, resolve } = Promise.withResolvers<void>();
const alive = setInterval(() => {}, 60_000); // the server does not keep a process alive
process.once("SIGINT", () => resolve());
await promise;
clearInterval(alive);
