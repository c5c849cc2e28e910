import { describe, it } from "node:test";
import { InMemorySnapshotStore, KvSnapshotStore } from "../../mod.ts";
import { NatsCluster, NatsServer, snapshotStoreConformance } from "../../testing/mod.ts";
import { ON_DENO_ONLY } from "../support/once.ts";
import { connectedTo } from "../support/servers.ts";

describe("InMemorySnapshotStore", () => {
  for (const { name, run } of snapshotStoreConformance(() => new InMemorySnapshotStore())) it(name, run);
});

describe("KvSnapshotStore", () => onServers(1, () => NatsServer.start()));
// As with the event store, whose connection it shares.
describe("KvSnapshotStore on three servers", { skip: ON_DENO_ONLY }, () => onServers(3, () => NatsCluster.start()));

/** Stores of one namespace take turns over connections of their own, to different servers where there are several. */
function onServers(replicas: number, start: () => Promise<NatsServer | NatsCluster>): void {
  const connection = connectedTo(start, 3);
  const open = (namespace: string): Promise<KvSnapshotStore> => {
    return KvSnapshotStore.open(connection(), { namespace, replicas });
  };
  for (const { name, run } of snapshotStoreConformance(open, { shared: true })) it(name, run);
}
