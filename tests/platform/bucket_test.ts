/** What nats-server does, as far as the snapshot store leans on it: another version cannot change it unnoticed. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { bucketConfig } from "../../snapshot/bucket.ts";
import { type PubAnswer, type Raw, raw } from "../support/jetstream.ts";
import { occurrences, streamOf, subjectsOf, written } from "../snapshot/support.ts";

const EXPECTED = "Nats-Expected-Last-Subject-Sequence";

describe("nats-server, of a bucket", () => {
  let server: Raw;
  let names = 0;
  before(async () => {
    server = await raw();
  });
  after(() => server[Symbol.asyncDispose]());

  interface Bucket {
    readonly namespace: string;
    readonly stream: string;
    readonly key: string;
    put(payload: string, fields?: Record<string, string | number>): Promise<PubAnswer>;
  }

  async function bucket(settings: object = {}): Promise<Bucket> {
    const namespace = `p${++names}`;
    const stream = streamOf(namespace);
    const key = `$KV.AETHER_${namespace}_snapshots.1.order.order-1`;
    const { error } = await server.api(`STREAM.CREATE.${stream}`, { ...bucketConfig(namespace, 64), ...settings });
    assert.equal(error, undefined);
    return { namespace, stream, key, put: (payload, fields) => server.publish(key, payload, fields) };
  }

  it("leaves what a full history pushes out in its files", async () => {
    for (const max_msgs_per_subject of [1, 2]) {
      const { namespace, key, put } = await bucket({ max_msgs_per_subject });
      await put("secret-one");
      await written(server.server, namespace, "secret-one");
      for (let count = 1; count <= max_msgs_per_subject; count++) await put(`later-${count}`);
      await written(server.server, namespace, `later-${max_msgs_per_subject}`);
      assert.deepEqual(await subjectsOf(server, namespace), { [key]: max_msgs_per_subject });
      assert.equal(await occurrences(server.server, namespace, "secret-one"), 1);
    }
  });

  it("erases a message that is deleted by its sequence, at once", async () => {
    const { namespace, stream, put } = await bucket();
    const { seq } = await put("secret-one");
    await put("secret-two");
    await written(server.server, namespace, "secret-two");
    assert.equal((await server.api(`STREAM.MSG.DELETE.${stream}`, { seq, no_erase: false })).success, true);
    assert.equal(await occurrences(server.server, namespace, "secret-one"), 0);
    assert.equal(await occurrences(server.server, namespace, "secret-two"), 1);
  });

  it("refuses deletion for good where it is denied", async () => {
    const { stream, put } = await bucket({ deny_delete: true });
    const { seq } = await put("1");
    assert.equal((await server.api(`STREAM.MSG.DELETE.${stream}`, { seq })).error.err_code, 10057);
    const { config } = await server.api(`STREAM.INFO.${stream}`);
    const { error } = await server.api(`STREAM.UPDATE.${stream}`, { ...config, deny_delete: false });
    assert.match(error.description, /can not cancel deny message deletes/);
  });

  it("checks the last sequence of a key for a marker as for a value, and a marker counts as the last", async () => {
    const { put } = await bucket();
    const { seq } = await put("1", { [EXPECTED]: 0 });
    const marker = { "KV-Operation": "DEL" };
    assert.equal((await put("", { ...marker, [EXPECTED]: 0 })).error?.err_code, 10071);
    const deleted = await put("", { ...marker, [EXPECTED]: seq });
    assert.equal(deleted.error, undefined);
    assert.equal((await put("2", { [EXPECTED]: 0 })).error?.err_code, 10071);
    assert.equal((await put("2", { [EXPECTED]: seq })).error?.err_code, 10071);
    assert.equal((await put("2", { [EXPECTED]: deleted.seq })).error, undefined);
  });

  it("goes by what is left once the last message of a key is erased: the one before it, or none", async () => {
    const { stream, put } = await bucket();
    const first = await put("1");
    const second = await put("2");
    await server.api(`STREAM.MSG.DELETE.${stream}`, { seq: second.seq });
    assert.equal((await put("3", { [EXPECTED]: second.seq })).error?.err_code, 10071);
    const third = await put("3", { [EXPECTED]: first.seq });
    for (const seq of [first.seq, third.seq]) await server.api(`STREAM.MSG.DELETE.${stream}`, { seq });
    assert.equal((await put("4", { [EXPECTED]: 0 })).error, undefined);
  });

  it("counts the messages of a key and lists the subjects below it, without the key, as of a last sequence", async () => {
    const { stream, key, put } = await bucket();
    await put("1");
    await put("2");
    for (const chunk of ["0-x.0", "0-x.1"]) await server.publish(`${key}.${chunk}`, "part");
    await server.publish(`${key}0`, "another");
    const count = async (subjects_filter: string): Promise<unknown> => {
      const { state } = await server.api(`STREAM.INFO.${stream}`, { subjects_filter });
      return [state.last_seq, state.subjects];
    };
    assert.deepEqual(await count(key), [5, { [key]: 2 }]);
    assert.deepEqual(await count(`${key}.>`), [5, { [`${key}.0-x.0`]: 1, [`${key}.0-x.1`]: 1 }]);
    assert.deepEqual(await count(`${key}.none`), [5, undefined]);
  });

  it("gives a message of max_payload by its sequence, also as text from the leader", async () => {
    const { stream, put } = await bucket();
    const payload = "x".repeat(server.nc.info?.max_payload ?? 0);
    const answer = await server.nc.request(`$KV.AETHER_p${names}_snapshots.1.a.a`, payload, { timeout: 5_000 });
    assert.equal(answer.json<PubAnswer>().seq, 1);
    await put("behind");
    const direct = await server.nc.request(`$JS.API.DIRECT.GET.${stream}`, '{"seq":1}', { timeout: 5_000 });
    assert.equal(direct.data.length, payload.length);
    const { message } = await server.api(`STREAM.MSG.GET.${stream}`, { seq: 1 });
    assert.equal(atob(message.data).length, payload.length);
  });

  it("refuses what a full bucket has no room for, and drops nothing", async () => {
    const { namespace, key, put } = await bucket({ max_bytes: 1_000 });
    await put("x".repeat(600));
    assert.equal((await put("y".repeat(600))).error?.err_code, 10077);
    assert.deepEqual(await subjectsOf(server, namespace), { [key]: 1 });
  });
});
