import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Attributes, type KvSnapshotOptions, KvSnapshotStore, type Observer } from "../../mod.ts";
import { rejects } from "../../testing/event_store/scene.ts";
import { FaultyNetwork, type NetworkMessage } from "../../testing/mod.ts";
import { assertWhole, largeState, snapshotOf } from "../../testing/snapshot_store/scene.ts";
import { type Raw, raw } from "../support/jetstream.ts";
import { open, streamOf, subjectOf, subjectsOf } from "./support.ts";

const SIZE = 2_500_000;
const isPut = ({ to, subject }: NetworkMessage): boolean => to === "server" && subject.startsWith("$KV.");

describe("a store of snapshots whose network fails", () => {
  let server: Raw;
  let names = 0;
  const ends: (() => Promise<void>)[] = [];
  before(async () => {
    server = await raw();
  });
  after(async () => {
    for (const end of ends) await end();
    await server[Symbol.asyncDispose]();
  });

  interface Scene {
    readonly namespace: string;
    readonly subject: string;
    readonly network: FaultyNetwork;
    readonly store: KvSnapshotStore;
    readonly beside: KvSnapshotStore;
  }

  /** A store behind a faulty network and one beside it. */
  async function scene(options: Partial<KvSnapshotOptions> = {}): Promise<Scene> {
    const namespace = `faults-${++names}`;
    const network = await FaultyNetwork.between(server.server.url);
    const nc = await connect({ servers: network.url });
    ends.push(() => nc.close(), () => network.close());
    const beside = await open(server, namespace);
    const store = await KvSnapshotStore.open(nc, { namespace, timeout: 3_000, ...options });
    return { namespace, network, store, beside, subject: subjectOf(namespace, "order-1") };
  }

  it("has saved what is stored, though the answer is lost", async () => {
    const { network, store, beside, namespace, subject } = await scene();
    await store.saveSnapshot(snapshotOf("order-1", 1));
    const lost = network.swallow(({ isPubAck }) => isPubAck, { times: 1 });
    await store.saveSnapshot(snapshotOf("order-1", 2));
    assert.equal(lost.count, 1);
    assert.deepEqual(await beside.getLatestSnapshot("order-1"), snapshotOf("order-1", 2));
    const { state } = await server.api(`STREAM.INFO.${streamOf(namespace)}`);
    assert.equal(state.last_seq, 2, "stored once");
    assert.deepEqual(await subjectsOf(server, namespace), { [subject]: 1 });
  });

  it("has saved a large state once, whichever answer is lost", async () => {
    for (let index = 0; index < 4; index++) {
      const { network, store, beside, namespace } = await scene();
      let acks = 0;
      const lost = network.swallow(({ isPubAck }) => isPubAck && acks++ === index, { times: 1 });
      await store.saveSnapshot(snapshotOf("order-1", 1, { state: largeState(1, SIZE) }));
      const snapshot = await beside.getLatestSnapshot("order-1");
      assert(snapshot);
      assertWhole(snapshot, SIZE);
      const { state } = await server.api(`STREAM.INFO.${streamOf(namespace)}`);
      assert.equal(state.last_seq, state.messages, "stored once");
      if (lost.count === 0) return;
    }
    assert.fail("there are fewer messages than that");
  });

  it("sends again what did not arrive, and not what another has replaced meanwhile", async () => {
    const { network, store, beside } = await scene();
    network.swallow(isPut, { times: 1 });
    await store.saveSnapshot(snapshotOf("order-1", 1));
    assert.equal((await beside.getLatestSnapshot("order-1"))?.version, 1);
    const late = network.hold(isPut, { times: 1 });
    const saving = store.saveSnapshot(snapshotOf("order-1", 2));
    await late.met();
    await beside.saveSnapshot(snapshotOf("order-1", 3));
    await saving;
    late.release();
    await store.saveSnapshot(snapshotOf("order-1", 1)); // behind it on the same connection
    assert.equal((await beside.getLatestSnapshot("order-1"))?.version, 3);
  });

  it("that loses against another erases its own chunks and theirs, and keeps what is later", async () => {
    const { network, store, beside, namespace, subject } = await scene();
    await beside.saveSnapshot(snapshotOf("order-1", 1, { state: largeState(1, SIZE) }));
    const held = network.hold(({ to, subject: of }) => to === "server" && of === subject, { times: 1 });
    const saving = store.saveSnapshot(snapshotOf("order-1", 2, { state: largeState(2, SIZE) }));
    await held.met();
    await beside.saveSnapshot(snapshotOf("order-1", 3));
    held.release();
    await saving;
    assert.deepEqual(await beside.getLatestSnapshot("order-1"), snapshotOf("order-1", 3));
    assert.deepEqual(await subjectsOf(server, namespace), { [subject]: 1 });
  });

  it("reads the new state whole if the old one was replaced while its chunks were read", async () => {
    const { network, store, beside } = await scene();
    await beside.saveSnapshot(snapshotOf("order-1", 1, { state: largeState(1, SIZE) }));
    const isChunk = ({ to, subject, text }: NetworkMessage): boolean =>
      to === "server" && subject.endsWith(`DIRECT.GET.KV_${store.bucket}`) && text.includes('"seq"');
    const held = network.hold(isChunk);
    const reading = store.getLatestSnapshot("order-1");
    await held.met();
    await beside.saveSnapshot(snapshotOf("order-1", 2, { state: largeState(2, SIZE) }));
    held.release();
    const snapshot = await reading;
    assert.equal(snapshot?.version, 2);
    assertWhole(snapshot, SIZE);
  });

  it("does not take back what it has saved or deleted, whatever a replica that lags says", async () => {
    const { network, store } = await scene();
    await store.saveSnapshot(snapshotOf("order-1", 1));
    const isAnswer = ({ to, answerTo = "" }: NetworkMessage): boolean =>
      to === "client" && answerTo.includes("DIRECT.GET");
    for (const version of [2, undefined]) {
      const late = network.hold(isAnswer, { times: 1 });
      const reading = store.getLatestSnapshot("order-1");
      await late.met();
      if (version === undefined) await store.deleteSnapshot("order-1");
      else await store.saveSnapshot(snapshotOf("order-1", version));
      late.release();
      assert.equal((await reading)?.version, version);
    }
  });

  it("finds nothing to erase in a value that has been replaced since it was read", async () => {
    const { network, store, beside, subject } = await scene();
    await server.publish(subject, "garbage");
    const held = network.hold(({ to, subject: of }) => to === "server" && of.includes("STREAM.INFO"), { times: 1 });
    const reading = store.getLatestSnapshot("order-1");
    await held.met();
    await beside.saveSnapshot(snapshotOf("order-1", 1));
    held.release();
    assert.equal(await reading, undefined);
    assert.equal((await beside.getLatestSnapshot("order-1"))?.version, 1);
  });

  it("is UNAVAILABLE when time is up, and aborted by its signal with the reason", async () => {
    const { network, store, beside } = await scene({ timeout: 300 });
    await store.saveSnapshot(snapshotOf("order-1", 1));
    const dead = network.swallow(() => true);
    await rejects(store.getLatestSnapshot("order-1"), "UNAVAILABLE");
    await rejects(store.saveSnapshot(snapshotOf("order-1", 2)), "UNAVAILABLE");
    await rejects(store.deleteSnapshot("order-1"), "UNAVAILABLE");
    dead.end();
    const held = network.hold(isPut);
    const stop = new AbortController();
    const reason = new Error("enough");
    const saving = store.saveSnapshot(snapshotOf("order-1", 2), { signal: stop.signal });
    await held.met();
    stop.abort(reason);
    await assert.rejects(saving, (error) => error === reason);
    held.release();
    await store.saveSnapshot(snapshotOf("order-1", 3));
    assert.equal((await beside.getLatestSnapshot("order-1"))?.version, 3);
  });

  it("erases the chunks of a state that the bucket has no room for", async () => {
    const { store, namespace } = await scene();
    const { config } = await server.api(`STREAM.INFO.${streamOf(namespace)}`);
    await server.api(`STREAM.UPDATE.${streamOf(namespace)}`, { ...config, max_bytes: 1_500_000 });
    const state = largeState(1, SIZE);
    await rejects(store.saveSnapshot(snapshotOf("order-1", 1, { state })), "LIMIT_REACHED");
    assert.deepEqual(await subjectsOf(server, namespace), {});
    await store.saveSnapshot(snapshotOf("order-1", 1));
  });

  it("tells its observer of every call and how it ended", async () => {
    const lines: string[] = [];
    const show = (attributes: Attributes): string => {
      const { namespace: _, ...rest } = attributes;
      return Object.entries(rest).map(([key, value]) => ` ${key}=${value}`).join("");
    };
    const observer: Observer = {
      event: (name, attributes) => void lines.push(`${name}${show(attributes)}`),
      start: (operation, attributes) => ({
        end: (outcome, more = {}) => void lines.push(`${operation}${show(attributes)} → ${outcome}${show(more)}`),
      }),
    };
    const { store, subject } = await scene({ observer });
    await store.saveSnapshot(snapshotOf("order-1", 2));
    await store.saveSnapshot(snapshotOf("order-1", 1));
    await store.getLatestSnapshot("order-1");
    await server.publish(subject, "garbage");
    await store.getLatestSnapshot("order-1");
    await store.deleteSnapshot("order-1");
    assert.deepEqual(lines, [
      "saveSnapshot actorId=order-1 version=2 → ok stored=true",
      "saveSnapshot actorId=order-1 version=1 → ok stored=false",
      "getLatestSnapshot actorId=order-1 → ok found=true version=2",
      "snapshotIgnored actorId=order-1 reason=it is no snapshot",
      "getLatestSnapshot actorId=order-1 → ok found=false",
      "deleteSnapshot actorId=order-1 → ok",
    ]);
  });

  it("leaves commands out where they alone are larger than a message", async () => {
    const { store } = await scene();
    const commands = Array.from({ length: 100 }, (_, index) => ({
      id: `${index}${"x".repeat(20_000)}`,
      version: index + 1,
      position: index + 1,
    }));
    await store.saveSnapshot(snapshotOf("order-1", 100, { commands }));
    assert.deepEqual(await store.getLatestSnapshot("order-1"), snapshotOf("order-1", 100));
  });

  it("does not keep a process or a connection busy once it is closed", async () => {
    const { store } = await scene();
    await store.saveSnapshot(snapshotOf("order-1", 1));
    const varz = async (): Promise<number> =>
      (await (await fetch(`${server.server.monitorUrl}/varz`)).json()).subscriptions;
    await server.nc.flush();
    const open = await varz();
    await store[Symbol.asyncDispose]();
    await rejects(store.getLatestSnapshot("order-1"), "CLOSED");
    let left = await varz();
    for (let tries = 0; left !== open - 1 && tries < 100; tries++) left = await varz();
    assert.equal(left, open - 1);
  });
});
