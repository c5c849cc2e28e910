import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { it } from "node:test";
import { causedBy, JetStreamEventStore, typed } from "../../mod.ts";
import { NatsServer } from "../../testing/mod.ts";
import { Account, Order, type OrderEvent } from "./shop.ts";

it("program 9: replay, then live: no gap, no duplicate; a commit is the unit to resume at", async () => {
  await using server = await NatsServer.start();
  await using nc = await connect({ servers: server.url });
  await using shop = typed(await JetStreamEventStore.open(nc, { namespace: "shop" }), Order, Account);
  await shop.append("order-1", [{ eventType: "OrderPaid", data: { accountId: "account-1" } }]);
  await shop.append("account-1", [{ eventType: "Deposited", data: { amount: 5 } }]);

  const stop = new AbortController();
  let position = 0;
  let live = 0;
  const seen: string[] = [];
  const read = async (): Promise<void> => {
    for await (
      const commit of shop.readAll({
        after: position,
        live: true,
        actorTypes: ["order"],
        signal: stop.signal,
        onCaughtUp: () => live++,
      })
    ) {
      for (const event of commit.events) {
        event satisfies OrderEvent;
        seen.push(`${event.actorId} ${event.eventType}`);
        if (event.eventType === "OrderPaid") {
          await shop.append(`order-${event.version}`, [{
            eventType: "Closed",
            data: { reason: "done" },
            metadata: causedBy(event),
          }]);
        }
      }
      position = commit.position;
      if (seen.at(-1)?.endsWith("Closed")) break;
    }
  };
  await read();
  assert.deepEqual([seen, live], [["order-1 OrderPaid", "order-1 Closed"], 1]);
  // Where the first reader broke off the second goes on.
  await shop.append("order-1", [{ eventType: "Closed", data: { reason: "done" } }]);
  await read();
  assert.deepEqual(seen.slice(2), ["order-1 Closed"]);

  const reading = read();
  stop.abort(new Error("enough"));
  await assert.rejects(reading, /enough/);
  const accounts: string[] = [];
  for await (const { actorId } of shop.listActors({ actorType: "account" })) accounts.push(actorId);
  assert.deepEqual(accounts, ["account-1"]);
});
