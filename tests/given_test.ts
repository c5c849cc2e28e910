import { connect } from "@nats-io/transport-node";
import assert, { AssertionError } from "node:assert/strict";
import { describe, it } from "node:test";
import { type EventStore, InMemoryEventStore, isAetherError, JetStreamEventStore } from "../mod.ts";
import { given, NatsServer } from "../testing/mod.ts";
import { counter } from "./support/counter.ts";

const FIVE = [{ eventType: "Added", data: { by: 5 } }] as const;
const TWO = [{ eventType: "Added", data: { by: 2 } }] as const;

/** An AssertionError that shows this. */
const shows = (...texts: readonly string[]) => (error: unknown): boolean => {
  assert.ok(error instanceof AssertionError, String(error));
  for (const text of texts) assert.ok(error.message.includes(text), `${text} is not in: ${error.message}`);
  return true;
};

describe("given, when, expect", () => {
  it("holds a decision to its events, to nothing, to a refusal, to the state behind it", () => {
    given(counter).when({ add: 2 }).expectEvents(TWO);
    given(counter, FIVE).when({ add: 2, times: 2 }).expectEvents([...TWO, ...TWO]);
    given(counter, FIVE).when({ add: 0 }).expectNothing();
    given(counter, FIVE).when({ add: -6 }).expectError();
    given(counter, FIVE).when({ add: -6 }).expectError(RangeError);
    given(counter, FIVE).when({ add: -6 }).expectError(/5 is less than 6/);
    given(counter, FIVE).when({ add: 2 }).expectState({ sum: 7, events: 2 });
    given(counter, FIVE).when({ add: 0 }).expectState({ sum: 5, events: 1 });
  });

  it("shows what differs", () => {
    const decision = given(counter, FIVE).when({ add: 3 });
    assert.throws(() => decision.expectEvents(TWO), shows("by: 3", "by: 2"));
    assert.throws(() => decision.expectEvents([]), shows("Added"));
    assert.throws(() => decision.expectNothing(), shows("Added"));
    assert.throws(() => decision.expectError(), shows("not refused", '"by": 3'));
    assert.throws(() => decision.expectState({ sum: 9, events: 2 }), shows("sum: 8", "sum: 9"));
    const refused = given(counter, FIVE).when({ add: -6 });
    assert.throws(() => refused.expectEvents(TWO), shows("refused", "5 is less than 6"));
    assert.throws(
      () => refused.expectNothing(),
      (error) => shows("refused")(error) && (error as Error).cause instanceof RangeError,
    );
    assert.throws(() => refused.expectError(TypeError), shows("RangeError", "TypeError"));
    assert.throws(() => refused.expectError(/something else/), shows("5 is less than 6", "something else"));
  });

  it("compares metadata where some is given", () => {
    const decider = {
      ...counter,
      decide: () => ({ eventType: "Added", data: { by: 1 }, metadata: { source: "shop", more: "x" } }) as const,
    };
    const event = { eventType: "Added", data: { by: 1 } } as const;
    const decision = given(decider).when({ add: 1 });
    decision.expectEvents([event]);
    decision.expectEvents([{ ...event, metadata: { source: "shop" } }]);
    assert.throws(() => decision.expectEvents([{ ...event, metadata: { source: "else" } }]), shows("shop", "else"));
  });

  it("takes a function that looks at the refusal", () => {
    const refused = given(counter, FIVE).when({ add: -6 });
    refused.expectError((error) => error instanceof RangeError && error.message.startsWith("5"));
    refused.expectError(Error);
    refused.expectError(function (error) {
      return error instanceof RangeError;
    });
    assert.throws(() => refused.expectError(() => false), shows("5 is less than 6", "the function is true for"));
  });

  it("finds a decide or an evolve that changes a state, and a decide that gives nothing", () => {
    const changing = {
      ...counter,
      evolve(state: { sum: number; events: number }): { sum: number; events: number } {
        state.events++;
        return state;
      },
    };
    assert.throws(() => given(changing, FIVE).when({ add: 1 }), (error) => isAetherError(error, "REPLAY"));
    const grabbing = {
      ...counter,
      decide(_command: unknown, state: { sum: number; events: number }): [] {
        state.sum = 0;
        return [];
      },
    };
    given(grabbing, FIVE).when({ add: 1 }).expectError(TypeError);
    const silent = { ...counter, decide: () => undefined as never };
    assert.throws(() => given(silent, FIVE).when({ add: 1 }), /decide gave undefined: is a command not handled/);
  });

  it("says where evolve threw", () => {
    const broken = {
      ...counter,
      evolve(): never {
        throw new Error("no");
      },
    };
    assert.throws(
      () => given(broken, FIVE).when({ add: 1 }),
      (error) => isAetherError(error, "REPLAY") && error.version === 1,
    );
  });

  it("does the same over a store in memory", () => holdsOver(new InMemoryEventStore()));

  it("does the same over a store on JetStream", async () => {
    await using server = await NatsServer.start();
    await using nc = await connect({ servers: server.url });
    await using store = await JetStreamEventStore.open(nc, { namespace: "given" });
    await holdsOver(store);
  });
});

async function holdsOver(store: EventStore): Promise<void> {
  await given(counter, FIVE).on(store).when({ add: 2, times: 2 }).expectEvents([...TWO, ...TWO]);
  await given(counter, FIVE).on(store).when({ add: 0 }).expectNothing();
  await given(counter, FIVE).on(store).when({ add: -6 }).expectError(/5 is less than 6/);
  await given(counter, FIVE).on(store, { actorId: "counter-7" }).when({ add: 2 }).expectState({ sum: 7, events: 2 });
  assert.equal(await store.getLatestVersion("counter-7"), 2);
  const decision = given(counter, FIVE).on(store).when({ add: 3 });
  await assert.rejects(decision.expectEvents(TWO), shows("by: 3", "by: 2"));
  await assert.rejects(decision.expectNothing(), shows("Added"));
  await assert.rejects(decision.expectError(), shows("not refused"));
  await assert.rejects(decision.expectState({ sum: 9, events: 2 }), shows("sum: 8", "sum: 9"));
  const refused = given(counter, FIVE).on(store).when({ add: -6 });
  await assert.rejects(refused.expectEvents(TWO), shows("refused", "5 is less than 6"));
}
