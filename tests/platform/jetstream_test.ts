/** What nats-server does, as far as the store leans on it: another version cannot change it unnoticed. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { shardOf } from "../../store/mod.ts";
import { configOf } from "../../store/stream_config.ts";
import { type ApiAnswer, headersOf, type PubAnswer, type Raw, raw, until } from "../support/jetstream.ts";

const EXPECTED = "Nats-Expected-Last-Subject-Sequence";

describe("nats-server", () => {
  let server: Raw;
  let names = 0;
  before(async () => {
    server = await raw({ config: 'mappings = { "place.*": "placed.{{partition(64,1)}}.{{wildcard(1)}}" }' });
  });
  after(() => server[Symbol.asyncDispose]());

  /** A namespace with its stream. */
  async function stream(): Promise<{ name: string; subject: (token: string) => string }> {
    const namespace = `p${++names}`;
    await server.api(`STREAM.CREATE.AETHER_${namespace}`, configOf(namespace, 64));
    return { name: `AETHER_${namespace}`, subject: (token) => `aether.${namespace}.events.1.x.${token}` };
  }

  it("makes a stream once: the same configuration again is the same stream, another is 10058", async () => {
    const config = configOf("once", 64);
    const first = await server.api("STREAM.CREATE.AETHER_once", config);
    assert.equal(first.did_create, true);
    assert.equal((await server.api("STREAM.CREATE.AETHER_once", config)).error, undefined);
    const other = await server.api("STREAM.CREATE.AETHER_once", configOf("once", 32));
    assert.equal(other.error.err_code, 10058);
    assert.equal((await server.api("STREAM.INFO.AETHER_none")).error.err_code, 10059);
  });

  it("checks the last sequence of the subject, and says which it is", async () => {
    const { subject } = await stream();
    const first = await server.publish(subject("a"), "1", { [EXPECTED]: 0 });
    await server.publish(subject("b"), "1");
    const stale = await server.publish(subject("a"), "2", { [EXPECTED]: 0 });
    assert.deepEqual(stale.error, { code: 400, err_code: 10071, description: `wrong last sequence: ${first.seq}` });
    assert.equal((await server.publish(subject("a"), "2", { [EXPECTED]: first.seq })).error, undefined);
  });

  it("stores a batch whole, with consecutive sequences, and answers with the last", async () => {
    const { subject } = await stream();
    const { answer } = await batch(["a", "b", "a"].map((token) => ({ subject: subject(token) })));
    assert.deepEqual([answer.seq, answer.count], [3, 3]);
    const refused = await batch([
      { subject: subject("a"), fields: { [EXPECTED]: 3 } },
      { subject: subject("b"), fields: { [EXPECTED]: 1 } },
    ]);
    assert.equal(refused.answer.error?.err_code, 10071);
    assert.equal((await server.publish(subject("c"), "")).seq, 4);
  });

  it("honours a check on a subject that the batch does not write, written or never written", async () => {
    const { subject } = await stream();
    const { seq } = await server.publish(subject("other"), "");
    const check = (token: string, sequence: number): object => ({
      subject: subject("a"),
      fields: { [EXPECTED]: sequence, [`${EXPECTED}-Subject`]: subject(token) },
    });
    const write = { subject: subject("a") };
    const attempt = async (...messages: object[]): Promise<number | undefined> =>
      (await batch(messages as { subject: string }[])).answer.error?.err_code;
    assert.equal(await attempt(write, check("other", seq)), undefined);
    assert.equal(await attempt(write, check("never", 0)), undefined);
    assert.equal(await attempt(write, check("other", seq + 1)), 10071);
    assert.equal(await attempt(write, check("never", 7)), 10071);
  });

  it("takes 1,000 messages in a batch and refuses 1,001 with 10199", async () => {
    const { subject } = await stream();
    const many = (count: number): { subject: string }[] =>
      Array.from({ length: count }, () => ({ subject: subject("a") }));
    assert.equal((await batch(many(1_000))).answer.count, 1_000);
    assert.equal((await batch(many(1_001))).answer.error?.err_code, 10199);
  });

  it("takes an attempt once: the same expectation again is refused, whatever came behind it", async () => {
    const { subject } = await stream();
    const attempt = { [EXPECTED]: 0 };
    const { seq } = await server.publish(subject("a"), "ours", attempt);
    for (let last = seq, count = 0; count < 500; count++) {
      last = (await server.publish(subject("a"), "theirs", { [EXPECTED]: last })).seq;
    }
    assert.equal((await server.publish(subject("a"), "ours", attempt)).error?.err_code, 10071);
  });

  it("answers only the last message of a batch with a reason, the others if they ask, and refuses it as incomplete", async () => {
    const { name, subject } = await stream();
    const { config } = await server.api(`STREAM.INFO.${name}`);
    await server.api(`STREAM.UPDATE.${name}`, { ...config, max_msg_size: 1_000 });
    const messages = [{ payload: "x".repeat(2_000), last: false }, { payload: "y", last: true }];
    const send = (asked: boolean): Promise<(PubAnswer | undefined)[]> => {
      const id = crypto.randomUUID();
      return Promise.all(messages.map(async ({ payload, last }, index) => {
        const fields = {
          "Nats-Batch-Id": id,
          "Nats-Batch-Sequence": index + 1,
          ...(last && { "Nats-Batch-Commit": 1 }),
        };
        if (last || asked) return await server.publish(subject("a"), payload, fields);
        server.nc.publish(subject("a"), payload, { headers: headersOf(fields) });
        return undefined;
      }));
    };
    assert.deepEqual((await send(false)).map((answer) => answer?.error?.err_code), [undefined, 10176]);
    assert.deepEqual((await send(true)).map((answer) => answer?.error?.err_code), [10054, 10176]);
    const whole = await server.nc.request(subject("a"), "y", {
      headers: headersOf({ "Nats-Batch-Id": "whole", "Nats-Batch-Sequence": 1 }),
      timeout: 5_000,
    });
    assert.equal(whole.data.length, 0, "a message that waits for the rest of its batch has an empty answer");
  });

  it("gives the last message of a literal subject, or 404", async () => {
    const { name, subject } = await stream();
    await server.publish(subject("a"), "1");
    const { seq } = await server.publish(subject("a"), "2", { "Aether-Version": 2 });
    const last = await server.nc.request(`$JS.API.DIRECT.GET.${name}.${subject("a")}`);
    assert.deepEqual([last.string(), last.headers?.get("Nats-Sequence"), last.headers?.get("Aether-Version")], [
      "2",
      `${seq}`,
      "2",
    ]);
    assert.equal((await server.nc.request(`$JS.API.DIRECT.GET.${name}.${subject("none")}`)).headers?.code, 404);
    assert.equal((await server.api(`STREAM.MSG.GET.${name}`, { last_by_subj: subject("none") })).error.err_code, 10037);
    assert.equal((await server.api(`STREAM.MSG.GET.${name}`, { last_by_subj: subject(">") })).message.seq, seq);
  });

  it("gives a batch of messages of one subject, at least one, and says how many are left", async () => {
    const { name, subject } = await stream();
    for (const payload of ["1", "2", "3"]) {
      await server.publish(subject("a"), payload);
      await server.publish(subject("b"), payload);
    }
    const get = async (request: object): Promise<[payloads: string, code: number, pending: string]> => {
      const messages = await server.many(`$JS.API.DIRECT.GET.${name}`, {
        seq: 1,
        next_by_subj: subject("a"),
        ...request,
      });
      const end = messages.pop();
      const payloads = messages.map((message) => message.string()).join();
      return [payloads, end?.headers?.code ?? 0, end?.headers?.get("Nats-Num-Pending") ?? ""];
    };
    assert.deepEqual(await get({ batch: 10 }), ["1,2,3", 204, "0"]);
    assert.deepEqual(await get({ batch: 2 }), ["1,2", 204, "1"]);
    assert.deepEqual(await get({ batch: 9, max_bytes: 1 }), ["1", 204, "2"]);
    assert.deepEqual(await get({ batch: 9, seq: 4 }), ["3", 204, "0"]);
    assert.deepEqual(await get({ batch: 9, seq: 99 }), ["", 404, ""]);
    const next = await server.api(`STREAM.MSG.GET.${name}`, { seq: 2, next_by_subj: subject("a") });
    assert.equal(next.message.seq, 3);
  });

  it("gives the last messages of many subjects, and lists the subjects of a wildcard", async () => {
    const { name, subject } = await stream();
    for (const token of ["a", "b", "b"]) await server.publish(subject(token), token);
    const request = { multi_last: ["a", "b", "none"].map(subject), batch: 3 };
    const messages = await server.many(`$JS.API.DIRECT.GET.${name}`, request);
    assert.deepEqual(messages.slice(0, -1).map((message) => message.headers?.get("Nats-Subject")), [
      subject("a"),
      subject("b"),
    ]);
    const { state, total } = await server.api(`STREAM.INFO.${name}`, { subjects_filter: subject("*"), offset: 0 });
    assert.deepEqual([state.subjects, total], [{ [subject("a")]: 1, [subject("b")]: 2 }, 2]);
  });

  it("erases a message by sequence, and answers the second time 10043, or 10057 before the first message", async () => {
    const { name, subject } = await stream();
    for (const payload of ["1", "2", "3"]) await server.publish(subject("a"), payload);
    const erase = (seq: number): Promise<ApiAnswer> =>
      server.api(`STREAM.MSG.DELETE.${name}`, { seq, no_erase: false });
    for (const seq of [2, 1]) assert.equal((await erase(seq)).success, true);
    const { error } = await erase(1);
    assert.deepEqual(error, { code: 500, err_code: 10057, description: "no message found" });
    await server.publish(subject("a"), "4");
    assert.equal((await erase(4)).success, true);
    assert.equal((await erase(4)).error.err_code, 10043);
  });

  it("delivers to a push consumer in order, tells where each message stands, and beats when idle", async () => {
    const { name, subject } = await stream();
    for (const payload of ["1", "2", "3"]) await server.publish(subject("a"), payload);
    const seen: string[] = [];
    let beat: string | undefined;
    const subscription = server.nc.subscribe("deliver.x", {
      callback: (_, message) => {
        if (message.headers?.code === 100) beat = message.headers.get("Nats-Last-Consumer");
        else seen.push(`${message.subject === subject("a")} ${message.reply?.split(".").slice(-5, -2)}`);
      },
    });
    const config = { name: "c", deliver_subject: "deliver.x", deliver_policy: "by_start_sequence", opt_start_seq: 2 };
    const more = { ack_policy: "none", flow_control: true, idle_heartbeat: 100_000_000, mem_storage: true };
    const body = { stream_name: name, config: { ...config, ...more }, action: "create" };
    assert.equal((await server.api(`CONSUMER.CREATE.${name}.c`, body)).num_pending, 2);
    await until(() => beat !== undefined);
    assert.deepEqual([seen, beat], [["true 1,2,1", "true 1,3,2"], "2"]);
    subscription.unsubscribe();
  });

  it("announces what is committed on the bus, and nothing of a batch that was refused", async () => {
    const { subject } = await stream();
    const heard: string[] = [];
    const bus = subject("*").replace(".events.", ".bus.");
    const subscription = server.nc.subscribe(bus, { callback: (_, message) => void heard.push(message.string()) });
    await server.nc.flush();
    await server.publish(subject("a"), "one");
    await batch([{ subject: subject("a"), fields: { [EXPECTED]: 99 } }, { subject: subject("b") }]);
    await server.publish(subject("a"), "two");
    await until(() => heard.length === 2);
    assert.deepEqual(heard, ["one", "two"]);
    subscription.unsubscribe();
  });

  it("counts headers into max_payload", async () => {
    const { subject } = await stream();
    const limit = server.nc.info?.max_payload ?? 0;
    const head = headersOf({ "Aether-Version": 1 });
    const size = `NATS/1.0\r\nAether-Version: 1\r\n\r\n`.length;
    const answer = await server.nc.request(subject("a"), "x".repeat(limit - size), { headers: head, timeout: 5_000 });
    assert.equal(answer.json<{ seq: number }>().seq, 1);
  });

  it("partitions by FNV-1a of the token, as shardOf does", async () => {
    const tokens = ["order-123", "a", "account-7", "x".repeat(200), "A_b-C"];
    for (const token of tokens) {
      const { promise, resolve } = Promise.withResolvers<string>();
      const subscription = server.nc.subscribe(`placed.*.${token}`, {
        callback: (_, message) => resolve(message.subject.split(".")[1] ?? ""),
      });
      server.nc.publish(`place.${token}`);
      assert.equal(await promise, String(shardOf(token, 64)));
      subscription.unsubscribe();
    }
  });

  async function batch(
    messages: { subject: string; fields?: Record<string, string | number> }[],
  ): Promise<{ answer: Awaited<ReturnType<Raw["publish"]>> }> {
    const id = crypto.randomUUID();
    const fieldsOf = (index: number): Record<string, string | number> => ({
      ...messages[index]?.fields,
      "Nats-Batch-Id": id,
      "Nats-Batch-Sequence": index + 1,
    });
    const last = messages.length - 1;
    for (const [index, { subject }] of messages.slice(0, last).entries()) {
      server.nc.publish(subject, "", { headers: headersOf(fieldsOf(index)) });
    }
    const commit = { ...fieldsOf(last), "Nats-Batch-Commit": 1 };
    return { answer: await server.publish(messages[last]?.subject ?? "", "", commit) };
  }
});
