import { connect, type NatsConnection } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  type AppendResult,
  type Commit,
  type Event,
  type EventStore,
  importEvents,
  type ImportOptions,
  type ImportProgress,
  InMemoryEventStore,
  isAetherError,
  JetStreamEventStore,
} from "../../mod.ts";
import { NatsServer } from "../../testing/mod.ts";
import { eachOf, event, history, holds, seed } from "../support/imports.ts";
import { until } from "../support/jetstream.ts";
import { numbers } from "../support/random.ts";

/** Pieces that an import may have read and not settled: `store/import_window.ts`. */
const WINDOW = 1_024;

let server: NatsServer;
let nc: NatsConnection;

before(async () => {
  server = await NatsServer.start({ maxPayload: 8 * 1_048_576 });
  nc = await connect({ servers: server.url });
});
after(async () => {
  await nc.close();
  await server.stop();
});

const stores: Record<string, () => Promise<EventStore>> = {
  "in memory": () => Promise.resolve(new InMemoryEventStore({ maxEventSize: 8 * 1_048_576 })),
  "on JetStream": () => JetStreamEventStore.open(nc, { namespace: crypto.randomUUID() }),
};

for (const [where, open] of Object.entries(stores)) {
  describe(`an import, ${where}, seed ${seed}`, () => {
    it("keeps ids, versions, gaps, timestamps, metadata and the order of each actor", async () => {
      const store = await open();
      const events = history(seed, 3_000);
      assert.deepEqual(await importEvents(store, events), {
        read: 3_000,
        stored: 3_000,
        duplicates: 0,
        erased: 0,
        upTo: events.at(-1),
      });
      await holds(store, events);
    });

    it("takes events and commits, from whatever can be iterated", async () => {
      const store = await open();
      const [first, second, third] = [event("a", 1), event("a", 2), event("b", 1)];
      const commit: Commit = { actorId: "b", version: 2, position: 7, events: [event("b", 2)] };
      await importEvents(store, new Set([first]));
      await importEvents(store, eachOf([second, third, commit]));
      await holds(store, [first, second, third, ...commit.events]);
      assert.equal((await importEvents(store, [])).read, 0);
    });

    it("stores a copy of what the input gave", async () => {
      const store = await open();
      const reused = { ...event("a", 1), data: { by: 0 } };
      function* same(): Generator<Event> {
        for (reused.version = 1; reused.version <= 100; reused.version++) {
          reused.id = `a-${reused.version}`;
          reused.data.by = reused.version;
          yield reused;
        }
      }
      await importEvents(store, same());
      const data = (await store.getEvents("a")).map(({ version, id, data }) => ({ version, id, data }));
      assert.deepEqual(
        data,
        Array.from({ length: 100 }, (_, index) => ({
          version: index + 1,
          id: `a-${index + 1}`,
          data: { by: index + 1 },
        })),
      );
    });

    it("repeated with the same input stores nothing", async () => {
      const store = await open();
      const events = history(seed, 6_000);
      await importEvents(store, events);
      const position = await store.position();
      for (const input of [events, eachOf(events)]) {
        const { stored, duplicates } = await importEvents(store, input);
        assert.deepEqual({ stored, duplicates }, { stored: 0, duplicates: 6_000 });
      }
      assert.equal(await store.position(), position);
    });

    it("takes an input that repeats itself", async () => {
      const store = await open();
      const events = history(seed, 2_000);
      const { stored, duplicates } = await importEvents(store, [...events, ...events]);
      assert.deepEqual({ stored, duplicates }, { stored: 2_000, duplicates: 2_000 });
      assert.equal((await importEvents(store, [...events, ...events])).duplicates, 4_000);
      await holds(store, events);
    });

    it("repeated finds what was stored in another order, among others, and event by event", async () => {
      const store = await open();
      const events = history(seed, 4_000);
      const byActor = events.toSorted((a, b) => a.actorId < b.actorId ? -1 : a.actorId > b.actorId ? 1 : 0);
      const random = numbers(seed);
      const others = history(seed + 1, 4_000).map(({ actorId, version }) => event(`other-${actorId}`, version));
      await importEvents(store, byActor.slice(0, 1_500).flatMap((event, index) => [event, others[index] ?? event]));
      for (const event of byActor.slice(1_500, 1_600)) await store.saveEvent(event);
      await importEvents(store, others.slice(1_500));
      await importEvents(store, byActor.slice(1_600, 3_000).filter(({ actorId }) => actorId !== "order-3"));
      const here = new Set<string>();
      for await (const commit of store.readAll()) for (const { id } of commit.events) here.add(id);
      const missing = events.filter(({ id }) => !here.has(id));
      const { stored, duplicates } = await importEvents(store, random() < 0.5 ? events : byActor);
      assert.deepEqual({ stored, duplicates }, { stored: missing.length, duplicates: 4_000 - missing.length });
      await holds(store, [...events, ...others]);
    });

    it("goes on wherever it was aborted, or its input broke", async () => {
      const store = await open();
      const random = numbers(seed);
      const events = history(seed, 6_000);
      let stored = 0;
      let previous = 0;
      for (let attempt = 0; previous < 5_000; attempt++) {
        const end = previous + Math.floor(random() * 1_000);
        const abort = new AbortController();
        const broken = new Error(`stop at ${end}`);
        let last: ImportProgress | undefined;
        const input = eachOf(events, (index) => {
          if (index < end) return;
          if (attempt % 2) throw broken;
          abort.abort(broken);
        });
        const options = { signal: abort.signal, onProgress: (progress: ImportProgress) => last = progress };
        await assert.rejects(importEvents(store, input, options), broken);
        assert(last);
        stored += last.stored;
        // What it said is certain, and nothing comes afterwards.
        assert.equal(await count(store), stored);
        if (last.upTo) await holds(store, events.slice(0, events.indexOf(last.upTo as Event) + 1), false);
        previous = end;
      }
      const { stored: rest, duplicates } = await importEvents(store, events);
      assert.deepEqual([stored + rest, duplicates], [6_000, stored]);
      await holds(store, events);
    });

    it("says up to where all is settled, so that another begins there", async () => {
      const store = await open();
      const events = history(seed, 5_000);
      const abort = new AbortController();
      let reached: Event | Commit | undefined;
      const onProgress = ({ upTo }: ImportProgress): void => void (reached = upTo);
      const input = eachOf(events, (index) => index === 3_000 && abort.abort());
      await assert.rejects(importEvents(store, input, { signal: abort.signal, onProgress }), { name: "AbortError" });
      const rest = events.slice(events.indexOf(reached as Event) + 1);
      assert.ok(rest.length < 5_000);
      await importEvents(store, rest);
      await holds(store, events);
    });

    const differences: Record<string, [input: [version: number, id: string][], expected: number]> = {
      "another event in its place": [[[1, "a1"], [2, "x"], [3, "a3"]], 1],
      "another event in the first place": [[[1, "x"]], 0],
      "another event in the last place": [[[4, "x"], [5, "a5"]], 3],
      "an event in a gap": [[[1, "a1"], [3, "x"], [4, "a4"]], 2],
      "a lower version behind a higher one": [[[4, "a4"], [6, "a6"], [5, "a5"]], 4],
    };
    for (const [what, [input, expectedVersion]] of Object.entries(differences)) {
      it(`is refused at once where the store has ${what}`, async () => {
        const store = await open();
        await importEvents(store, [1, 2, 4].map((version) => event("a", version, `a${version}`)));
        let closed = false;
        function* long(): Generator<Event> {
          try {
            for (const [version, id] of input) yield event("a", version, id);
            for (let number = 1; number <= 20_000; number++) yield event(`b-${number}`, 1);
            assert.fail("read to the end");
          } finally {
            closed = true;
          }
        }
        const actualVersion = input.some(([version]) => version === 6) ? 6 : 4;
        let failed: Event | undefined;
        const onProgress = (progress: ImportProgress): void => void (failed = progress.failed as Event);
        await assert.rejects(importEvents(store, long(), { onProgress }), (error) => {
          assert(isAetherError(error, "VERSION_CONFLICT"));
          const { actorId } = error;
          assert.deepEqual({ actorId, expectedVersion, actualVersion }, {
            actorId: error.actorId,
            expectedVersion: error.expectedVersion,
            actualVersion: error.actualVersion,
          });
          return actorId === "a";
        });
        assert.equal(failed?.actorId, "a");
        assert.equal(failed.version, expectedVersion + 1);
        assert.ok(closed);
      });
    }

    it("takes an event that comes twice for one, and an id of two versions for two", async () => {
      const store = await open();
      const events = [event("a", 1, "x"), event("a", 1, "x"), event("a", 2, "x"), event("a", 3, "y")];
      const { stored, duplicates } = await importEvents(store, events);
      assert.deepEqual({ stored, duplicates }, { stored: 3, duplicates: 1 });
      assert.deepEqual((await store.getEvents("a")).map(({ id }) => id), ["x", "x", "y"]);
    });

    it("refuses a wrong event by its path, and stores what was before it", async () => {
      const store = await open();
      const wrong = { ...event("a", 3), data: { at: new Date() } };
      await assert.rejects(importEvents(store, [event("a", 1), event("a", 2), wrong, event("a", 4)]), (error) => {
        assert(isAetherError(error, "INVALID_EVENT"));
        return error.path === "data.at";
      });
      assert.ok(await store.getLatestVersion("a") <= 2);
      for (const item of [null, 7, { actorId: "a", events: [event("b", 1)], version: 1, position: 1 }]) {
        await assert.rejects(importEvents(store, [item as unknown as Event]), (error) => isAetherError(error));
      }
    });

    it("of a source with everything is a copy: commits, large ones, gaps, deletions", async () => {
      const [source, copy] = [await open(), await open()];
      const many = (count: number, text = ""): { eventType: string; data: unknown }[] =>
        Array.from({ length: count }, (_, index) => ({ eventType: "Added", data: { index, text } }));
      await source.append("order-1", many(3));
      await source.append("order-2", many(40, "x".repeat(1_000)));
      await source.saveEvent(event("order-3", 5));
      await source.append("order-3", many(2), { metadata: { correlationId: "c" } });
      await source.append("gone-1", many(2));
      await source.transact([{ actorId: "order-1", events: many(2) }, { actorId: "order-4", events: many(1) }]);
      const early = await Array.fromAsync(source.readAll());
      await source.deleteActor("gone-1");
      await source.append("never", many(1));
      await source.deleteActor("never");

      await importEvents(copy, early.slice(0, 3));
      await importEvents(copy, early);
      const all = await Array.fromAsync(source.readAll());
      const { read, stored, duplicates } = await importEvents(copy, all);
      assert.deepEqual({ read, stored, duplicates }, { read: 49, stored: 0, duplicates: 49 });
      assert.deepEqual(
        outline(await Array.fromAsync(copy.readAll())),
        outline(all).filter(({ actorId }) => actorId !== "never"),
      );
      assert.deepEqual(await copy.getEvents("gone-1"), []);
      // Deleted is deleted: an older input does not bring it back, and does not fail either.
      assert.equal((await importEvents(copy, early)).erased, 2);
      assert.equal((await importEvents(copy, [event("new", 1), ...early])).erased, 2);
      await assert.rejects(importEvents(copy, [event("gone-1", 3)]), (error) => isAetherError(error, "ACTOR_DELETED"));
      assert.deepEqual(await copy.getEvents("gone-1"), []);
    });

    it("carries a deletion over behind events that a filter has left out, and not over later ones", async () => {
      const store = await open();
      const deletion = (actorId: string, version: number): Commit => ({
        ...{ actorId, version, position: 9, events: [] },
        deleted: true,
      });
      await importEvents(store, [event("a", 1), event("a", 2), deletion("a", 7)]);
      assert.deepEqual(await store.getEvents("a"), []);
      assert.equal(await store.getLatestVersion("a"), 2);
      await importEvents(store, [event("b", 1), event("b", 2), event("b", 3)]);
      await assert.rejects(importEvents(store, [deletion("b", 2)]), (error) => {
        assert(isAetherError(error, "VERSION_CONFLICT"));
        return error.actorId === "b" && error.expectedVersion === 2 && error.actualVersion === 3;
      });
      assert.equal((await store.getEvents("b")).length, 3);
    });

    it("stores the first event behind a gap in a commit by itself", async () => {
      const store = await open();
      const commit = (versions: number[]): Commit => {
        const events = versions.map((version) => event("a", version));
        return { actorId: "a", version: versions.at(-1) ?? 0, position: 1, events };
      };
      const input = [commit([1, 2]), commit([4, 5, 6]), commit([7, 9, 10])];
      await importEvents(store, input);
      const commits = await Array.fromAsync(store.readAll());
      assert.deepEqual(commits.map(({ events }) => events.map(({ version }) => version)), [
        [1, 2],
        [4],
        [5, 6],
        [7],
        [9],
        [10],
      ]);
      assert.equal((await importEvents(store, input)).duplicates, 8);
    });

    it("takes events of several MB", async () => {
      const store = await open();
      const text = "ü".repeat(1_500_000);
      const events = Array.from({ length: 12 }, (_, index) => ({
        ...event(`a-${index % 4}`, Math.floor(index / 4) + 1),
        data: { text: `${index}${text}` },
      }));
      await importEvents(store, events);
      assert.equal((await importEvents(store, events)).duplicates, 12);
      await holds(store, events);
      await assert.rejects(importEvents(store, [{ ...event("b", 1), data: "x".repeat(9_000_000) }]), (error) => {
        return isAetherError(error, "EVENT_TOO_LARGE");
      });
    });

    it("of the same input by two at once stores it once", async () => {
      const store = await open();
      const events = history(seed, 4_000);
      const [first, second] = await Promise.all([importEvents(store, events), importEvents(store, eachOf(events))]);
      assert.equal(first.stored + second.stored, 4_000);
      assert.equal(first.duplicates + second.duplicates, 4_000);
      await holds(store, events);
    });

    it("reads no further than it can store, and waits for what is under way", async () => {
      const store = await open();
      const gate = Promise.withResolvers<void>();
      let writes = 0;
      let under = 0;
      const slow = appendingBy(store, async (append) => {
        writes++;
        under++;
        if (writes > 1) await gate.promise;
        return await append().finally(() => under--);
      });
      let read = 0;
      let closed = false;
      async function* long(): AsyncGenerator<Event> {
        try {
          while (read < 20_000) yield event(`a-${++read}`, 1);
        } finally {
          await new Promise((resolve) => setTimeout(resolve));
          closed = true;
        }
      }
      const abort = new AbortController();
      const reason = new Error("enough");
      const rejected = assert.rejects(importEvents(slow, long(), { signal: abort.signal }), reason);
      await until(() => read > WINDOW);
      await until(() => under === WINDOW);
      assert.equal(read, WINDOW + 1);
      abort.abort(reason);
      gate.resolve();
      await rejected;
      assert.deepEqual({ under, closed, count: await count(store) }, { under: 0, closed: true, count: WINDOW + 1 });
    });

    it("begins no write after it was aborted", async () => {
      const store = await open();
      const gate = Promise.withResolvers<void>();
      let writes = 0;
      const slow = appendingBy(store, async (append) => {
        if (++writes === 2) await gate.promise;
        return await append();
      });
      const abort = new AbortController();
      const events = Array.from({ length: 1_000 }, (_, index) => event("a", index + 1));
      const rejected = assert.rejects(importEvents(slow, events, { signal: abort.signal }), { name: "AbortError" });
      await until(() => writes === 2);
      abort.abort();
      gate.resolve();
      await rejected;
      assert.equal(writes, 2);
    });

    it("holds no more than some MB of large events", async () => {
      const store = await open();
      const gate = Promise.withResolvers<void>();
      const slow = appendingBy(store, async (append, actorId) => {
        if (actorId !== "a-1") await gate.promise;
        return await append();
      });
      let read = 0;
      const data = "x".repeat(3 * 1_048_576);
      const input = eachOf(Array.from({ length: 30 }, (_, index) => ({ ...event(`a-${index + 1}`, 1), data })), () => {
        read++;
      });
      const imported = importEvents(slow, input);
      await until(() => read === 7); // 1 alone, and 6 that fill 16 MB
      gate.resolve();
      assert.equal((await imported).stored, 30);
    });

    it("is aborted while its input says nothing", async () => {
      const store = await open();
      const abort = new AbortController();
      const reason = new Error("enough");
      async function* silent(): AsyncGenerator<Event> {
        yield event("a", 1);
        await new Promise(() => {});
      }
      const imported = importEvents(store, silent(), { signal: abort.signal });
      imported.catch(() => {});
      await until(async () => await store.getLatestVersion("a") === 1); // nothing waits for the next
      abort.abort(reason);
      await assert.rejects(imported, reason);
      await assert.rejects(importEvents(store, [], { signal: abort.signal }), reason);
    });

    it("follows a live source", async () => {
      const [source, copy] = [await open(), await open()];
      const abort = new AbortController();
      const { signal } = abort;
      const imported = importEvents(copy, source.readAll({ live: true, signal }), { signal });
      imported.catch(() => {});
      for (let version = 1; version <= 3; version++) {
        await source.append("a", [{ eventType: "Added", data: version }]);
        await until(async () => await copy.getLatestVersion("a") === version);
      }
      abort.abort();
      await assert.rejects(imported, { name: "AbortError" });
    });

    it("reports as it goes on, and what the report throws ends it", async () => {
      const store = await open();
      const reports: ImportProgress[] = [];
      const events = history(seed, 3_000);
      const result = await importEvents(store, events, { onProgress: (progress) => reports.push(progress) });
      assert.ok(reports.length >= 2);
      assert.deepEqual(reports.at(-1), result);
      for (const [index, { read, stored }] of reports.entries()) {
        assert.ok(stored <= read && stored >= (reports[index - 1]?.stored ?? 0));
      }
      const problem = new Error("no more room on the screen");
      const onProgress: ImportOptions["onProgress"] = () => {
        throw problem;
      };
      await assert.rejects(importEvents(store, events, { onProgress }), problem);
    });
  });
}

async function count(store: EventStore): Promise<number> {
  let count = 0;
  for await (const { events } of store.readAll()) count += events.length;
  return count;
}

/** What must be the same in a copy. */
function outline(commits: readonly Commit[]): Pick<Commit, "actorId" | "version" | "events" | "deleted">[] {
  return commits.map(({ position: _, storedAt: __, ...commit }) => commit)
    .sort((a, b) => a.actorId < b.actorId ? -1 : a.actorId > b.actorId ? 1 : a.version - b.version);
}

/** A store whose appends go through a function. */
function appendingBy(
  store: EventStore,
  by: (append: () => Promise<AppendResult>, actorId: string) => Promise<AppendResult>,
): EventStore {
  const append = (...args: Parameters<EventStore["append"]>): Promise<AppendResult> =>
    by(() => store.append(...args), args[0]);
  return new Proxy(store, {
    get(target, name): unknown {
      const value: unknown = name === "append" ? append : Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
