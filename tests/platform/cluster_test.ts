/** What nats-server and its client do, as far as the cluster leans on it: another version cannot change it unnoticed. */
import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { bucketConfig, bucketStream } from "../../cluster/nats_bucket.ts";
import { FaultyNetwork } from "../../testing/mod.ts";
import { type ApiAnswer, type PubAnswer, type Raw, raw, until } from "../support/jetstream.ts";

const EXPECTED = "Nats-Expected-Last-Subject-Sequence";

describe("nats-server, of a bucket whose keys have one value", () => {
  let server: Raw;
  let names = 0;
  before(async () => {
    server = await raw();
  });
  after(() => server[Symbol.asyncDispose]());

  interface Bucket {
    readonly namespace: string;
    readonly stream: string;
    readonly prefix: string;
    put(key: string, payload: string, revision?: number): Promise<PubAnswer>;
  }

  async function bucket(namespace = `p${++names}`): Promise<Bucket> {
    const stream = bucketStream(namespace);
    const prefix = `$KV.AETHER_${namespace}_cluster.`;
    const { error } = await server.api(`STREAM.CREATE.${stream}`, bucketConfig(namespace));
    assert.equal(error, undefined);
    return {
      namespace,
      stream,
      prefix,
      put: (key, payload, revision) =>
        server.publish(prefix + key, payload, revision === undefined ? {} : { [EXPECTED]: revision }),
    };
  }

  it("stores a value only over the revision that is expected of its own key, and says which one is there", async () => {
    const { put } = await bucket();
    const first = await put("node.a", "1", 0);
    await put("node.b", "1", 0);
    const second = await put("node.a", "2", first.seq);
    assert.deepEqual([first.seq, second.seq], [1, 3]);
    for (const revision of [0, first.seq, 2, 4]) {
      const { error } = await put("node.a", "3", revision);
      assert.equal(error?.err_code, 10071);
      assert.match(error?.description ?? "", /sequence: 3$/);
    }
    // Of those that try at once one is first.
    const answers = await Promise.all(Array.from({ length: 10 }, (_, index) => put("node.a", `${index}`, second.seq)));
    assert.equal(answers.filter(({ error }) => error === undefined).length, 1);
  });

  it("brings back what the last value replaced, once that was removed and the server was killed", async () => {
    await using own = await raw();
    const stream = bucketStream("killed");
    await own.api(`STREAM.CREATE.${stream}`, bucketConfig("killed"));
    const subject = (key: string): string => `$KV.AETHER_killed_cluster.${key}`;
    const put = (key: string, payload: string): Promise<PubAnswer> => own.publish(subject(key), payload);
    const last = async (key: string, nc = own.nc): Promise<string | undefined> => {
      const answer = await nc.request(
        `$JS.API.STREAM.MSG.GET.${stream}`,
        JSON.stringify({ last_by_subj: subject(key) }),
      );
      const { message } = answer.json<ApiAnswer>();
      return message && atob(message.data);
    };
    for (const payload of ["first", "second", "third"]) await put("node.a", payload);
    await put("node.b", "other");
    const { seq } = await put("node.a", "fourth");
    assert.equal((await own.api(`STREAM.MSG.DELETE.${stream}`, { seq, no_erase: true })).success, true);
    assert.equal(await last("node.a"), undefined);
    await own.server.kill();
    await own.server.restart();
    await using nc = await connect({ servers: own.server.url });
    assert.deepEqual([await last("node.a", nc), await last("node.b", nc)], ["third", "other"]);
    // No revision is given twice.
    assert.equal((await nc.request(subject("node.c"), "new")).json<PubAnswer>().seq, seq + 1);
  });

  it("gives the last value of each key below a wildcard, by sequence, and as of which sequence; 404 if there is none", async () => {
    const { stream, prefix, put } = await bucket();
    const ask = (multi_last: string[]): ReturnType<Raw["many"]> =>
      server.many(`$JS.API.DIRECT.GET.${stream}`, { multi_last });
    for (const key of ["x.node.b", "x.table", "x.node.a", "y.node.c", "x.node.b"]) await put(key, key);
    const [values, end] = [(await ask([`${prefix}x.>`])).slice(0, -1), (await ask([`${prefix}x.>`])).at(-1)];
    assert.deepEqual(values.map(({ headers }) => [headers?.get("Nats-Subject"), headers?.get("Nats-Sequence")]), [
      [`${prefix}x.table`, "2"],
      [`${prefix}x.node.a`, "3"],
      [`${prefix}x.node.b`, "5"],
    ]);
    assert.deepEqual([end?.headers?.code, end?.headers?.get("Nats-Num-Pending")], [204, "0"]);
    assert.equal(end?.headers?.get("Nats-UpTo-Sequence"), "5");
    const [none, ...more] = await ask([`${prefix}z.>`]);
    assert.deepEqual([none?.headers?.code, more.length], [404, 0]);
  });

  it("has no value of a key whose message was deleted, so that it can be made anew", async () => {
    const { stream, put } = await bucket();
    const { seq } = await put("node.a", "1", 0);
    const second = await put("node.a", "2", seq);
    // The one before is gone already.
    const { error } = await server.api(`STREAM.MSG.DELETE.${stream}`, { seq, no_erase: true });
    assert.ok(error);
    assert.equal((await server.api(`STREAM.MSG.DELETE.${stream}`, { seq: second.seq, no_erase: true })).success, true);
    assert.equal((await put("node.a", "3", second.seq)).error?.err_code, 10071);
    const third = await put("node.a", "3", 0);
    assert.equal(third.error, undefined);
    assert.ok(third.seq > second.seq);
  });

  it("counts from 1 again in a bucket that was deleted and made anew, with another time of creation", async () => {
    const one = await bucket();
    for (let count = 0; count < 3; count++) await one.put("node.a", "1");
    const before = await server.api(`STREAM.INFO.${one.stream}`);
    assert.equal((await server.api(`STREAM.DELETE.${one.stream}`)).success, true);
    // Between the two nobody takes a write.
    await assert.rejects(one.put("node.a", "1", 3), /no responders/i);
    const other = await bucket(one.namespace);
    const after = await server.api(`STREAM.INFO.${other.stream}`);
    assert.ok(Date.parse(after.created) >= Date.parse(before.created));
    assert.notEqual(after.created, before.created);
    assert.equal((await other.put("node.a", "1", 3)).error?.err_code, 10071);
    assert.equal((await other.put("node.a", "1", 0)).seq, 1);
  });

  it("delivers what was on the wire when a subscription was drained, and not when it was ended", async () => {
    await using network = await FaultyNetwork.between(server.server.url);
    await using nc = await connect({ servers: network.url });
    const counts: number[] = [];
    for (const end of ["drain", "unsubscribe"] as const) {
      let count = 0;
      const subscription = nc.subscribe("commands", { callback: () => void count++ });
      await nc.flush();
      network.pause();
      for (let index = 0; index < 100; index++) server.nc.publish("commands", `${index}`);
      await server.nc.flush();
      const ended = subscription[end]();
      network.resume();
      await ended;
      await nc.flush();
      counts.push(count);
    }
    assert.deepEqual(counts, [100, 0]);
    await until(() => network.connections === 1);
  });
});
