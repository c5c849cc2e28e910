import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isAetherError } from "../../errors.ts";
import { Failed } from "../../store/answer.ts";
import { composed, losers, Member, nextBatch } from "../../store/fenced_batch.ts";
import { Operation } from "../../store/operation.ts";
import { encodeCommit } from "../../store/wire.ts";
import { eventOf } from "../../testing/event_store/scene.ts";

interface Of {
  readonly actor: string;
  readonly fence?: string;
  readonly epoch?: number;
  /** One event a message. */
  readonly messages?: number;
  readonly previous?: number;
  readonly isAlone?: boolean;
  readonly operation?: Operation;
}

function member({ actor, fence = "f", epoch = 1, messages: count = 1, previous = 0, ...more }: Of): Member {
  const events = Array.from({ length: count }, (_, index) => eventOf(actor, index + 1));
  const messages = encodeCommit({ subject: actor, events, version: count, previous, epoch }, 1);
  const { operation = new Operation(1_000, undefined), isAlone = false } = more;
  return new Member({ messages, previous, fence: { subject: fence, sequence: epoch } }, operation, isAlone, false);
}

/** Actors of one batch after the other. */
function batches(members: readonly Member[], maxMessages = 1_000): string[] {
  const actors: string[] = [];
  for (let waiting = members; waiting.length > 0;) {
    const { batch, left } = nextBatch(waiting, maxMessages);
    actors.push(batch.map(({ subject }) => subject).join(""));
    waiting = left;
  }
  return actors;
}

describe("a batch of checked appends", () => {
  it("has no actor twice, and one fence of a shard", () => {
    assert.deepEqual(batches(["a", "b", "a", "c", "a"].map((actor) => member({ actor }))), ["abc", "a", "a"]);
    const fences = [{ actor: "a", epoch: 1 }, { actor: "b", epoch: 2 }, { actor: "c", epoch: 1 }];
    assert.deepEqual(batches(fences.map(member)), ["ac", "b"]);
  });

  it("has as many messages as are taken, checks included, but one commit at least", () => {
    const four = ["a", "b", "c", "d"].map((actor) => member({ actor, messages: 2 }));
    assert.deepEqual(batches(four, 5), ["ab", "cd"]);
    assert.deepEqual(batches(four, 4), ["a", "b", "c", "d"]);
    assert.deepEqual(batches(four, 1), ["a", "b", "c", "d"]);
    const shards = ["a", "b", "c"].map((actor) => member({ actor, fence: actor }));
    assert.deepEqual(batches(shards, 4), ["ab", "c"]);
  });

  it("leaves alone what is to be alone, and leaves out who has left", () => {
    const [a, b, c, d] = ["a", "b", "c", "d"].map((actor) => member({ actor, isAlone: actor === "b" }));
    assert.ok(a && b && c && d);
    c.outcome.catch(() => {});
    c.fail(new Error("gone"));
    assert.deepEqual(batches([a, b, c, d]), ["ad", "b"]);
    assert.deepEqual(batches([b, a, d]), ["b", "ad"]);
  });

  it("checks each fence once, on the last commit of its shard, and tells where each commit ends", () => {
    const { messages, behind } = composed([
      member({ actor: "a", fence: "f" }),
      member({ actor: "b", fence: "g", messages: 2 }),
      member({ actor: "c", fence: "f", epoch: 1 }),
    ]);
    const told = messages.map(({ subject, headers }) => {
      const check = headers["Nats-Expected-Last-Subject-Sequence-Subject"];
      return [subject, headers["Aether-Part"], check].filter(Boolean).join(" ");
    });
    assert.deepEqual(told, ["a", "b 1/3", "b 2/3", "b 3/3 g", "c 1/2", "c 2/2 f"]);
    assert.deepEqual(behind, [5, 2, 0]);
  });

  it("is refused for those whose actor or fence has moved on, whatever a replica lacks", () => {
    const [a, b, c] = [
      member({ actor: "a", fence: "f", epoch: 3, previous: 5 }),
      member({ actor: "b", fence: "g", epoch: 3, previous: 5 }),
      member({ actor: "c", fence: "g", epoch: 3 }),
    ];
    const batch = [a, b, c];
    const of = (lasts: Record<string, number>): Member[] => losers(batch, new Map(Object.entries(lasts)));
    assert.deepEqual(of({ a: 5, b: 4, f: 3, g: 2 }), []);
    assert.deepEqual(of({ a: 6, b: 5, f: 3, g: 3 }), [a]);
    assert.deepEqual(of({ a: 5, c: 1, f: 3, g: 3 }), [c]);
    assert.deepEqual(of({ a: 5, b: 5, f: 3, g: 8 }), [b, c]);
  });

  it("ends for each when its own time is up: unknown if it is under way, else not sent", async () => {
    const short = (): Operation => new Operation(0, undefined);
    const [sent, waiting, patient] = [
      member({ actor: "a", operation: short() }),
      member({ actor: "b", operation: short() }),
      member({ actor: "c" }),
    ];
    sent.isSent = patient.isSent = true;
    await new Promise((resolve) => setTimeout(resolve, 2));
    for (const one of [sent, waiting, patient]) one.expire();
    await assert.rejects(sent.outcome, (error) => error instanceof Failed && error.failure.kind === "silence");
    await assert.rejects(waiting.outcome, (error) => isAetherError(error, "UNAVAILABLE"));
    patient.stored(7);
    assert.equal(await patient.outcome, 7);
  });
});
