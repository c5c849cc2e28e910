/** Bank accounts: a decider, and transfers between two of them, all or nothing. `deno run -A examples/bank.ts` */
import {
  defineDecider,
  defineEvents,
  type EventOf,
  type EventStore,
  execute,
  InMemoryEventStore,
  isAetherError,
  load,
  typed,
} from "../mod.ts";
import { z } from "zod";

const amount = z.number().int().positive(); // cents

export const Account = defineEvents("account", {
  Opened: z.object({ owner: z.string() }),
  Deposited: z.object({ amount }),
  Withdrawn: z.object({ amount, reason: z.string() }),
});
export type AccountEvent = EventOf<typeof Account>;
type AccountId = `account-${string}`;

type AccountCommand =
  | { type: "Open"; owner: string }
  | { type: "Deposit"; amount: number }
  | { type: "Withdraw"; amount: number; reason: string };
interface AccountState {
  readonly owner: string | undefined;
  readonly balance: number;
}

export const account = defineDecider({
  events: Account,
  initialState: (): AccountState => ({ owner: undefined, balance: 0 }),
  evolve(state, event) {
    switch (event.eventType) {
      case "Opened":
        return { ...state, owner: event.data.owner };
      case "Deposited":
        return { ...state, balance: state.balance + event.data.amount };
      case "Withdrawn":
        return { ...state, balance: state.balance - event.data.amount };
    }
  },
  decide(command: AccountCommand, { owner, balance }) {
    if (command.type === "Open") {
      return owner === undefined ? { eventType: "Opened", data: { owner: command.owner } } : [];
    }
    if (owner === undefined) throw new Error("There is no such account");
    switch (command.type) {
      case "Deposit":
        return { eventType: "Deposited", data: { amount: command.amount } };
      case "Withdraw":
        if (balance < command.amount) throw new Error(`${owner} has ${euros(balance)} only`);
        return { eventType: "Withdrawn", data: { amount: command.amount, reason: command.reason } };
    }
  },
});

/** Both accounts are written, or neither: each with the version that was decided upon. */
export async function transfer(
  bank: EventStore<AccountEvent>,
  from: AccountId,
  to: AccountId,
  amount: number,
): Promise<void> {
  for (;;) {
    const [payer, payee] = await Promise.all([load(bank, account, from), load(bank, account, to)]);
    const withdrawn = account.decide({ type: "Withdraw", amount, reason: `to ${to}` }, payer.state);
    const deposited = account.decide({ type: "Deposit", amount }, payee.state);
    try {
      await bank.transact([
        { actorId: from, expectedVersion: payer.version, events: [withdrawn].flat() },
        { actorId: to, expectedVersion: payee.version, events: [deposited].flat() },
      ]);
      return;
    } catch (error) {
      if (!isAetherError(error, "VERSION_CONFLICT")) throw error; // another transfer was first: decide again
    }
  }
}

/** On any store. */
export async function bank(store: EventStore): Promise<string> {
  const bank = typed(store, Account);
  const lines: string[] = [];
  const balances = async (when: string): Promise<void> => {
    const [ada, bob] = await Promise.all(["account-ada", "account-bob"].map((id) => load(bank, account, id)));
    lines.push(`${when}: Ada ${euros(ada?.state.balance ?? 0)}, Bob ${euros(bob?.state.balance ?? 0)}`);
  };
  await execute(bank, account, "account-ada", { type: "Open", owner: "Ada" });
  await execute(bank, account, "account-bob", { type: "Open", owner: "Bob" });
  await execute(bank, account, "account-ada", { type: "Deposit", amount: 100_00 });
  await balances("In the beginning");

  await transfer(bank, "account-ada", "account-bob", 30_00);
  await balances("After a transfer of €30.00");

  // Ten at once, both ways: each is stored once, and no cent is made or lost.
  await Promise.all(Array.from({ length: 10 }, (_, index) => {
    return index % 2 === 0
      ? transfer(bank, "account-ada", "account-bob", 5_00)
      : transfer(bank, "account-bob", "account-ada", 2_00);
  }));
  await balances("After ten more at once");

  try {
    await transfer(bank, "account-bob", "account-ada", 1_000_00);
  } catch (error) {
    lines.push(`€1,000.00 from Bob: ${(error as Error).message}`);
  }
  await balances("In the end");
  return lines.join("\n");
}

function euros(cents: number): string {
  return `€${(cents / 100).toFixed(2)}`;
}

if (import.meta.main) console.log(await bank(new InMemoryEventStore()));
