/** What consumers of nats-server do, as far as `readAll` leans on it: another version cannot change it unnoticed. */
import { createInbox, type Msg } from "@nats-io/nats-core";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { DeliveryReader } from "../../store/delivery.ts";
import { configOf } from "../../store/stream_config.ts";
import { upTo } from "../../testing/event_store/scene.ts";
import { type Raw, raw, until } from "../support/jetstream.ts";

for (const config of ["", "feature_flags { js_ack_fc_v2: true }"]) {
  describe(`a push consumer of nats-server ${config}`, () => {
    let server: Raw;
    let names = 0;
    before(async () => {
      server = await raw({ config });
    });
    after(() => server[Symbol.asyncDispose]());

    it("says of each message its sequence, its number, its time and how many are to come", async () => {
      const { name, publish } = await stream();
      for (const payload of ["a", "b", "c"]) await publish("x", payload);
      await using consumer = await consume(name, { opt_start_seq: 2 });
      await until(() => consumer.messages.length >= 2);
      const reader = new DeliveryReader();
      const delivered = consumer.messages.slice(0, 2).map((message) => reader.read(message));
      assert.deepEqual(delivered.map((one) => [one?.sequence, one?.delivered, one?.pending]), [[2, 1, 1], [3, 2, 0]]);
      for (const one of delivered) {
        const { message: { time } } = await server.api(`STREAM.MSG.GET.${name}`, { seq: one?.sequence });
        assert.equal(one?.storedAt, new Date(time).toISOString());
      }
    });

    it("beats when idle, and says how far it has looked, past what its filter leaves out", async () => {
      const { name, publish, subject } = await stream();
      await publish("x", "a");
      for (const payload of ["b", "c"]) await publish("y", payload);
      await using consumer = await consume(name, { opt_start_seq: 1, filter_subject: subject("x") });
      await until(() => consumer.beats.length > 0);
      const [beat] = consumer.beats;
      assert.deepEqual([beat?.headers?.get("Nats-Last-Consumer"), beat?.headers?.get("Nats-Last-Stream")], ["1", "3"]);
      assert.equal(new DeliveryReader().read(beat as Msg), undefined);
    });

    it("waits for an answer to flow control, and asks again by its beats", async () => {
      const { name, publish } = await stream();
      await Promise.all(upTo(40).map(() => publish("x", "x".repeat(100_000))));
      await using consumer = await consume(name, { opt_start_seq: 1 });
      await until(() => consumer.beats.length > 0);
      const stalled = consumer.beats[0]?.headers?.get("Nats-Consumer-Stalled") ?? "";
      const [asked] = consumer.messages.filter(({ reply }) => reply?.startsWith("$JS.FC."));
      assert.ok(stalled !== "" && asked?.reply === stalled);
      assert.equal(new DeliveryReader().read(asked), undefined);
      const { length } = consumer.messages;
      assert.ok(length < 40);
      server.nc.publish(stalled);
      await until(() => consumer.messages.length > length);
    });

    it("delivers nothing before the sequence that it starts from, though that lies behind the end", async () => {
      const { name, publish } = await stream();
      await publish("x", "1");
      await using consumer = await consume(name, { opt_start_seq: 3 });
      for (const payload of ["2", "3", "4"]) await publish("x", payload);
      await until(() => consumer.messages.length === 2);
      assert.deepEqual(consumer.messages.map((message) => message.string()), ["3", "4"]);
    });

    it("is removed by a request that nobody waits for", async () => {
      const { name } = await stream();
      await using consumer = await consume(name, { opt_start_seq: 1 });
      server.nc.publish(`$JS.API.CONSUMER.DELETE.${name}.${consumer.name}`);
      await until(async () => (await server.api(`STREAM.INFO.${name}`)).state.consumer_count === 0);
    });

    it("is none the leader needs to find the first message since a moment", async () => {
      const { name, publish } = await stream();
      for (const payload of ["a", "b"]) {
        await publish("x", payload);
        const end = Date.now() + 3;
        await until(() => Date.now() > end);
      }
      const { message: { time } } = await server.api(`STREAM.MSG.GET.${name}`, { seq: 2 });
      const since = (moment: number): object => ({ start_time: new Date(moment).toISOString(), next_by_subj: ">" });
      const found = await server.api(`STREAM.MSG.GET.${name}`, since(Date.parse(time)));
      assert.equal(found.message.seq, 2);
      assert.equal((await server.api(`STREAM.MSG.GET.${name}`, since(0))).message.seq, 1);
      const none = await server.api(`STREAM.MSG.GET.${name}`, since(Date.parse(time) + 60_000));
      assert.equal(none.error.err_code, 10037);
    });

    async function stream(): Promise<
      { name: string; subject(token: string): string; publish(token: string, payload: string): Promise<unknown> }
    > {
      const namespace = `c${++names}`;
      await server.api(`STREAM.CREATE.AETHER_${namespace}`, configOf(namespace, 64));
      const subject = (token: string): string => `aether.${namespace}.events.1.t.${token}`;
      return {
        name: `AETHER_${namespace}`,
        subject,
        publish: (token, payload) => server.publish(subject(token), payload),
      };
    }

    async function consume(
      stream: string,
      more: object,
    ): Promise<AsyncDisposable & { name: string; messages: Msg[]; beats: Msg[] }> {
      const name = crypto.randomUUID().slice(-12);
      const inbox = createInbox();
      const messages: Msg[] = [];
      const beats: Msg[] = [];
      const subscription = server.nc.subscribe(inbox, {
        callback: (_, message) => void (message.reply ? messages : beats).push(message),
      });
      const config = {
        name,
        deliver_subject: inbox,
        deliver_policy: "by_start_sequence",
        ack_policy: "none",
        max_deliver: 1,
        flow_control: true,
        idle_heartbeat: 100_000_000,
        mem_storage: true,
        ...more,
      };
      const answer = await server.api(`CONSUMER.CREATE.${stream}.${name}${filterOf(more)}`, {
        stream_name: stream,
        config,
        action: "create",
      });
      assert.equal(answer.error, undefined);
      return {
        name,
        messages,
        beats,
        [Symbol.asyncDispose](): Promise<void> {
          subscription.unsubscribe();
          return Promise.resolve();
        },
      };
    }
  });
}

function filterOf({ filter_subject }: { readonly filter_subject?: string }): string {
  return filter_subject === undefined ? "" : `.${filter_subject}`;
}
