/** What an attack on the bus on NATS found. */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { isAetherError, NatsEventBus } from "../../mod.ts";
import { inTime } from "../../testing/event_bus/scene.ts";
import { eventOf, upTo } from "../../testing/event_store/scene.ts";
import { FaultyNetwork, NatsServer } from "../../testing/mod.ts";
import { until } from "../support/jetstream.ts";

describe("a NatsEventBus under attack", () => {
  let server: NatsServer;
  let network: FaultyNetwork;
  let nc: NatsConnection;
  before(async () => {
    server = await NatsServer.start();
    network = await FaultyNetwork.between(server.url);
    nc = await connect({ servers: network.url, reconnectTimeWait: 20, maxReconnectAttempts: -1 });
  });
  after(async () => {
    await nc.close();
    await network.close();
    await server.stop();
  });

  it("drains a member of a group while there is no connection", async () => {
    const bus = await NatsEventBus.open(nc, { namespace: "away" });
    const member = bus.on({ group: "g" }, () => {});
    await member.ready;
    network.pause();
    network.cut();
    try {
      const away = (error: unknown): boolean => isAetherError(error, "UNAVAILABLE");
      await until(() => bus.publish(eventOf("order-1", 1)).then(() => false, away));
      await new Promise((resolve) => setTimeout(resolve, 100)); // it dials by now, and nobody answers
      const begun = performance.now();
      await inTime(member.drain(), () => "the end of a member that can be given nothing");
      const milliseconds = performance.now() - begun;
      assert.ok(milliseconds < 1_000, `after ${milliseconds} ms`);
    } finally {
      network.resume();
    }
  });

  it("forgets subscriptions at a cost that does not grow with those that stay", async () => {
    const bus = await NatsEventBus.open(nc, { namespace: "many" });
    const subscriptions = upTo(20_000).map((number) => bus.on({ actorId: `order-${number}` }, () => {}));
    await subscriptions.at(-1)?.ready;
    const time = async (count: number): Promise<number> => {
      const begun = performance.now();
      for (const _ of upTo(count)) await subscriptions.pop()?.[Symbol.asyncDispose]();
      return (performance.now() - begun) / count;
    };
    const [first] = [await time(2_000), await time(16_000)];
    assert.ok(first < 4 * await time(2_000) + 0.05, `${first} ms each`);
    await bus[Symbol.asyncDispose]();
  });
});
