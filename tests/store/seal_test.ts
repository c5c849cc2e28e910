/** Seals as messages, and what becomes of them where answers are lost. */
import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type AppendResult, type EventStore, type Fence, JetStreamEventStore, shardOf } from "../../mod.ts";
import { FaultyNetwork, type NetworkMessage } from "../../testing/mod.ts";
import { added, rejects, several } from "../../testing/event_store/scene.ts";
import { type Raw, raw } from "../support/jetstream.ts";

const shard = shardOf("order-1", 64);
const fence = (epoch: number): Fence => ({ shard, epoch, checked: false });
const isPublish = ({ to, subject }: NetworkMessage): boolean => to === "server" && subject.startsWith("aether.");

describe("a seal", () => {
  let server: Raw;
  const ends: (() => Promise<void>)[] = [];
  before(async () => {
    server = await raw();
  });
  after(async () => {
    for (const end of ends) await end();
    await server[Symbol.asyncDispose]();
  });

  it("is an empty commit of the owner's epoch; a check by a fence that is checked is none", async () => {
    const store = await JetStreamEventStore.open(server.nc, { namespace: "wire" });
    const subject = `aether.wire.events.${shard}.order.order-1`;
    await store.append("order-1", several(2), { fence: fence(1) });
    const { seq: epoch } = await server.publish(`aether.wire.fence.${shard}`, "");
    await store.append("order-1", [], { expectedVersion: 2, fence: { shard, epoch, checked: true } });
    assert.equal((await server.api("STREAM.INFO.AETHER_wire")).state.last_seq, epoch);
    const { position } = await store.append("order-1", [], { expectedVersion: 2, fence: fence(epoch) });
    const { message } = await server.api("STREAM.MSG.GET.AETHER_wire", { seq: position });
    assert.equal(message.subject, subject);
    assert.equal(atob(message.data), "[]");
    const expected = { "Nats-Expected-Last-Subject-Sequence": 1 };
    const headers = { "Aether-Version": 2, "Aether-Previous": 1, "Aether-Epoch": epoch, ...expected };
    const lines = atob(message.hdrs).split("\r\n").filter((line) => line.includes(":")).sort();
    assert.deepEqual(lines, Object.entries(headers).map(([name, value]) => `${name}: ${value}`).sort());
    const { seq: later } = await server.publish(`aether.wire.fence.${shard}`, "");
    const stale = { expectedVersion: 2, fence: { shard, epoch, checked: true } };
    await rejects(store.append("order-1", [], stale), "FENCED", { shard, epoch: later });
  });

  it("whose answer is lost is known by its epoch, be it this store's or another's of the same owner", async () => {
    const { network, store, beside } = await scene("lost");
    const lost = network.swallow(({ isPubAck }) => isPubAck, { times: 1 });
    assert.equal((await seal(store, 7)).position, 2);
    assert.equal(lost.count, 1);
    assert.equal(await beside.position(), 2);
    const never = network.swallow(isPublish, { times: 1 });
    const sealing = seal(store, 8);
    await never.met();
    await seal(beside, 8);
    assert.equal((await sealing).position, 3);
    assert.equal(await beside.position(), 3);
  });

  it("that was stored holds though others wrote behind it", async () => {
    const { network, store, beside } = await scene("behind");
    const lost = network.swallow(({ isPubAck }) => isPubAck, { times: 1 });
    const sealing = seal(store, 7);
    await lost.met();
    for (let count = 0; count < 20; count++) await beside.append("order-1", [added(count)]);
    assert.deepEqual([(await sealing).position, (await sealing).version], [2, 1]);
  });

  it("that never arrived is sent again, is a conflict behind others' events, and FENCED behind their seal", async () => {
    const { network, store, beside } = await scene("never");
    const never = (): ReturnType<FaultyNetwork["swallow"]> => network.swallow(isPublish, { times: 1 });
    never();
    assert.equal((await seal(store, 7)).position, 2);
    let lost = never();
    let sealing = seal(store, 8);
    await lost.met();
    await beside.append("order-1", several(1), { fence: fence(8) });
    await rejects(sealing, "VERSION_CONFLICT", { expectedVersion: 1, actualVersion: 2 });
    lost = never();
    sealing = store.append("order-1", [], { expectedVersion: 2, fence: fence(9) });
    await lost.met();
    await beside.append("order-1", [], { expectedVersion: 2, fence: fence(10) });
    await rejects(sealing, "FENCED", { shard, epoch: 10 });
  });

  it("of no answer until the deadline is an unknown outcome", async () => {
    const { network, store, beside } = await scene("unknown", 400);
    network.swallow(({ to, answerTo = "" }) => to === "client" && !answerTo.includes("DIRECT.GET"));
    await rejects(seal(store, 7), "UNKNOWN_OUTCOME", { actorIds: ["order-1"], eventIds: [] });
    assert.equal((await seal(beside, 7)).position, 2);
  });

  function seal(store: EventStore, epoch: number): Promise<AppendResult> {
    return store.append("order-1", [], { expectedVersion: 1, fence: fence(epoch) });
  }

  /** A store behind a faulty network and one beside it; `order-1` is at version 1. */
  async function scene(
    namespace: string,
    timeout = 5_000,
  ): Promise<{ network: FaultyNetwork; store: EventStore; beside: EventStore }> {
    const network = await FaultyNetwork.between(server.server.url);
    const nc = await connect({ servers: network.url });
    ends.push(() => nc.close(), () => network.close());
    const beside = await JetStreamEventStore.open(server.nc, { namespace });
    await beside.append("order-1", several(1));
    return { network, beside, store: await JetStreamEventStore.open(nc, { namespace, timeout }) };
  }
});
