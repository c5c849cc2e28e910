/** What reading costs nats-server and what it promises, as far as `store/actor_messages.ts` leans on it. */
import type { Msg } from "@nats-io/nats-core";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { headerText } from "../../store/raw_headers.ts";
import { configOf } from "../../store/stream_config.ts";
import { NatsServer } from "../../testing/mod.ts";
import { headersOf, type Raw, raw, until } from "../support/jetstream.ts";

const BLOCK = 8 * 1_048_576;
/** Blocks of the large stream, and messages in each, about. */
const BLOCKS = 10;
const PER_BLOCK = 500;

describe("nats-server, reading one subject", () => {
  let server: Raw;
  let names = 0;
  before(async () => {
    server = await raw();
  });
  after(() => server[Symbol.asyncDispose]());

  /** A namespace with its stream, in which messages of these actors are stored. */
  async function stream(tokens: string): Promise<{ get: string; name: string; subject: (token: string) => string }> {
    const namespace = `r${++names}`;
    const name = `AETHER_${namespace}`;
    await server.api(`STREAM.CREATE.${name}`, configOf(namespace, 64));
    const subject = (token: string): string => `aether.${namespace}.events.1.x.${token}`;
    for (const token of tokens) await server.publish(subject(token), token, { "Aether-Version": 1 });
    return { get: `$JS.API.DIRECT.GET.${name}`, name, subject };
  }

  it("gives the first message from a sequence on, and 404 behind the last", async () => {
    const { get, subject } = await stream("abba");
    const next = async (seq: number): Promise<string> => {
      const message = await server.nc.request(get, JSON.stringify({ seq, next_by_subj: subject("a") }));
      return message.headers?.code === 404 ? "404" : message.headers?.get("Nats-Sequence") ?? "";
    };
    assert.deepEqual(await Promise.all([1, 2, 4, 5].map(next)), ["1", "4", "4", "404"]);
  });

  it("goes on over a gap, whatever `up_to_seq` says", async () => {
    const { get, subject } = await stream("aabba");
    const messages = await server.many(get, { seq: 1, next_by_subj: subject("a"), batch: 9, up_to_seq: 3 });
    assert.deepEqual(sequences(messages), ["1", "2", "5"]);
  });

  it("says with `multi_last` how far the replica is, unless it has nothing of the subject", async () => {
    const { get, subject } = await stream("ab");
    const ask = async (token: string): Promise<[code: number | undefined, upTo: string | undefined]> => {
      const end = (await server.many(get, { multi_last: [subject(token)], batch: 1 })).pop();
      return [end?.headers?.code, end?.headers?.get("Nats-UpTo-Sequence")];
    };
    assert.deepEqual(await ask("a"), [204, "2"]);
    assert.deepEqual(await ask("none"), [404, ""]);
  });

  it("puts its own headers behind those that are stored, sequence and time one behind the other", async () => {
    const { get, subject } = await stream("a");
    const forged = await server.publish(subject("a"), "a", { "Nats-Sequence": 7, "Nats-Subject": "x" });
    const message = await server.nc.request(get, JSON.stringify({ seq: forged.seq }));
    const text = headerText(message);
    assert.match(
      text,
      /^NATS\/1\.0\r\nNats-Sequence: 7\r\nNats-Subject: x\r\n.*Nats-Sequence: 2\r\nNats-Time-Stamp: 20/s,
    );
    const [batched] = await server.many(get, { seq: 2, next_by_subj: subject("a"), batch: 1 });
    assert.match(batched ? headerText(batched) : "", /Nats-Sequence: 2\r\nNats-Time-Stamp: 20/);
  });

  it("lets a mirror answer for its origin, also one that does not keep up", async () => {
    const { get, name, subject } = await stream("");
    const mirror = { name: `M_${name}`, mirror: { name }, mirror_direct: true, max_msgs: 2, discard: "new" };
    await server.api(`STREAM.CREATE.${mirror.name}`, mirror);
    for (const token of "aaaa") await server.publish(subject(token), token);
    await until(async () => (await server.api(`STREAM.INFO.${mirror.name}`)).state.last_seq === 2);
    const seen = new Set<string | undefined>();
    await until(async () => {
      seen.add((await server.nc.request(`${get}.${subject("a")}`)).headers?.get("Nats-Sequence"));
      return seen.size === 2;
    });
    assert.deepEqual([...seen].toSorted(), ["2", "4"]);
  });

  // What a process has read from files, cached by the system or not, is told by Linux alone.
  describe("loads whole blocks, when it was started again", { skip: !existsSync("/proc/self/io") }, () => {
    let large: NatsServer;
    let nc: NatsConnection;
    const subject = (token: string): string => `aether.large.events.1.x.${token}`;
    const total = BLOCKS * PER_BLOCK;
    const at = (part: number): number => Math.floor(part * total);
    /** Which actor's a message is: at both ends one; two that lie near themselves, in each half one. */
    const tokenOf = (sequence: number): string => {
      if (sequence === 1 || sequence === total) return "ends";
      if (sequence > at(0.35) && sequence <= at(0.35) + 20) return "early";
      if (sequence > at(0.65) && sequence <= at(0.65) + 20) return "late";
      return `other-${sequence % 100}`;
    };
    before(async () => {
      large = await NatsServer.start();
      nc = await connect({ servers: large.url });
      await nc.request("$JS.API.STREAM.CREATE.AETHER_large", JSON.stringify(configOf("large", 64)), { timeout: 5_000 });
      const payload = "x".repeat(BLOCK / PER_BLOCK - 100);
      const headers = headersOf({ "Aether-Version": 1 });
      for (let sequence = 1; sequence <= total; sequence++) {
        if (sequence % 100 > 0) nc.publish(subject(tokenOf(sequence)), payload, { headers });
        else await nc.request(subject(tokenOf(sequence)), payload, { headers, timeout: 10_000 });
      }
      await large.restart(); // the first time it reads what it had not written to its index
    });
    after(async () => {
      await nc.close();
      await large.stop();
    });

    /** Blocks that the server loads for requests, from nothing in memory. */
    async function loaded(...requests: object[]): Promise<number> {
      await nc.close();
      await large.restart();
      nc = await connect({ servers: large.url });
      const before = bytesRead(large.pid);
      for (const request of requests) {
        for await (
          const message of await nc.requestMany("$JS.API.DIRECT.GET.AETHER_large", JSON.stringify(request), {
            strategy: "sentinel",
            maxWait: 10_000,
          })
        ) {
          if (!("batch" in request)) break;
          assert.notEqual(message.headers?.code, 404);
        }
      }
      return Math.round((bytesRead(large.pid) - before) / BLOCK);
    }

    it("all between two messages, if it walks; two, if both are asked for by sequence", async () => {
      const all = await loaded({ seq: 1, next_by_subj: subject("ends"), batch: 2 });
      assert.ok(all > BLOCKS / 2, `${all}`); // the server may have had some in memory since its start
      assert.ok(await loaded({ seq: 1 }, { seq: total }) <= 2);
    });

    it("one for the first message of a subject, wherever it lies", async () => {
      assert.ok(await loaded({ seq: 1, next_by_subj: subject("early") }) <= 2);
      assert.ok(await loaded({ seq: 1, next_by_subj: subject("late") }) <= 2);
      assert.ok(await loaded({ seq: 1, next_by_subj: subject("late"), batch: 20 }) <= 2);
    });

    it("one for the next message, but all up to the end for a batch from the middle", async () => {
      const next = { seq: at(0.65), next_by_subj: subject("late") };
      assert.ok(await loaded(next) <= 2);
      const batch = await loaded({ ...next, batch: 5 });
      assert.ok(batch >= 3, `${batch}`);
      assert.ok(await loaded({ seq: at(0.35), next_by_subj: subject("early"), batch: 5 }) <= 2);
    });
  });
});

function sequences(messages: readonly Msg[]): string[] {
  return messages.slice(0, -1).map(({ headers }) => headers?.get("Nats-Sequence") ?? "");
}

function bytesRead(pid: number): number {
  return Number(/^rchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, "utf8"))?.[1]);
}
