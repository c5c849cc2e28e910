/** One process that transfers money: `transfers.ts URL NAMESPACE ACCOUNTS COUNT SEED`; prints how many went through. */
import { connect } from "@nats-io/transport-node";
import process from "node:process";
import { type Event, isAetherError, JetStreamEventStore } from "../../../mod.ts";
import { numbers } from "../../support/random.ts";

type AccountEvent = Event<"Moved", { amount: number }>;

/** At once; with more of them nearly all time goes into conflicts. */
const WORKERS = 8;

const [url = "", namespace = "", accounts = "", count = "", seed = ""] = process.argv.slice(2);
const random = numbers(Number(seed));
const pick = (): string => `account-${Math.floor(random() * Number(accounts))}`;
const nc = await connect({ servers: url });
const store = await JetStreamEventStore.open<AccountEvent>(nc, { namespace });
let done = 0;
let left = Number(count);
const worker = async (): Promise<void> => {
  while (left-- > 0) await transfer(pick(), pick());
};
await Promise.all(Array.from({ length: WORKERS }, worker));
console.log(done);
await nc.close();

/** Unless the balance is too low. */
async function transfer(from: string, to: string): Promise<void> {
  if (from === to) return;
  const amount = 1 + Math.floor(random() * 50);
  for (;;) {
    const events = await store.getEvents(from);
    if (events.reduce((sum, { data }) => sum + data.amount, 0) < amount) return;
    try {
      await store.transact([
        { actorId: from, expectedVersion: events.length, events: [{ eventType: "Moved", data: { amount: -amount } }] },
        { actorId: to, events: [{ eventType: "Moved", data: { amount } }] },
      ]);
      done++;
      return;
    } catch (error) {
      if (!isAetherError(error, "VERSION_CONFLICT") || error.actorId !== from) throw error;
    }
  }
}
