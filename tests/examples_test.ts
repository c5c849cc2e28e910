import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { type OrderEvent, quickStart } from "../examples/quick_start.ts";
import { InMemoryEventStore, JetStreamEventStore } from "../mod.ts";
import { NatsServer } from "../testing/mod.ts";

const EXPECTED = `Order state after replaying 2 events:
 Status: shipped
 Total: $99.99
 Tracking: FS123456`;

describe("the quick start", () => {
  it("prints the order, in memory", async () => {
    assert.equal(await quickStart(new InMemoryEventStore<OrderEvent>()), EXPECTED);
  });

  it("prints the order, on JetStream", async () => {
    await using server = await NatsServer.start();
    await using nc = await connect({ servers: server.url });
    await using store = await JetStreamEventStore.open<OrderEvent>(nc, { namespace: "quick-start" });
    assert.equal(await quickStart(store), EXPECTED);
  });

  it("stands in the README as it is", async () => {
    const [readme, program] = await Promise.all(
      ["../README.md", "../examples/quick_start.ts"].map((path) => readFile(new URL(path, import.meta.url), "utf8")),
    );
    assert.ok(readme?.includes(program?.replace('"../mod.ts"', '"@aether/aether"') ?? "?"));
    assert.ok(readme?.includes(EXPECTED));
  });
});
