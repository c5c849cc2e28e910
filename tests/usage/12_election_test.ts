import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { it } from "node:test";
import { LeaderElection, type Leadership } from "../../mod.ts";
import { NatsServer } from "../../testing/mod.ts";

it("program 12: work for one node only, with a fencing token", async () => {
  // Put there first: what is reported, and what stores it and looks at the token.
  const stored: { token: number; text: string }[] = [];
  const store = async (request: IncomingMessage): Promise<void> => {
    stored.push({ token: Number(request.headers["x-fencing-token"]), text: await text(request) });
  };
  const http = createServer((request, response) => {
    if (request.method === "PUT") void store(request).then(() => response.end());
    else response.end("rows");
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const base = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const asked: string[] = [];
  const fetch = async (url: string, init: RequestInit): Promise<Response> => {
    asked.push(url);
    return await globalThis.fetch(url.replace("https://example.org", base), init);
  };
  await using server = await NatsServer.start();
  await using nc = await connect({ servers: server.url });
  let token = 0;
  const done = new AbortController();
  try {
    const nightly = async ({ signal, token, assert }: Leadership): Promise<void> => {
      const rows = await fetch("https://example.org/report", { signal });
      assert(); // synchronously, right before the effect
      await fetch("https://example.org/store", {
        method: "PUT",
        headers: { "x-fencing-token": String(token) },
        body: await rows.text(),
        signal,
      });
    };
    const once = async (term: Leadership): Promise<void> => {
      token = term.token;
      await nightly(term);
      done.abort();
    };
    await using election = await LeaderElection.campaign(nc, { namespace: "shop", name: "nightly" });
    await election.lead(once, { signal: AbortSignal.any([AbortSignal.timeout(60_000), done.signal]) });
    assert.deepEqual(stored, [{ token, text: "rows" }]);
    assert.deepEqual(asked.map((url) => new URL(url).pathname), ["/report", "/store"]);
    assert.ok(token > Date.parse("2026-01-01"));
  } finally {
    http.closeAllConnections();
    http.close();
  }
});
