import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { InMemoryEventStore, JetStreamEventStore } from "../mod.ts";
import { eventStoreConformance, NatsCluster, NatsServer } from "../testing/mod.ts";
import { ON_DENO_ONLY } from "./support/once.ts";
import { connectedTo } from "./support/servers.ts";

describe("InMemoryEventStore", () => {
  for (const { name, run } of eventStoreConformance((namespace) => new InMemoryEventStore({ namespace }))) {
    it(name, run);
  }
});

describe("JetStreamEventStore", () => onServers(1, () => NatsServer.start()));
// Three servers answer differently than one; what a runtime makes of their answers is known from one.
describe("JetStreamEventStore on three servers", { skip: ON_DENO_ONLY }, () => onServers(3, () => NatsCluster.start()));

/** Stores of one namespace take turns over connections of their own, to different servers where there are several. */
function onServers(replicas: number, start: () => Promise<NatsServer | NatsCluster>): void {
  const connection = connectedTo(start, 4);
  const open = (namespace: string): Promise<JetStreamEventStore> => {
    return JetStreamEventStore.open(connection(), { namespace, replicas });
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
