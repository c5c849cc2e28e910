/** What the client does, as far as the store leans on it. */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { NatsServer } from "../../testing/mod.ts";
import { type Raw, raw, until } from "../support/jetstream.ts";

describe("the client", () => {
  let server: Raw;
  const connections: NatsConnection[] = [];
  before(async () => {
    server = await raw({
      accounts: {
        A: {
          users: [{ user: "a", password: "p", permissions: { publish: { deny: ["secret"] } } }],
        },
      },
    }, { user: "a", pass: "p" });
  });
  after(async () => {
    for (const nc of connections) await nc.close();
    await server[Symbol.asyncDispose]();
  });
  const connected = async (): Promise<NatsConnection> => {
    const nc = await connect({ servers: server.server.url, user: "a", pass: "p" });
    connections.push(nc);
    return nc;
  };

  it("refuses to publish over a closed connection, by an error that says that nothing was sent", async () => {
    const nc = await connected();
    await nc.close();
    assert.throws(() => nc.publish("x"), { name: "ClosedConnectionError" });
    assert.throws(() => nc.subscribe("x"), { name: "ClosedConnectionError" });
  });

  it("closes a subscription with its connection, and then knows no server", async () => {
    const nc = await connected();
    const subscription = nc.subscribe("x", { callback: () => {} });
    await nc.close();
    await subscription.closed;
    assert.equal(nc.info, undefined);
  });

  it("drops what is published before it dials again, and tells when it is connected", async () => {
    const own = await NatsServer.start();
    const nc = await connect({ servers: own.url, reconnectTimeWait: 20, maxReconnectAttempts: -1 });
    try {
      const statuses: string[] = [];
      void (async () => {
        for await (const { type } of nc.status()) statuses.push(type);
      })();
      const got: string[] = [];
      nc.subscribe("dropped", { callback: (_, message) => void got.push(message.string()) });
      await nc.flush();
      await own.kill();
      await until(() => statuses.includes("disconnect") && nc.info === undefined);
      nc.publish("dropped", "between two dials");
      const dials = statuses.length;
      await until(() => statuses.length > dials + 1);
      await own.restart();
      await until(() => statuses.includes("reconnect"));
      nc.publish("dropped", "behind it");
      await nc.flush();
      assert.deepEqual(got, ["behind it"]);
    } finally {
      await nc.close();
      await own.stop();
    }
  });

  it("ends its statuses with the connection", async () => {
    const nc = await connected();
    const watching = (async () => {
      for await (const _ of nc.status()) { /* until it is closed */ }
    })();
    await nc.close();
    await watching;
  });

  it("tells of a publish that the server refused as a status, with the subject", async () => {
    const nc = await connected();
    const statuses = nc.status();
    nc.publish("secret", "x");
    for await (const status of statuses) {
      assert(status.type === "error");
      const { name, subject, operation } = status.error as Error & { subject?: string; operation?: string };
      assert.deepEqual([name, subject, operation], ["PermissionViolationError", "secret", "publish"]);
      break;
    }
  });

  it("answers where nobody listens with an empty message of code 503", async () => {
    const nc = await connected();
    const answer = await new Promise<{ size: number; code: number | undefined }>((resolve) => {
      nc.subscribe("answers", {
        callback: (_, message) => resolve({ size: message.data.length, code: message.headers?.code }),
      });
      nc.publish("nobody", "x", { reply: "answers" });
    });
    assert.deepEqual(answer, { size: 0, code: 503 });
  });
});
