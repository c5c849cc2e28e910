import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Buffer } from "node:buffer";
import { crc32, gunzipSync } from "node:zlib";
import type { KvSnapshotStore } from "../../mod.ts";
import { largeState, snapshotOf } from "../../testing/snapshot_store/scene.ts";
import { type Raw, raw } from "../support/jetstream.ts";
import { open, streamOf, subjectOf, subjectsOf } from "./support.ts";

const LARGE = largeState(1, 2_500_000);

const checksumOf = (bytes: string | Uint8Array): string => crc32(bytes).toString(16).padStart(8, "0");

describe("what is in the bucket", () => {
  let server: Raw;
  let names = 0;
  before(async () => {
    server = await raw();
  });
  after(() => server[Symbol.asyncDispose]());

  /** A store whose reports are kept. */
  async function scene(): Promise<{ namespace: string; store: KvSnapshotStore; subject: string; ignored: string[] }> {
    const namespace = `trust-${++names}`;
    const ignored: string[] = [];
    const observer = {
      event(name: string, { actorId, reason }: Readonly<Record<string, unknown>>): void {
        if (name === "snapshotIgnored") ignored.push(`${actorId}: ${reason}`);
      },
    };
    const store = await open(server, namespace, { observer });
    return { namespace, store, subject: subjectOf(namespace, "order-1"), ignored };
  }

  /** The value of a key. */
  async function valueOf(subject: string): Promise<{ line: Record<string, unknown>; body: Uint8Array }> {
    const stream = `KV_${subject.split(".")[1]}`;
    const { data } = await server.nc.request(`$JS.API.DIRECT.GET.${stream}.${subject}`);
    const end = data.indexOf(10);
    return { line: JSON.parse(new TextDecoder().decode(data.subarray(0, end))), body: data.subarray(end + 1) };
  }

  const put = async (subject: string, line: Record<string, unknown>, body: string): Promise<void> => {
    const { error } = await server.publish(subject, `${JSON.stringify(line)}\n${body}`);
    assert.equal(error, undefined);
  };

  it("is a line of JSON and the state, compressed if it is large", async () => {
    const { store, subject } = await scene();
    const commands = [{ id: "c", version: 1, position: 2 }];
    const snapshot = snapshotOf("order-1", 7, { commands, state: { total: 42 } });
    await store.saveSnapshot(snapshot);
    const { state: _, ...facts } = snapshot;
    const { line, body } = await valueOf(subject);
    const text = '{"total":42}';
    const checksum = checksumOf(body);
    assert.equal(new TextDecoder().decode(body), text);
    assert.deepEqual(line, { v: 1, ...facts, encoding: "identity", size: text.length, checksum });
    const state = "x".repeat(10_000);
    await store.saveSnapshot(snapshotOf("order-1", 8, { state }));
    const zipped = await valueOf(subject);
    assert.equal(zipped.line["encoding"], "gzip");
    assert.equal(zipped.line["size"], 10_002);
    assert(zipped.body.length < 200);
    assert.equal(gunzipSync(zipped.body).toString(), JSON.stringify(state));
    await store.saveSnapshot(snapshotOf("order-1", 9, { state: "x".repeat(8_000) }));
    assert.equal((await valueOf(subject)).line["encoding"], "identity");
  });

  it("stays uncompressed where that makes it no smaller", async () => {
    const { namespace, subject } = await scene();
    const store = await open(server, namespace, { compressAbove: 0 });
    for (const [index, state] of ["", "abc", "x".repeat(1_000)].entries()) {
      await store.saveSnapshot(snapshotOf("order-1", index + 1, { state }));
      assert.equal((await valueOf(subject)).line["encoding"], state.length > 100 ? "gzip" : "identity");
      assert.equal((await store.getLatestSnapshot("order-1"))?.state, state);
    }
  });

  it("of a large state names its chunks, in their order, and lies on subjects below the key", async () => {
    const { store, subject, namespace } = await scene();
    await store.saveSnapshot(snapshotOf("order-1", 1, { state: LARGE }));
    const { line, body } = await valueOf(subject);
    assert.equal(body.length, 0);
    const { id, sequences } = line["chunks"] as { id: string; sequences: number[] };
    const parts: Uint8Array[] = [];
    for (const [index, seq] of sequences.entries()) {
      const part = await server.nc.request(`$JS.API.DIRECT.GET.${streamOf(namespace)}`, JSON.stringify({ seq }));
      assert.equal(part.headers?.get("Nats-Subject"), `${subject}.${id}.${index}`);
      parts.push(part.data);
    }
    assert(parts.length > 1);
    const whole = Buffer.concat(parts);
    assert.equal(checksumOf(whole), line["checksum"]);
    assert.deepEqual(JSON.parse((line["encoding"] === "gzip" ? gunzipSync(whole) : whole).toString()), LARGE);
  });

  it("is ignored, reported and erased if it is not to be trusted, and not in the way of a save", async () => {
    const { store, subject, ignored, namespace } = await scene();
    await store.saveSnapshot(snapshotOf("order-1", 1));
    const { line } = await valueOf(subject);
    const lie = { ...line, version: 1_000_000 };
    const body = '{"at":1}';
    const lies: readonly (readonly [value: () => Promise<unknown>, reason: RegExp])[] = [
      [() => server.publish(subject, "garbage"), /no snapshot/],
      [() => server.publish(subject, ""), /no snapshot/],
      [() => server.publish(subject, "null\n"), /no snapshot/],
      [() => put(subject, { ...lie, v: 2 }, body), /format is 2/],
      [() => put(subject, { ...lie, v: undefined }, body), /format/],
      [() => put(subject, lie, '{"at":2}'), /checksum/],
      [() => put(subject, { ...lie, size: 7 }, body), /size/],
      [() => put(subject, { ...lie, size: "8" }, body), /size/],
      [() => put(subject, { ...lie, encoding: "gzip" }, body), /gzip/],
      [() => put(subject, { ...lie, encoding: "zip" }, body), /encoding/],
      [() => put(subject, { ...lie, actorId: "order-2" }, body), /of "order-2"/],
      [() => put(subject, { ...lie, version: -1 }, body), /version/],
      [() => put(subject, { ...lie, position: undefined }, body), /position/],
      [() => put(subject, { ...lie, commands: [{}] }, body), /commands/],
      [() => put(subject, { ...lie, chunks: {} }, ""), /chunks/],
      [() => put(subject, { ...lie, chunks: { id: "x", sequences: [1] } }, ""), /chunk 0 is not at 1/],
      [() => put(subject, { ...lie, chunks: { id: "x", sequences: [999_999] } }, ""), /chunk 0/],
      [
        () => put(subject, { ...lie, size: 3, checksum: checksumOf("{,}") }, "{,}"),
        /JSON/,
      ],
    ];
    for (const [index, [write, reason]] of lies.entries()) {
      await write();
      assert.equal(await store.getLatestSnapshot("order-1"), undefined, `${reason}`);
      assert.match(ignored.pop() ?? "", new RegExp(`^order-1: .*${reason.source}`));
      assert.deepEqual(await subjectsOf(server, namespace), { [subject]: 1 });
      assert.equal(await store.getLatestSnapshot("order-1"), undefined);
      assert.deepEqual(ignored, [], "it is gone");
      await store.saveSnapshot(snapshotOf("order-1", index + 1));
      assert.equal((await store.getLatestSnapshot("order-1"))?.version, index + 1);
    }
  });

  it("does not stop a save, even if nobody has read it: it is replaced and erased", async () => {
    const { store, subject, namespace } = await scene();
    await store.saveSnapshot(snapshotOf("order-1", 1));
    const { line } = await valueOf(subject);
    await put(subject, { ...line, version: 1_000_000 }, "{}");
    await store.saveSnapshot(snapshotOf("order-1", 2));
    assert.equal((await store.getLatestSnapshot("order-1"))?.version, 2);
    assert.deepEqual(await subjectsOf(server, namespace), { [subject]: 1 });
  });

  it("of another shape is neither ignored nor erased", async () => {
    const { store, ignored } = await scene();
    await store.saveSnapshot(snapshotOf("order-1", 1, { schemaVersion: 2 }));
    assert.equal(await store.getLatestSnapshot("order-1", { schemaVersion: 1 }), undefined);
    assert.equal((await store.getLatestSnapshot("order-1"))?.version, 1);
    assert.deepEqual(ignored, []);
  });

  it("is ignored, reported and erased if a chunk is missing", async () => {
    const { store, subject, ignored, namespace } = await scene();
    await store.saveSnapshot(snapshotOf("order-1", 1, { state: LARGE }));
    const { line } = await valueOf(subject);
    const { sequences } = line["chunks"] as { sequences: number[] };
    await server.api(`STREAM.MSG.DELETE.${streamOf(namespace)}`, { seq: sequences[1] });
    assert.equal(await store.getLatestSnapshot("order-1"), undefined);
    assert.match(ignored.join(), /^order-1: its chunk 1 is not at \d+$/);
    assert.deepEqual(await subjectsOf(server, namespace), { [subject]: 1 });
  });

  it("cannot make anybody erase what is another's: chunks are erased by their subjects", async () => {
    const { store, subject, ignored } = await scene();
    await store.saveSnapshot(snapshotOf("order-2", 1));
    await store.saveSnapshot(snapshotOf("order-1", 1, { state: LARGE }));
    const { line } = await valueOf(subject);
    await put(subject, { ...line, chunks: { id: "0-x", sequences: [1] } }, "");
    await store.saveSnapshot(snapshotOf("order-1", 2));
    await put(subject, { ...line, chunks: { id: "0-x", sequences: [1] } }, "");
    await store.getLatestSnapshot("order-1");
    assert.match(ignored.join(), /its chunk 0 is not at 1/);
    await store.deleteSnapshot("order-1");
    assert.deepEqual(await store.getLatestSnapshot("order-2"), snapshotOf("order-2", 1));
  });

  it("is for `nats kv` a bucket like any other: a purged or deleted key has no snapshot", async () => {
    const { store, subject } = await scene();
    for (const operation of ["DEL", "PURGE"]) {
      await store.saveSnapshot(snapshotOf("order-1", 5));
      const headers = { "KV-Operation": operation, ...(operation === "PURGE" && { "Nats-Rollup": "sub" }) };
      assert.equal((await server.publish(subject, "", headers)).error, undefined);
      assert.equal(await store.getLatestSnapshot("order-1"), undefined);
      await store.saveSnapshot(snapshotOf("order-1", 3));
      assert.equal((await store.getLatestSnapshot("order-1"))?.version, 3);
      await store.deleteSnapshot("order-1");
    }
  });
});
