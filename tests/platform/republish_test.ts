/** What nats-server announces of what it stores, as far as the bus leans on it. */
import { connect, type Msg, type NatsConnection } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Raw, raw, until } from "../support/jetstream.ts";

const ANNOUNCED = ["Nats-Stream", "Nats-Subject", "Nats-Sequence", "Nats-Time-Stamp", "Nats-Last-Sequence"];

describe("nats-server, of a stream that is republished", () => {
  let server: Raw;
  let other: NatsConnection;
  const seen: Msg[] = [];
  before(async () => {
    server = await raw();
    other = await connect({ servers: server.server.url });
    await server.api("STREAM.CREATE.S", {
      name: "S",
      subjects: ["s.>", "f.>"],
      allow_atomic: true,
      republish: { src: "s.>", dest: "bus.>" },
    });
    other.subscribe("bus.>", { callback: (_, message) => void seen.push(message) });
    await other.flush();
  });
  after(async () => {
    await other.close();
    await server[Symbol.asyncDispose]();
  });
  const batch = async (last: string, parts: [subject: string, payload: string][]): Promise<unknown> => {
    let answer: Promise<unknown> | undefined;
    for (const [index, [subject, payload]] of parts.entries()) {
      const fields = { "Nats-Batch-Id": last, "Nats-Batch-Sequence": index + 1 };
      const isLast = index === parts.length - 1;
      answer = server.publish(
        subject,
        payload,
        isLast && last !== "left" ? { ...fields, "Nats-Batch-Commit": 1 } : fields,
      )
        .catch((error: unknown) => error);
    }
    return await answer;
  };
  const headersOf = (message: Msg): string[] =>
    ["Nats-Sequence", "Nats-Last-Sequence"].map((name) => message.headers?.get(name) ?? "");

  it("adds where a message lies behind the writer's headers, and the last one of its subject, 0 if none", async () => {
    await server.publish("s.a.1", "one", { Own: "x", "Nats-Expected-Last-Subject-Sequence": 0 });
    await server.publish("s.b.1", "two");
    await server.publish("s.a.1", "three", { "Nats-Sequence": "99" });
    await until(() => seen.length === 3);
    const [first, second, third] = seen.splice(0) as [Msg, Msg, Msg];
    assert.equal(first.subject, "bus.a.1");
    assert.equal(first.headers?.get("Own"), "x");
    assert.deepEqual(first.headers?.keys().slice(-5), ANNOUNCED);
    assert.deepEqual(second.headers?.keys(), ANNOUNCED);
    assert.equal(second.headers?.get("Nats-Subject"), "s.b.1");
    assert.match(second.headers?.get("Nats-Time-Stamp") ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
    assert.deepEqual([first, second].map(headersOf), [["1", "0"], ["2", "0"]]);
    assert.deepEqual(third.headers?.values("Nats-Sequence"), ["99", "3"]); // the server's own comes last
    assert.equal(third.headers?.get("Nats-Last-Sequence"), "1");
  });

  it("announces the messages of a batch in a row, each with the one before it, and none of what is refused", async () => {
    await batch("left", [["s.a.1", "left alone"], ["s.a.1", "left alone"]]);
    await server.publish("s.a.1", "refused", { "Nats-Expected-Last-Subject-Sequence": 1 });
    await server.publish("f.1", "not of the source");
    await batch("whole", [["s.a.1", "x"], ["s.a.1", "y"], ["s.c.1", "z"]]);
    await until(() => seen.length === 3);
    await server.nc.flush();
    await other.flush();
    assert.deepEqual(seen.map((message) => message.string()), ["x", "y", "z"]);
    assert.deepEqual(seen.splice(0).map(headersOf), [["5", "3"], ["6", "5"], ["7", "0"]]);
  });

  it("is done before the writer has its answer", async () => {
    const told: string[] = [];
    const subscription = server.nc.subscribe("bus.>", { callback: (_, message) => void told.push(message.string()) });
    for (let count = 1; count <= 50; count++) {
      await server.publish("s.a.1", String(count));
      assert.equal(told.at(-1), String(count));
    }
    subscription.unsubscribe();
    await until(() => seen.length === 50);
    seen.length = 0;
  });

  it("gives each message of a batch to any member of a queue group, which is one whatever its subjects are", async () => {
    const members: string[][] = [[], [], []];
    for (const [index, subject] of ["bus.>", "bus.q.*", "bus.q.1"].entries()) {
      other.subscribe(subject, {
        queue: "mailer.x",
        callback: (_, message) => void members[index]?.push(message.string()),
      });
    }
    await other.flush();
    const parts = Array.from({ length: 60 }, (_, index): [string, string] => ["s.q.1", String(index)]);
    await batch("shared", parts);
    await until(() => members.flat().length >= 60);
    assert.deepEqual(members.flat().toSorted(), parts.map(([, payload]) => payload).toSorted());
    for (const member of members) assert.ok(member.length > 0 && member.length < 60);
  });

  it("delivers to the subscriptions of one connection in the order of the stream", async () => {
    const told: string[] = [];
    for (const type of ["d", "e"]) {
      other.subscribe(`bus.${type}.*`, { callback: (_, message) => void told.push(message.string()) });
    }
    await other.flush();
    const count = 200;
    for (let index = 0; index < count; index++) server.nc.publish(`s.${index % 3 ? "d" : "e"}.1`, String(index));
    await until(() => told.length === count);
    assert.deepEqual(told, Array.from({ length: count }, (_, index) => String(index)));
  });
});
