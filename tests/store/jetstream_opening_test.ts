import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isAetherError } from "../../errors.ts";
import { JetStreamEventStore, shardOf } from "../../mod.ts";
import { checkServer } from "../../store/stream_config.ts";
import { NatsServer } from "../../testing/mod.ts";
import { all, outline, rejects, several, upTo } from "../../testing/event_store/scene.ts";
import { stores } from "../support/stores.ts";

describe("JetStreamEventStore opens", () => {
  const at = stores();
  const { open } = at;

  it("once, whoever is first, when ten do so at once", async () => {
    const connections = await Promise.all(upTo(10).map(() => connect({ servers: at.server.server.url })));
    const stores = await Promise.all(connections.map((nc) => JetStreamEventStore.open(nc, { namespace: "ten" })));
    await Promise.all(stores.map((store, index) => store.append(`order-${index}`, several(1))));
    assert.equal((await all((await open({ namespace: "ten" })).listActors())).length, 10);
    await Promise.all(connections.map((nc) => nc.close()));
  });

  it("a stream with the settings of the design, and leaves one that is there as the operator has set it", async () => {
    await open({ namespace: "kept", replicas: 1 });
    const { config } = await at.server.api("STREAM.INFO.AETHER_kept");
    assert.deepEqual(config.subjects, ["aether.kept.events.>", "aether.kept.fence.>"]);
    assert.deepEqual(
      [config.storage, config.retention, config.discard, config.allow_direct, config.allow_atomic],
      ["file", "limits", "new", true, true],
    );
    assert.deepEqual([config.duplicate_window, config.allow_rollup_hdrs, config.deny_delete], [
      100_000_000,
      false,
      false,
    ]);
    assert.deepEqual(config.republish, { src: "aether.kept.events.>", dest: "aether.kept.bus.>" });
    const operated = { ...config, max_bytes: 5_000_000, compression: "s2", duplicate_window: 60_000_000_000 };
    await at.server.api("STREAM.UPDATE.AETHER_kept", operated);
    await open({ namespace: "kept" });
    const { config: after } = await at.server.api("STREAM.INFO.AETHER_kept");
    assert.deepEqual([after.max_bytes, after.compression, after.duplicate_window], [5_000_000, "s2", 60_000_000_000]);
  });

  it("with the shards of the stream, and refuses another number", async () => {
    assert.equal((await open({ namespace: "eight", shards: 8 })).shards, 8);
    assert.equal((await open({ namespace: "eight" })).shards, 8);
    const differences = [{ setting: "metadata aether.shards", expected: '"64"', actual: '"8"' }];
    await rejects(open({ namespace: "eight", shards: 64 }), "STREAM_CONFIG", { stream: "AETHER_eight", differences });
  });

  it("no stream that is set so that the guarantees would not hold, and names what differs", async () => {
    await open({ namespace: "odd" });
    const { config } = await at.server.api("STREAM.INFO.AETHER_odd");
    await at.server.api("STREAM.UPDATE.AETHER_odd", { ...config, discard: "old", allow_direct: false });
    const { differences } = await rejects(open({ namespace: "odd" }), "STREAM_CONFIG");
    assert.deepEqual(differences, [
      { setting: "discard", expected: '"new"', actual: '"old"' },
      { setting: "allow_direct", expected: "true", actual: "false" },
    ]);
    await at.server.api("STREAM.CREATE.AETHER_foreign", { name: "AETHER_foreign", subjects: ["foreign.>"] });
    await rejects(open({ namespace: "foreign" }), "STREAM_CONFIG", { stream: "AETHER_foreign" });
    await rejects(open({ namespace: "nowhere", create: false }), "STREAM_CONFIG", { stream: "AETHER_nowhere" });
    assert.equal((await at.server.api("STREAM.INFO.AETHER_nowhere")).error.err_code, 10059);
  });

  it("nothing by arguments that make no sense", async () => {
    for (const namespace of ["", "a.b", "ü", "x".repeat(65), undefined]) {
      await rejects(open({ namespace: namespace as string }), "INVALID_NAMESPACE");
    }
    const bad = { shards: 0, replicas: -1, timeout: 2 ** 31, messageSize: -1, cachedActors: NaN };
    for (const [argument, value] of Object.entries(bad)) {
      await rejects(open({ [argument]: value }), "INVALID_ARGUMENT", { argument });
    }
    for (const nc of [undefined, "nats://localhost", Promise.resolve()]) {
      await rejects(JetStreamEventStore.open(nc as never, { namespace: "x" }), "INVALID_ARGUMENT", {
        argument: "nc",
      });
    }
    await rejects(JetStreamEventStore.open(at.server.nc, undefined as never), "INVALID_ARGUMENT", {
      argument: "options",
    });
    await rejects(open({ replicas: 3 }), "STREAM_CONFIG");
    await rejects(open({ domain: "hub", apiPrefix: "$JS.hub.API" }), "INVALID_ARGUMENT", { argument: "apiPrefix" });
  });

  it("in a JetStream domain, by the domain or its API prefix", async () => {
    await using hub = await NatsServer.start({ jetstream: { domain: "hub" } });
    await using nc = await connect({ servers: hub.url });
    await using store = await JetStreamEventStore.open(nc, { namespace: "far", domain: "hub" });
    await store.append("order-1", several(2));
    await store.transact([{ actorId: "order-1", events: several(1) }, { actorId: "order-2", events: several(1) }]);
    await using other = await JetStreamEventStore.open(nc, { namespace: "far", apiPrefix: "$JS.hub.API" });
    assert.deepEqual(outline(await all(other.readAll())).length, 3);
    await other.deleteActor("order-1");
    assert.equal((await all(store.listActors())).length, 1);
  });

  it("on no server before 2.12", () => {
    const server = (version: string): void => checkServer({ info: { version } } as never);
    for (const version of ["2.12.0", "2.15.2", "3.0.0", "2.14.0-RC.1"]) server(version);
    for (const version of ["2.11.9", "2.9.25", "1.4.1"]) {
      assert.throws(
        () => server(version),
        (error) => isAetherError(error, "UNSUPPORTED_SERVER") && error.version === version,
      );
    }
  });

  it("not without JetStream, nor without permission", async () => {
    await using plain = await NatsServer.start({ jetstream: false });
    await using nc = await connect({ servers: plain.url });
    await rejects(JetStreamEventStore.open(nc, { namespace: "x", timeout: 300 }), "UNAVAILABLE");
    const permissions = { publish: { allow: ["$JS.API.STREAM.INFO.>", "$JS.API.STREAM.CREATE.>"] } };
    const accounts = { A: { users: [{ user: "a", password: "p", permissions }] } };
    await using narrow = await NatsServer.start({ accounts });
    await using limited = await connect({ servers: narrow.url, user: "a", pass: "p" });
    const store = await JetStreamEventStore.open(limited, { namespace: "x", timeout: 500 });
    const subject = `aether.x.events.${shardOf("order-1", 64)}.order.order-1`;
    await rejects(store.append("order-1", several(1), { expectedVersion: 0 }), "PERMISSION", { subject });
    await rejects(store.getLatestVersion("order-1"), "PERMISSION", {
      subject: `$JS.API.DIRECT.GET.AETHER_x.${subject}`,
    });
  });
});
