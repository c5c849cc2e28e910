/** What the server does with atomic batches of several subjects, which the lane of checked appends leans on. */
import { type NatsConnection, NoRespondersError } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { configOf } from "../../store/stream_config.ts";
import { headersOf, type PubAnswer, until } from "../support/jetstream.ts";
import { type Started, startOne, startThree } from "../support/servers.ts";

const EXPECTED = "Nats-Expected-Last-Subject-Sequence";

for (const [servers, start] of [["one server", startOne], ["three servers", startThree]] as const) {
  describe(`an atomic batch of several subjects, on ${servers}`, () => {
    let started: Started;
    let nc: NatsConnection;
    before(async () => {
      started = await start();
      nc = await connect({ servers: started.url });
    });
    after(async () => {
      await nc.close();
      await started.stop();
    });

    it("is stored if each has its own expectation and each fence is checked on an extra message", async () => {
      const { actor, fence, publish, batch } = await stream();
      const fences = [await publish(fence(1)), await publish(fence(2))];
      const first = await publish(actor("a"));
      const stored = await batch(
        [actor("a"), first],
        [actor("b"), 0],
        [actor("b"), fences[0] ?? 0, fence(1)],
        [actor("c"), 0],
        [actor("c"), fences[1] ?? 0, fence(2)],
      );
      assert.deepEqual([stored.error, stored.seq, stored.count], [undefined, first + 5, 5]);
    });

    it("is refused with the last sequence of the first subject that has moved, 0 if that has none", async () => {
      const { actor, fence, publish, batch } = await stream();
      const epoch = await publish(fence(1));
      const [a, b] = [await publish(actor("a")), await publish(actor("b"))];
      const refusal = async (...messages: Message[]): Promise<unknown> => {
        const { error } = await batch(...messages);
        return [error?.err_code, error?.description];
      };
      const check: Message = [actor("c"), epoch - 1, fence(1)];
      assert.deepEqual(await refusal([actor("a"), a], [actor("b"), 0], [actor("c"), 0], check), [
        10071,
        `wrong last sequence: ${b}`,
      ]);
      assert.deepEqual(await refusal([actor("a"), 0], [actor("b"), 0]), [10071, `wrong last sequence: ${a}`]);
      assert.deepEqual(await refusal([actor("a"), a], [actor("c"), 0], check), [
        10071,
        `wrong last sequence: ${epoch}`,
      ]);
      assert.deepEqual(await refusal([actor("d"), 9], [actor("e"), 0]), [10071, "wrong last sequence: 0"]);
    });

    it("meets another that checks the same fence: at worst it is refused with 10164, and stored later", async () => {
      const { actor, fence, publish, batch } = await stream();
      const epoch = await publish(fence(1));
      const attempt = (index: number): Promise<PubAnswer> => {
        return batch([actor(`x${index}`), 0], [actor(`x${index}`), epoch, fence(1)]);
      };
      const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => attempt(index)));
      const codes = new Set(answers.map(({ error }) => error?.err_code));
      codes.delete(undefined);
      assert.ok([...codes].every((code) => started.replicas > 1 && code === 10164), `${[...codes]}`);
      for (const [index, { error }] of answers.entries()) {
        if (error !== undefined) assert.equal((await attempt(index)).error, undefined);
      }
    });

    it("is never stored behind a fence that was written while it was under way", async () => {
      const { actor, fence, publish, batch } = await stream();
      for (let round = 0; round < 30; round++) {
        const epoch = await publish(fence(1));
        const batches = Array.from({ length: 4 }, (_, index) => {
          return batch([actor(`${round}-${index}`), 0], [actor(`${round}-${index}`), epoch, fence(1)]);
        });
        const taken = publish(fence(1));
        const stored = (await Promise.all(batches)).map(({ seq }) => seq ?? 0);
        assert.ok(Math.max(...stored) < await taken, `${stored} behind ${await taken}`);
      }
    });

    /** A subject, the last sequence expected of it or of another one. */
    type Message = readonly [subject: string, sequence: number, of?: string];

    async function stream(): Promise<{
      actor(id: string): string;
      fence(shard: number): string;
      publish(subject: string): Promise<number>;
      batch(...messages: Message[]): Promise<PubAnswer>;
    }> {
      const namespace = crypto.randomUUID();
      const config = { ...configOf(namespace, 64), name: `AETHER_${namespace}`, num_replicas: started.replicas };
      const made = await nc.request(`$JS.API.STREAM.CREATE.${config.name}`, JSON.stringify(config), {
        timeout: 10_000,
      });
      assert.equal(made.json<{ error?: unknown }>().error, undefined);
      // The servers tell each other of its subjects a moment later.
      const isKnown = (): Promise<boolean> =>
        nc.request(`aether.${namespace}.fence.63`, "").then(() => true, (error) => {
          if (error instanceof NoRespondersError || error.cause instanceof NoRespondersError) return false;
          throw error;
        });
      await until(isKnown);
      return {
        actor: (id) => `aether.${namespace}.events.1.x.${id}`,
        fence: (shard) => `aether.${namespace}.fence.${shard}`,
        async publish(subject): Promise<number> {
          return (await nc.request(subject, "", { timeout: 10_000 })).json<PubAnswer>().seq;
        },
        async batch(...messages): Promise<PubAnswer> {
          const id = crypto.randomUUID();
          for (const [index, [subject, sequence, of]] of messages.entries()) {
            const fields = {
              [EXPECTED]: sequence,
              ...(of !== undefined && { [`${EXPECTED}-Subject`]: of }),
              "Nats-Batch-Id": id,
              "Nats-Batch-Sequence": index + 1,
            };
            if (index < messages.length - 1) nc.publish(subject, "[]", { headers: headersOf(fields) });
            else {
              const head = headersOf({ ...fields, "Nats-Batch-Commit": 1 });
              return (await nc.request(subject, "[]", { headers: head, timeout: 10_000 })).json();
            }
          }
          throw new RangeError("no messages");
        },
      };
    }
  });
}
