import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Attributes, JetStreamEventStore, type Observer } from "../../mod.ts";
import { FaultyNetwork } from "../../testing/mod.ts";
import { added, all, rejects, several } from "../../testing/event_store/scene.ts";
import { type Raw, raw } from "../support/jetstream.ts";
import { runScript } from "../support/process.ts";

/** Keeps what it is told, a line each. */
class Recorder implements Observer {
  readonly lines: string[] = [];

  event(name: string, attributes: Attributes): void {
    this.lines.push(line(name, attributes));
  }

  start(operation: string, attributes: Attributes): { end(outcome: string, more?: Attributes): void } {
    const begun = line(operation, attributes);
    let ended = false;
    return {
      end: (outcome, more = {}): void => {
        assert(!ended, "an operation ends once");
        ended = true;
        this.lines.push(`${begun} → ${line(outcome, more)}`);
      },
    };
  }

  /** What came since the last call. */
  take(): string[] {
    return this.lines.splice(0);
  }
}

function line(name: string, attributes: Attributes): string {
  const { namespace: _, stream: _stream, reason: _reason, ...rest } = attributes;
  return [name, ...Object.entries(rest).map(([key, value]) => `${key}=${value}`)].join(" ");
}

describe("an observer", () => {
  let server: Raw;
  before(async () => {
    server = await raw();
  });
  after(() => server[Symbol.asyncDispose]());

  it("is told of every call, how it ended and what happened on the way", async () => {
    const observer = new Recorder();
    const store = await JetStreamEventStore.open(server.nc, { namespace: "told", observer });
    const other = await JetStreamEventStore.open(server.nc, { namespace: "told" });

    await store.append("order-1", [added(1, { id: "a" })], { expectedVersion: 0 });
    await store.append("order-1", [added(1, { id: "a" })], { expectedVersion: 0 });
    assert.deepEqual(observer.take(), [
      "append actorId=order-1 events=1 → ok",
      "cacheHit actorId=order-1",
      "duplicate actorId=order-1 version=1",
      "append actorId=order-1 events=1 → ok",
    ]);

    await other.append("order-1", several(2));
    await store.append("order-1", several(1));
    await rejects(store.append("order-1", several(1), { expectedVersion: 1 }), "VERSION_CONFLICT");
    assert.deepEqual(observer.take(), [
      "cacheHit actorId=order-1",
      "retry",
      "append actorId=order-1 events=1 → ok",
      "cacheHit actorId=order-1",
      "conflict actorId=order-1 expectedVersion=1 actualVersion=4",
      "append actorId=order-1 events=1 → VERSION_CONFLICT",
    ]);

    await store.transact([{ actorId: "order-2", events: several(2) }, { actorId: "order-3", events: several(1) }]);
    await store.getEvents("order-1");
    await store.getLatestVersion("order-1");
    await store.getLatestVersion("order-1", { consistency: "cached" });
    await all(store.readActor("order-1"));
    await all(store.readAll());
    await all(store.listActors());
    await store.position();
    await store.deleteActor("order-3");
    assert.deepEqual(observer.take(), [
      "transact actors=2 events=3 → ok",
      "getEvents actorId=order-1 → ok events=4",
      "getLatestVersion actorId=order-1 → ok version=4",
      "cacheHit actorId=order-1",
      "readActor actorId=order-1 → ok count=3",
      "readAll → ok count=5",
      "listActors → ok count=3",
      "position → ok",
      "cacheHit actorId=order-3",
      "deleteActor actorId=order-3 → ok",
    ]);

    for await (const _ of store.readAll()) break;
    const stop = new AbortController();
    await assert.rejects(all(store.readAll({ live: true, signal: stop.signal, onCaughtUp: () => stop.abort() })));
    assert.deepEqual(observer.take(), ["readAll → ok count=1", "readAll → aborted count=5"]);
  });

  it("is told of a write that was sent again", async () => {
    const network = await FaultyNetwork.between(server.server.url);
    const nc = await connect({ servers: network.url });
    try {
      const observer = new Recorder();
      const store = await JetStreamEventStore.open(nc, { namespace: "again", observer, timeout: 2_000 });
      network.swallow(({ isPubAck }) => isPubAck, { times: 1 });
      await store.append("order-1", several(2), { expectedVersion: 0 });
      assert.deepEqual(observer.take(), [
        "retry",
        "duplicate actorId=order-1 version=2",
        "append actorId=order-1 events=2 → ok",
      ]);
    } finally {
      await nc.close();
      await network.close();
    }
  });

  it("that throws fails no operation, and its error is not swallowed", async () => {
    const script = new URL("./processes/odd_observer.ts", import.meta.url);
    const { versions, unhandled } = JSON.parse(await runScript(script, [server.server.url]));
    assert.deepEqual(versions, [1, 2]);
    assert(unhandled.length >= 3 && unhandled.every((message: string) => message === "odd observer"));
  });
});
