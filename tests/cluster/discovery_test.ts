import { connect, type NatsConnection } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Cluster, isAetherError, type MemberChange, NodeDiscovery } from "../../mod.ts";
import { FaultyNetwork } from "../../testing/mod.ts";
import { until } from "../support/jetstream.ts";
import { serverOf } from "./support/place.ts";

/** Names that mean something to NATS, to JSON or to a KV bucket. */
const HOSTILE = ["*", ">", "a.b", "a b", "node.a", "__proto__", "=2E", "$KV", "ü☃", "\u0000"];

describe("NodeDiscovery", () => {
  const at = serverOf();

  it("knows the members, what they told of themselves, and what becomes of them", async () => {
    const namespace = at.namespace();
    await using first = await NodeDiscovery.join(at.nc, { namespace, nodeId: "a", metadata: { zone: "eu", "": "x" } });
    const [ended, told] = [new AbortController(), [] as MemberChange[]];
    const listening = (async (): Promise<void> => {
      for await (const change of first.changes({ signal: ended.signal })) told.push(change);
    })().catch((error) => assert.equal(error, ended.signal.reason));
    await using second = await NodeDiscovery.join(at.nc, { namespace });
    assert.match(second.nodeId, /^node-/);
    const areUp = ({ members }: NodeDiscovery): boolean =>
      members.length === 2 && members.every(({ state }) => state === "up");
    await until(() => areUp(first) && areUp(second));
    const member = second.members.find(({ nodeId }) => nodeId === "a");
    assert.deepEqual(member?.metadata, { zone: "eu", "": "x" });
    assert.ok(Math.abs(Date.parse(member.joinedAt) - Date.now()) < 60_000);
    await second.leave();
    await until(() => first.members.length === 1);
    assert.deepEqual(told.filter(({ nodeId }) => nodeId === second.nodeId).map(({ type }) => type), [
      "nodeJoined",
      "nodeLeft",
    ]);
    ended.abort();
    await listening;
  });

  it("refuses the id of a node that is alive, and takes that of one which left, at once", async () => {
    const namespace = at.namespace();
    await using first = await NodeDiscovery.join(at.nc, { namespace, nodeId: "a" });
    await assert.rejects(
      NodeDiscovery.join(at.nc, { namespace, nodeId: "a" }),
      (error) => isAetherError(error, "NODE_ID_IN_USE") && error.nodeId === "a",
    );
    await first.leave();
    const began = performance.now();
    await using again = await NodeDiscovery.join(at.nc, { namespace, nodeId: "a" });
    assert.ok(performance.now() - began < 2_000, "it waited");
    assert.deepEqual(again.members.map(({ nodeId }) => nodeId), ["a"]);
  });

  it("takes the id of a node that crashed once its lease has been silent, and tells of the suspicion before", async () => {
    const namespace = at.namespace();
    const own = await connect({ servers: at.url });
    const crashed = await NodeDiscovery.join(own, { namespace, nodeId: "a" });
    await using other = await NodeDiscovery.join(at.nc, { namespace, nodeId: "b" });
    await until(() => other.members.length === 2);
    const told: MemberChange[] = [];
    const listening = (async (): Promise<void> => {
      for await (const change of other.changes()) told.push(change);
    })();
    await own.close();
    const leaving = crashed.leave(); // nobody hears it
    const began = performance.now();
    await using again = await NodeDiscovery.join(at.nc, { namespace, nodeId: "a" });
    const waited = performance.now() - began;
    assert.ok(waited > 3_500 && waited < 8_000, `${waited} ms`);
    await until(() => told.some(({ type }) => type === "nodeDead"));
    assert.deepEqual(again.members.map(({ nodeId }) => nodeId).sort(), ["a", "b"]);
    await other.leave();
    await listening;
    assert.deepEqual(told.filter(({ nodeId }) => nodeId === "a").map(({ type }) => type), [
      "nodeSuspected",
      "nodeDead",
      "nodeJoined",
    ]);
    await leaving;
  });

  it("has joined only once it is a member, also where its first life was over before it saw anything", async () => {
    const namespace = at.namespace();
    await using network = await FaultyNetwork.between(at.url);
    await using nc = await connect({ servers: network.url });
    const first = await NodeDiscovery.join(at.nc, { namespace });
    await first.leave();
    const observed: string[] = [];
    const observer = { event: (name: string): void => void observed.push(name) };
    const polls = network.swallow(({ to, subject }) => to === "server" && subject.startsWith("$JS.API.DIRECT.GET."), {
      times: Infinity,
    });
    const joining = NodeDiscovery.join(nc, { namespace, nodeId: "a", timeout: 30_000, observer });
    await polls.met();
    await at.nc.request(`$JS.API.STREAM.DELETE.KV_AETHER_${namespace}_cluster`, "", { timeout: 5_000 });
    await until(() => observed.includes("rejoin"));
    polls.end();
    await using node = await joining;
    assert.deepEqual(node.members.map(({ nodeId }) => nodeId), ["a"]);
  });

  it("has left where its connection is closed, at once", async () => {
    const namespace = at.namespace();
    const nc = await connect({ servers: at.url });
    const node = await NodeDiscovery.join(nc, { namespace, nodeId: "a" });
    await until(() => node.members[0]?.state === "up");
    const told: MemberChange[] = [];
    const listening = (async (): Promise<void> => {
      for await (const change of node.changes()) told.push(change);
    })();
    const began = performance.now();
    await nc.close();
    await listening;
    await node.leave();
    assert.deepEqual(node.members, []);
    const took = performance.now() - began;
    assert.ok(took < 3_000, `${took} ms: nobody is to be told`);
  });

  it("notices that the bucket was made anew, also where copies of its own records came late and are in it", async () => {
    const namespace = at.namespace();
    const { nc } = at;
    const stream = `KV_AETHER_${namespace}_cluster`;
    const ask = async <T>(api: string, request: unknown): Promise<T> =>
      (await nc.request(`$JS.API.${api}.${stream}`, JSON.stringify(request))).json<T>();
    const observed: string[] = [];
    const observer = { event: (name: string): void => void observed.push(name) };
    await using node = await NodeDiscovery.join(nc, { namespace, nodeId: "a", observer });
    await until(() => node.members[0]?.state === "up");
    const { config, state: { subjects } } = await ask<{
      readonly config: Record<string, unknown>;
      readonly state: { readonly subjects: Readonly<Record<string, number>> };
    }>("STREAM.INFO", { subjects_filter: ">" });
    const copies = await Promise.all(
      Object.keys(subjects).map(async (subject) => {
        const { message } = await ask<{ readonly message: { readonly data: string } }>("STREAM.MSG.GET", {
          last_by_subj: subject,
        });
        return { subject, data: Uint8Array.from(atob(message.data), (character) => character.charCodeAt(0)) };
      }),
    );
    assert.ok(copies.length >= 2, "its identity, and the node's record");
    await ask("STREAM.DELETE", {});
    await ask("STREAM.CREATE", config);
    // Above what it knows, so that it takes its record for one whose answer was lost.
    for (let count = 0; count < 100; count++) nc.publish(`$KV.AETHER_${namespace}_cluster.other`);
    for (const { subject, data } of copies) nc.publish(subject, data);
    await until(() => observed.includes("rejoin"));
    await until(() => node.members[0]?.state === "up");
  });

  it("keeps namespaces apart, whatever the nodes are called", async () => {
    const namespace = at.namespace();
    const walls = [namespace, `${namespace}_cluster`, `${namespace}-`];
    const nodes = await Promise.all(
      walls.map((namespace, index) => {
        const ids = [...HOSTILE, `only-${index}`];
        return Promise.all(
          ids.map((nodeId) => NodeDiscovery.join(at.nc, { namespace, nodeId, metadata: { [nodeId]: namespace } })),
        );
      }),
    );
    for (const [index, own] of nodes.entries()) {
      await until(() => own.every(({ members }) => members.length === HOSTILE.length + 1));
      for (const { members } of own) {
        assert.ok(members.every(({ metadata }) => Object.values(metadata).every((of) => of === walls[index])));
      }
      const [one] = own;
      const ids = one?.members.map(({ nodeId, metadata }) => [nodeId, Object.keys(metadata)[0]]) ?? [];
      assert.deepEqual(ids.sort(), [...HOSTILE, `only-${index}`].map((id) => [id, id]).sort());
    }
    await Promise.all(nodes.flat().map((node) => node.leave()));
  });
});

describe("joining", () => {
  const at = serverOf();

  it("is refused where the others have another number of shards, or speak another protocol", async () => {
    for (const [setting, value] of [["shards", 32], ["protocol", 2]] as const) {
      const namespace = at.namespace();
      const discovery = await NodeDiscovery.join(at.nc, { namespace });
      await discovery.leave();
      const info = (await at.nc.request(`$JS.API.STREAM.INFO.KV_AETHER_${namespace}_cluster`)).json<{
        readonly created: string;
      }>();
      const prefix = Date.parse(info.created).toString(36);
      const config = JSON.stringify({ v: 1, shards: 64, [setting === "shards" ? "shards" : "v"]: value });
      await at.nc.request(`$KV.AETHER_${namespace}_cluster.${prefix}.config`, config);
      await assert.rejects(Cluster.join(at.nc, { namespace }), (error) => {
        if (!isAetherError(error, "CLUSTER_CONFIG")) throw error;
        const [difference] = error.differences;
        assert.deepEqual(error.differences.length, 1);
        assert.deepEqual([difference?.setting, difference?.actual], [setting, String(value)]);
        return true;
      });
    }
  });

  it("is refused by a server before 2.12, without JetStream, and to names and facts that are none", async () => {
    const old = new Proxy(at.nc, {
      get(target, name): unknown {
        if (name === "info") return { ...target.info, version: "2.11.9" };
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    }) as NatsConnection;
    const namespace = at.namespace();
    for (const join of [NodeDiscovery.join, Cluster.join]) {
      await assert.rejects(
        join(old, { namespace }),
        (error) => isAetherError(error, "UNSUPPORTED_SERVER") && error.version === "2.11.9",
      );
      const bad = [{ nodeId: "" }, { nodeId: "x".repeat(129) }, { nodeId: "\ud800" }, { metadata: { a: 1 as never } }];
      for (const options of bad) {
        await assert.rejects(join(at.nc, { namespace, ...options }), { code: "INVALID_ARGUMENT" });
      }
      await assert.rejects(join(at.nc, { namespace: "a.b" }), { code: "INVALID_NAMESPACE" });
      const signal = AbortSignal.abort(new Error("no more"));
      await assert.rejects(join(at.nc, { namespace, signal }), /no more/);
    }
  });
});
