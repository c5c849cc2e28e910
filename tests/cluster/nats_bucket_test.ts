/** The bucket of a cluster on a real server. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Bucket } from "../../cluster/bucket.ts";
import { bucketStream, NatsBuckets } from "../../cluster/nats_bucket.ts";
import { type Raw, raw } from "../support/jetstream.ts";

describe("the bucket of a cluster", () => {
  let server: Raw;
  let names = 0;
  before(async () => {
    server = await raw();
  });
  after(() => server[Symbol.asyncDispose]());

  async function opened(): Promise<{ namespace: string; bucket: Bucket }> {
    const namespace = `b${++names}`;
    const buckets = new NatsBuckets(server.nc, { namespace, replicas: undefined, prefix: undefined, timeout: 5_000 });
    return { namespace, bucket: await buckets.open(new AbortController().signal) };
  }

  it("writes over the revision that is meant, and says which one is there", async () => {
    const { bucket } = await opened();
    const first = await bucket.write("node.a", { state: "up" }, 0);
    assert.ok(first.kind === "stored");
    assert.deepEqual(await bucket.write("node.a", {}, 0), { kind: "conflict", revision: first.revision });
    const entry = await bucket.read("node.a");
    assert.ok(entry !== undefined && entry !== "none");
    assert.deepEqual([entry.key, entry.revision, entry.value], ["node.a", first.revision, { state: "up" }]);
    assert.deepEqual((await bucket.readAll())?.map(({ key }) => key), ["node.a"]);
    assert.equal(await bucket.read("node.b"), "none");
  });

  it("removes a revision, and what is removed is certainly gone, also the second time", async () => {
    const { namespace, bucket } = await opened();
    const written = await bucket.write("node.a", {}, 0);
    assert.ok(written.kind === "stored");
    const entry = { key: "node.a", revision: written.revision, value: {} };
    assert.deepEqual([await bucket.remove(entry), await bucket.remove(entry)], [true, true]);
    assert.equal(await bucket.read("node.a"), "none");
    const again = await bucket.write("node.a", {}, 0);
    assert.ok(again.kind === "stored" && again.revision > written.revision);
    await server.api(`STREAM.DELETE.${bucketStream(namespace)}`);
    assert.equal(await bucket.remove(entry), true);
    assert.equal(await bucket.read("node.a"), "none");
    assert.deepEqual(await bucket.write("node.a", {}, 0), { kind: "conflict", revision: 0 });
  });
});
