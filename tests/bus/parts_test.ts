/** The parts of which buses are made, each by itself: what a whole bus shows only by chance. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Announcement, type Delivery } from "../../bus/announcement.ts";
import { Callbacks } from "../../bus/callbacks.ts";
import type { Gap } from "../../bus/event_bus.ts";
import { Filling } from "../../bus/filling.ts";
import { FilterIndex } from "../../bus/filter_index.ts";
import { Gaps, Positions } from "../../bus/gaps.ts";
import { Lateness } from "../../bus/lateness.ts";
import { Mailbox } from "../../bus/mailbox.ts";
import { Report } from "../../bus/report.ts";
import { Subscription } from "../../bus/subscription.ts";
import { checkTerms } from "../../bus/terms.ts";
import { ClosedError, EventDecodeError } from "../../errors.ts";
import { type Commit, type Event, type EventFilter, isAetherError } from "../../mod.ts";
import { checkFilter } from "../../store/filter.ts";
import { eventOf, upTo, versions } from "../../testing/event_store/scene.ts";

const SHARDS = 64;
type Options = Parameters<typeof checkTerms>[0];

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

/** Of order-1: `count` events up to the version that is the position too. */
function commit(position: number, count = 1): Commit {
  const events = upTo(count).map((number) => eventOf("order-1", position - count + number));
  return { actorId: "order-1", version: position, position, events };
}

describe("a FilterIndex", () => {
  const filters: readonly EventFilter<Event, string, string>[] = [
    {},
    { eventTypes: ["Added", "Removed"] },
    { actorTypes: ["order"] },
    { actorId: "order-1" },
    { shards: upTo(SHARDS).map((number) => number - 1) },
  ];

  it("tells whoever was removed nothing more, not even deletions and gaps", () => {
    for (const options of filters) {
      const index = new FilterIndex(SHARDS);
      let told = 0;
      const target = { filter: checkFilter(options, SHARDS), deletions: true, gapsAfter: 0, deliver: () => told++ };
      const remove = index.add(target);
      const tell = (): void => {
        index.published(eventOf("order-1", 1));
        index.committed(commit(3));
        index.committed(commit(9), 4);
        index.committed({ ...commit(10, 0), deleted: true });
      };
      tell();
      assert.equal(told, 4);
      remove();
      tell();
      assert.equal(told, 4, JSON.stringify(options));
    }
  });

  it("asks only those that share the rarest part of their filter with a commit", () => {
    const index = new FilterIndex(SHARDS);
    let asked = 0;
    for (const number of upTo(100)) {
      const filter = checkFilter({ eventTypes: ["Added"], actorTypes: [`type${number}`] }, SHARDS);
      index.add({
        deletions: false,
        deliver: () => {},
        get filter() {
          asked++;
          return filter;
        },
      });
    }
    asked = 0;
    index.committed({ ...commit(1), actorId: "type7-1" });
    assert.ok(asked < 10, `${asked} looks at filters`);
  });
});

describe("what is kept of actors", () => {
  it("is bounded, and the actor that was not met for longest is forgotten", () => {
    const positions = new Positions();
    const gaps = new Gaps();
    for (const number of upTo(10_000)) {
      positions.replace(`order-${number}`, number);
      gaps.give(`order-${number}`, number, 0);
    }
    positions.replace("order-5", 10_001); // met again: nobody has to make room
    gaps.give("order-5", 10_001, 0);
    assert.equal(positions.replace("order-1", 10_002), 1);
    assert.equal(gaps.give("order-1", 10_002, 9_000)?.afterPosition, 1);
    positions.replace("order-10001", 10_003);
    gaps.give("order-10001", 10_003, 0);
    assert.equal(positions.replace("order-5", 10_004), 10_001);
    assert.equal(positions.replace("order-2", 10_005), undefined);
    assert.equal(gaps.give("order-5", 10_009, 10_008)?.afterPosition, 10_001);
    assert.equal(gaps.give("order-2", 10_009, 10_008)?.afterPosition, 10_007); // all that is known
  });

  it("is not begun anew where it is known", () => {
    const positions = new Positions();
    positions.replace("order-1", 5);
    positions.begin("order-1", 7);
    assert.equal(positions.replace("order-1", 9), 5);
  });
});

describe("what was announced by two leaders, or of two streams", () => {
  const at = (milliseconds: number): string => `2026-01-31T12:00:00.${milliseconds}Z`;
  const begun = () => {
    const lateness = new Lateness();
    const judge = (sequence: number, storedAt: string, now: number) => lateness.judge({ sequence, storedAt }, now);
    assert.deepEqual([judge(5, at(500), 0), judge(9, at(900), 0)], ["next", "next"]);
    return judge;
  };

  it("is late behind a later one, whichever clock is ahead", () => {
    const judge = begun();
    for (const [sequence, storedAt] of [[7, at(700)], [7, at(950)], [2, at(100)], [1, at(999)]] as const) {
      assert.equal(judge(sequence, storedAt, 9_999), "late");
    }
    assert.equal(judge(9, at(900), 9_999), "late"); // twice, by both
    assert.equal(judge(5, at(500), 99_999), "late");
    assert.equal(judge(10, at(100), 99_999), "next");
  });

  it("is of a stream made anew at once where its sequence has come with another time", () => {
    for (const storedAt of [at(100), at(999)]) {
      for (const sequence of [5, 9]) assert.equal(begun()(sequence, storedAt, 1), "anew");
    }
    const judge = begun();
    assert.equal(judge(5, at(100), 1), "anew");
    assert.deepEqual([judge(6, at(101), 1), judge(5, at(100), 1), judge(8, at(90), 1)], ["next", "late", "next"]);
    assert.equal(judge(5, at(102), 1), "anew"); // and once more
  });

  it("is of a stream made anew once nothing can have been overtaken any more", () => {
    const judge = begun();
    assert.deepEqual([judge(2, at(950), 10_000), judge(2, at(950), 10_001)], ["late", "anew"]);
    assert.equal(judge(1, at(100), 70_001), "late"); // its clock is behind
    assert.equal(judge(1, at(100), 70_002), "anew");
    assert.equal(judge(2, at(50), 70_002), "next");
  });
});

describe("a Mailbox", () => {
  const mailbox = (options: Options) => {
    const events: string[] = [];
    const unread: unknown[] = [];
    const report = new Report("shop", { event: (name) => void events.push(name) });
    const callbacks = new Callbacks(report, () => {});
    const terms = checkTerms(options, SHARDS, "shop");
    const box = new Mailbox(terms, report, callbacks, () => {}, (error) => void unread.push(error));
    return { box, events, unread };
  };

  it("makes room for a whole commit, however many others have to go", () => {
    const { box } = mailbox({ buffer: 3, overflow: "drop-oldest" });
    for (const position of upTo(3)) box.push(new Announcement(commit(position)));
    box.push(new Announcement(commit(6, 3)));
    assert.deepEqual([box.waiting, box.dropped], [3, 3]);
    assert.deepEqual(versions(upTo(3).map(() => box.take() as Event)), [4, 5, 6]);
  });

  it("tells a gap from its beginning, where what is dropped has one before it", () => {
    for (const overflow of ["drop-oldest", "drop-newest"] as const) {
      const told: Gap[] = [];
      const { box } = mailbox({ buffer: 1, overflow, onGap: (gap) => void told.push(gap) });
      const give = (delivery: Delivery): unknown => box.push(delivery);
      give(new Announcement(commit(1)));
      give(new Announcement(commit(5), 3)); // 3 and 4 were missed before
      if (overflow === "drop-newest") box.take();
      give(new Announcement(commit(9), 8));
      while (box.take() !== undefined);
      const gap = { actorId: "order-1", afterPosition: overflow === "drop-newest" ? 1 : 0, beforePosition: 9 };
      assert.deepEqual(told, [gap]);
    }
  });

  it("counts a commit that cannot be read as at least one event", async () => {
    const { box, events, unread } = mailbox({ group: "g" });
    box.push(new Announcement(commit(3, 0), 0, () => Promise.resolve(undefined)));
    box.push(new Announcement(commit(9, 2), 0, () => Promise.reject(new Error("on purpose"))));
    for (let round = 0; round < 2; round++) {
      assert.equal(box.take(), undefined);
      await turn();
    }
    assert.equal(box.take(), undefined);
    assert.ok(box.empty);
    assert.deepEqual([box.dropped, events, unread.map(String)], [3, ["incomplete", "incomplete"], [
      "Error: on purpose",
    ]]);
  });

  it("ends the reading of a commit, and hears no more of it, once it lets go of what waits", async () => {
    const { box, events, unread } = mailbox({ group: "g" });
    const reading = Promise.withResolvers<undefined>();
    let ended: AbortSignal | undefined;
    const read = (signal: AbortSignal): Promise<undefined> => {
      ended = signal;
      return reading.promise;
    };
    box.push(new Announcement(commit(3), 0, read));
    box.take();
    await turn();
    box.discard();
    assert.equal(ended?.aborted, true);
    reading.reject(ended?.reason);
    await turn();
    assert.deepEqual([box.dropped, events, unread], [0, [], []]);
  });

  it("has nothing read where onGap ended the subscription", () => {
    let read = 0;
    const fill = { namespace: "shop", readActor: () => read++ };
    const { box } = mailbox({
      buffer: 1,
      overflow: "drop-oldest",
      fill: fill as never,
      onGap: () => box.discard(),
    });
    for (const position of upTo(2)) box.push(new Announcement(commit(position)));
    assert.equal(box.take(), undefined);
    assert.ok(box.empty);
    assert.equal(read, 0);
  });
});

describe("a Filling", () => {
  it("leaves out deletions, of which the bus tells at their own place", async () => {
    const read = async function* (): AsyncIterable<Commit> {
      yield { ...commit(2, 0), deleted: true };
      yield await Promise.resolve(commit(3));
    };
    const filling = new Filling(read, checkFilter({}, SHARDS), () => {}, () => {});
    assert.equal(filling.take(), undefined);
    await turn();
    assert.equal(filling.take()?.position, 3);
  });
});

describe("a Subscription", () => {
  const subscription = (options: Options, handling?: ConstructorParameters<typeof Subscription>[0]["handling"]) =>
    new Subscription<Event>({
      terms: checkTerms(options, SHARDS, "shop"),
      report: new Report("shop", { event: () => {} }),
      handling,
      ready: Promise.resolve(),
      leave: () => {},
    });

  it("counts all events of a commit that had no room, and shows onError the next that waits if none was meant", async () => {
    const told: unknown[] = [];
    const onError = (error: unknown, { version }: Event): void =>
      void told.push([isAetherError(error, "OVERFLOW"), version]);
    for (const eventTypes of [["Added"], ["Removed"]]) {
      const handling = { handler: () => new Promise(() => {}), onError };
      const member = subscription({ group: "g", buffer: 1, eventTypes }, handling);
      member.deliver(eventOf("order-1", 1));
      member.deliver(new Announcement(commit(9, 3), 0, () => new Promise(() => {})));
      await turn();
      assert.equal(member.dropped, 3);
    }
    assert.deepEqual(told, [[true, 7], [true, 1]]);
  });

  it("tells onUndecodable what came before it was drained, and waits for it", async () => {
    let done = 0;
    const onUndecodable = async (): Promise<void> => {
      await turn();
      done++;
    };
    for (const drained of [subscription({ onUndecodable }), subscription({ onUndecodable }, { handler: () => {} })]) {
      drained.undecodable(new EventDecodeError({ stream: "s", position: 1, subject: "x" }, "on purpose"));
      await drained.drain();
    }
    assert.equal(done, 2);
  });

  it("rejects drain with what the bus failed with, not with what its holder did", async () => {
    const connection = "The connection to NATS";
    const lost = new ClosedError({ what: connection }, { cause: new Error("lost") });
    for (const handling of [undefined, { handler: () => {} }]) {
      const failed = subscription({}, handling);
      failed.fail(lost);
      await assert.rejects(failed.drain(), lost);
      const closed = subscription({}, handling);
      closed.fail(new ClosedError({ what: connection }));
      await closed.drain();
      const ended = subscription({}, handling);
      ended.end({ error: lost });
      await ended.drain();
    }
  });

  it("takes nothing and tells nothing once it has ended, whoever is just telling it", async () => {
    let told = 0;
    const ending = subscription({ onUndecodable: () => void told++ }, { handler: () => told++ });
    ending.undecodable(new EventDecodeError({ stream: "s", position: 1, subject: "x" }, "on purpose"));
    await ending[Symbol.asyncDispose]();
    ending.deliver(eventOf("order-1", 1));
    await turn();
    assert.equal(told, 0);
  });

  it("gives events to who asked first", async () => {
    const read = subscription({});
    const iterator = read[Symbol.asyncIterator]();
    const asked = [iterator.next()];
    read.deliver(eventOf("order-1", 1));
    asked.push(iterator.next()); // before anything has had its turn
    read.deliver(eventOf("order-1", 2));
    assert.deepEqual((await Promise.all(asked)).map(({ value }) => value?.version), [1, 2]);
  });
});
