import assert from "node:assert/strict";
import { it } from "node:test";
import { type Event, JetStreamEventStore } from "../../mod.ts";
import { all, upTo } from "../../testing/event_store/scene.ts";
import { raw } from "../support/jetstream.ts";
import { ON_DENO } from "../support/once.ts";
import { runScript } from "../support/process.ts";

const ACCOUNTS = 20;
const PROCESSES = 4;
/** Of each process. Their races are those of the server: fewer on Bun and Node. */
const TRANSFERS = ON_DENO ? 250 : 50;
const START = 1_000;

const count = PROCESSES * TRANSFERS;

it(`${count} concurrent transfers over four processes conserve the money, and no balance falls below zero`, async () => {
  const server = await raw();
  try {
    const store = await JetStreamEventStore.open<Event<"Moved", { amount: number }>>(server.nc, { namespace: "bank" });
    for (const number of upTo(ACCOUNTS)) {
      await store.append(`account-${number - 1}`, [{ eventType: "Moved", data: { amount: START } }]);
    }
    const script = new URL("./processes/transfers.ts", import.meta.url);
    const outputs = await Promise.all(
      upTo(PROCESSES).map((seed) =>
        runScript(script, [server.server.url, "bank", ACCOUNTS, TRANSFERS, seed].map(String))
      ),
    );
    const done = outputs.reduce((sum, output) => sum + Number(output), 0);
    assert(done > count / 2, `only ${done} went through`);
    const balances = new Map<string, number>();
    let commits = 0;
    for (const { actorId, events } of await all(store.readAll())) {
      for (const { data: { amount } } of events) {
        const balance = (balances.get(actorId) ?? 0) + amount;
        assert(balance >= 0, `${actorId} fell to ${balance}`);
        balances.set(actorId, balance);
      }
      commits++;
    }
    assert.equal(commits, ACCOUNTS + 2 * done);
    assert.equal([...balances.values()].reduce((sum, balance) => sum + balance, 0), ACCOUNTS * START);
  } finally {
    await server[Symbol.asyncDispose]();
  }
});
