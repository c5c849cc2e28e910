import type { NatsConnection } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { encodeToken } from "../../actor_id.ts";
import {
  type Commit,
  type EventStore,
  JetStreamEventStore,
  type JetStreamOptions,
  load,
  type ReadActorOptions,
  shardOf,
} from "../../mod.ts";
import { configOf } from "../../store/stream_config.ts";
import { Subjects } from "../../store/subjects.ts";
import { encodeCommit, type WireMessage } from "../../store/wire.ts";
import { added, all, eventOf, outline, rejects, several } from "../../testing/event_store/scene.ts";
import { NatsServer } from "../../testing/mod.ts";
import { headersOf, type Raw, raw, until } from "../support/jetstream.ts";
import { ON_DENO } from "../support/once.ts";
import { numbers } from "../support/random.ts";

/** Bytes of a block of the server, and messages in one of the large stream. */
const BLOCK = 8 * 1_048_576;
const PER_BLOCK = 500;

/** What is to be stored for an actor: a commit of some events, in some parts; no events are a seal. */
interface Planned {
  readonly actorId: string;
  readonly events: number;
  readonly parts?: number;
  /** Versions that are left out before it, as an import may. */
  readonly gap?: number;
}

/** So many messages of other actors. */
type Plan = readonly (Planned | number)[];

describe("reading an actor", () => {
  let server: Raw;
  let names = 0;
  before(async () => {
    server = await raw();
  });
  after(() => server[Symbol.asyncDispose]());

  /** A namespace with what is planned, and its commits by actor. */
  async function laid(plan: Plan, options: { shift?: number; store?: Partial<JetStreamOptions> } = {}): Promise<Laid> {
    const namespace = `h${++names}`;
    const nc = counting(server.nc);
    const store = await JetStreamEventStore.open(nc, { namespace, ...options.store });
    const commits = await lay(server.nc, namespace, plan, options);
    nc.requests.length = 0;
    return { store, namespace, commits, requests: nc.requests };
  }

  describe("gives what a plain filter gives, wherever its messages lie", () => {
    const seed = Number(process.env.AETHER_SEED ?? Date.now() % 2 ** 31); // `AETHER_SEED=…` repeats a run
    // A stream that was restored has other sequences than its links say. The look-up is the same on each runtime.
    const shifts = ON_DENO ? [0, 0, 0, 3, -7, 500, -3_000] : [0, 3, -3_000];
    for (const [round, shift] of shifts.entries()) {
      it(`links wrong by ${shift}, seed ${seed + round}`, async () => {
        const random = numbers(seed + round);
        const { store, commits } = await laid(randomPlan(random, shift === 0), { shift });
        for (const [actorId, history] of commits) {
          for (let count = 0; count < 20; count++) {
            const options = count === 0 ? {} : randomRange(random, history);
            const hint = `${actorId} ${JSON.stringify(options)}`;
            const read = await all(store.readActor(actorId, options));
            assert.deepEqual(outline(read), outline(selected(history, options)), hint);
          }
        }
      });
    }
  });

  const near = (count: number): Plan => Array.from({ length: count }, () => ({ actorId: "a", events: 1 }));

  it("behind a known commit near the end of the stream it is one request, once it is known how long the stream is", async () => {
    const { store, namespace, requests } = await laid([...near(300), 5, ...near(10)]);
    const other = await JetStreamEventStore.open(server.nc, { namespace });
    const from = async (version: number): Promise<{ asked: number; versions: number[] }> => {
      const position = (await all(other.readActor("a", { fromVersion: version, toVersion: version })))[0]?.position ??
        0;
      requests.length = 0;
      const commits = await all(store.readActor("a", { from: { position, version } }));
      return { asked: requests.length, versions: commits.map((commit) => commit.version) };
    };
    await from(300);
    const behind = (version: number, last: number): number[] =>
      Array.from({ length: last - version }, (_, index) => version + index + 1);
    assert.deepEqual(await from(305), { asked: 1, versions: behind(305, 310) });
    assert.deepEqual(await from(310), { asked: 1, versions: [] });
    await other.append("a", [{ eventType: "Added", data: 1 }]); // another writer
    assert.deepEqual(await from(310), { asked: 1, versions: [311] });
    await store.append("a", [{ eventType: "Added", data: 1 }]);
    assert.deepEqual(await from(310), { asked: 1, versions: [311, 312] });
    assert.deepEqual((await from(100)).versions, behind(100, 312)); // more than are asked for on trust
  });

  it("with nothing but seals in one place, far from all else", async () => {
    const seal = { actorId: "a", events: 0 };
    const seals: Plan = Array.from({ length: 30 }, () => [seal, 60]).flat();
    const plan: Plan = [{ actorId: "a", events: 8 }, 9_000, ...seals, 6_000, { actorId: "a", events: 2 }];
    const { store, commits } = await laid(plan);
    for (const options of [{}, { last: 99 }, { fromVersion: 1, toVersion: 3 }]) {
      const read = await all(store.readActor("a", options));
      assert.deepEqual(outline(read), outline(selected(commits.get("a") ?? [], options)));
    }
  });

  describe("asks no more often than is needed", () => {
    const far = 3_000;
    const dense = (count: number): Plan => Array.from({ length: count }, () => ({ actorId: "a", events: 1 }));
    const sparse = (count: number): Plan =>
      Array.from({ length: count }, () => [{ actorId: "a", events: 1 }, far]).flat();
    const cases: [what: string, plan: Plan, options: ReadActorOptions, requests: number, events: number][] = [
      ["nobody", [5], {}, 2, 0],
      ["one event", [{ actorId: "a", events: 1 }], {}, 2, 1],
      ["two far events", sparse(2), {}, 2, 2],
      ["ten near events", dense(10), {}, 3, 10],
      ["ten far events", sparse(10), {}, 10, 10],
      ["its head, which is all that a conflict has missed", dense(10), { fromVersion: 10 }, 1, 1],
      ["the head and what is near before it", dense(100), { fromVersion: 98 }, 2, 3],
      ["a far tail", sparse(10), { fromVersion: 9 }, 2, 2],
      ["behind a snapshot: nothing", dense(10), { from: { position: 10, version: 10 } }, 2, 0],
      ["behind a snapshot: the last commit, near", dense(10), { from: { position: 9, version: 9 } }, 2, 1],
      ["behind a snapshot: the last commit, far", sparse(2), { from: { position: 1, version: 1 } }, 2, 1],
      ["behind a snapshot: some near commits", dense(100), { from: { position: 90, version: 90 } }, 3, 10],
      ["the last ten of many", dense(5_000), { last: 10 }, 2, 10],
      ["the last two of far ones", sparse(5), { lastCommits: 2 }, 2, 2],
      ["the first ten of many", dense(5_000), { limit: 10 }, 3, 10],
      ["some in the middle", dense(5_000), { fromVersion: 2_000, toVersion: 2_010 }, 10, 11],
      ["up to a position in the middle", [...dense(1_000), far, ...dense(1_000)], { toPosition: 900, last: 3 }, 32, 3],
      ["many near events", dense(2_000), {}, 4, 2_000],
    ];
    for (const [what, plan, options, requests, events] of cases) {
      it(`${what}: ${requests}`, async () => {
        const read = await laid(plan);
        const commits = await all(read.store.readActor("a", options));
        // Not how long the stream is, which is asked once a minute, nor the flow control of a consumer.
        const asked = read.requests.filter((request) => !/^\$JS\.(API\.STREAM\.INFO|FC)\./.test(request));
        assert.equal(commits.flatMap((commit) => commit.events).length, events);
        assert.ok(asked.length <= requests, asked.join("\n"));
      });
    }
  });

  describe("is right", () => {
    it("on a stream that was filled from another one, whose links are those of the other", async () => {
      const { namespace, commits } = await laid(randomPlan(numbers(1), false));
      const copy = `${namespace}-copy`;
      // Not those of others, so that all sequences are different.
      const transforms = [...commits.keys()].map((id) => ({
        src: `aether.${namespace}.events.*.${id}.${id}`,
        dest: `aether.${copy}.events.{{wildcard(1)}}.${id}.${id}`,
      }));
      const config = {
        ...configOf(copy, 64),
        sources: [{ name: `AETHER_${namespace}`, subject_transforms: transforms }],
      };
      await server.api(`STREAM.CREATE.AETHER_${copy}`, config);
      const store = await JetStreamEventStore.open(server.nc, { namespace: copy });
      for (const [actorId, history] of commits) {
        await until(async () => await store.getLatestVersion(actorId) === history.at(-1)?.version);
        const shape = (list: readonly Commit[]): unknown => list.map(({ events }) => events.map(({ id }) => id));
        assert.deepEqual(shape(await all(store.readActor(actorId))), shape(history));
        assert.deepEqual(shape(await all(store.readActor(actorId, { lastCommits: 3 }))), shape(history.slice(-3)));
      }
    });

    it("where a message is missing: EVENT_DECODE, unless it is not wanted", async () => {
      const one = { actorId: "a", events: 1 };
      const { store, namespace } = await laid([
        one,
        one,
        2_500,
        one,
        3_000,
        one,
        one,
        { ...one, events: 4, parts: 2 },
        one,
      ]);
      const erase = (seq: number): Promise<unknown> =>
        server.api(`STREAM.MSG.DELETE.AETHER_${namespace}`, { seq, no_erase: false });
      const read = async (options: ReadActorOptions = {}): Promise<number> =>
        (await all(store.readActor("a", options))).length;
      const stream = `AETHER_${namespace}`;
      assert.equal(await read(), 7);
      await erase(5_507); // the first part of two
      await rejects(read(), "EVENT_DECODE", { stream });
      assert.equal(await read({ toVersion: 5 }), 5);
      assert.equal(await read({ last: 1 }), 1);
      await rejects(read({ last: 2 }), "EVENT_DECODE", { stream });
      await erase(2_503); // alone, and far from all others
      await rejects(read({ toVersion: 5 }), "EVENT_DECODE", { stream });
      assert.equal(await read({ fromVersion: 4, toVersion: 5 }), 2);
    });

    it("on a replica that does not keep up, of which the leader has the rest", async () => {
      const one = { actorId: "a", events: 1 };
      const { store, namespace, commits } = await laid([one, one, 2_500, one, one], { store: { cachedActors: 4 } });
      await lag(namespace, 2);
      const head = commits.get("a")?.at(-1) as Commit;
      await store.getLatestVersion("a", { consistency: "leader" });
      for (let count = 0; count < 12; count++) {
        assert.equal(await store.getLatestVersion("a"), 4);
        assert.equal((await store.getEvents("a")).length, 4);
        assert.equal((await store.getEvents("a", 0, { last: 2 })).length, 2);
        assert.equal((await all(store.readActor("a", { from: { position: 2, version: 2 } }))).length, 2);
        assert.equal((await all(store.readActor("a", { from: head }))).length, 0);
      }
      // Forgotten among others, which the replica does not have either.
      for (let count = 0; count < 12; count++) {
        for (const actorId of ["b", "c", "d", "e", "f"]) await store.append(actorId, [added()]);
        if (count % 2 === 0) assert.equal(await store.getLatestVersion("a"), 4);
        else assert.equal((await store.getEvents("a", 4)).length, 1);
      }
      const fresh = await JetStreamEventStore.open(server.nc, { namespace });
      for (let count = 0; count < 12; count++) {
        assert.ok([2, 4].includes((await fresh.getEvents("a")).length), "a stale beginning, or all");
        if ((await fresh.getEvents("a", 0, { consistency: "leader" })).length === 4) break;
      }
      for (let count = 0; count < 12; count++) assert.equal((await fresh.getEvents("a")).length, 4);
    });

    it("of which it is told what the answer must include, and what nobody has is UNAVAILABLE", async () => {
      const { store: writer, namespace } = await laid([{ actorId: "a", events: 1 }]);
      await lag(namespace, 2); // it answers once it has all, and goes on to when it is full
      const { position: atLeast } = await writer.append("a", several(3));
      await until(async () => await (await fresh()).getLatestVersion("a") === 1);
      const count = { initialState: () => 0, evolve: (events: number) => events + 1 };
      const reads: ((store: EventStore) => Promise<unknown>)[] = [
        async (store) => assert.equal(await store.getLatestVersion("a", { atLeast }), 4),
        async (store) => assert.equal((await store.getEvents("a", 0, { atLeast })).length, 4),
        async (store) => {
          const from = { position: 1, version: 1 };
          assert.equal((await all(store.readActor("a", { from, atLeast }))).length, 1);
        },
        async (store) => assert.deepEqual(await store.getEvents("never", 0, { atLeast }), []),
        async (store) => assert.equal((await load(store, count, "a", { atLeast })).state, 4),
      ];
      for (const read of reads) {
        for (let tries = 0; tries < 8; tries++) {
          const store = await fresh();
          await read(store);
          assert.equal(await store.getLatestVersion("a"), 4, "what was seen once is not unseen");
        }
      }
      const hasty = await fresh({ timeout: 200 });
      await rejects(hasty.getLatestVersion("a", { atLeast: atLeast + 1 }), "UNAVAILABLE");
      await rejects(hasty.getEvents("a", 0, { atLeast: 9e9, consistency: "leader" }), "UNAVAILABLE");
      assert.equal(await hasty.getLatestVersion("a", { consistency: "leader" }), 4); // nothing is left of it

      function fresh(options: Partial<JetStreamOptions> = {}): Promise<JetStreamEventStore> {
        return JetStreamEventStore.open(server.nc, { namespace, ...options });
      }
    });

    it("in the middle of a long history of which a replica lacks the rest", async () => {
      const { store, namespace } = await laid(Array.from({ length: 1_200 }, () => ({ actorId: "a", events: 1 })));
      await lag(namespace, 700);
      for (let count = 0; count < 4; count++) {
        assert.equal((await store.getEvents("a", 0, { consistency: "leader" })).length, 1_200);
        assert.equal((await store.getEvents("a", 650, { limit: 100 })).length, 100);
      }
    });

    /** A mirror that is full, and answers for its origin all the same. */
    async function lag(namespace: string, messages: number): Promise<void> {
      const mirror = { name: `AETHER_${namespace}` };
      const config = { name: `LAG_${namespace}`, mirror, mirror_direct: true, max_msgs: messages, discard: "new" };
      await server.api(`STREAM.CREATE.${config.name}`, config);
      await until(async () => (await server.api(`STREAM.INFO.${config.name}`)).state.last_seq === messages);
    }
  });

  // What a process has read from files, cached by the system or not, is told by Linux alone.
  describe("has the server load little more than what it gives", { skip: !existsSync("/proc/self/io") }, () => {
    const namespace = "large";
    const one = (actorId: string): Planned => ({ actorId, events: 1 });
    const many = (actorId: string, count: number): Plan => Array.from({ length: count }, () => one(actorId));
    let own: NatsServer;
    before(async () => {
      own = await NatsServer.start();
      const nc = await connect({ servers: own.url });
      await JetStreamEventStore.open(nc, { namespace });
      const blocks = (count: number): number => count * PER_BLOCK;
      await lay(nc, namespace, [
        ...[one("ends"), ...many("split", 12), blocks(3)],
        ...[...many("early", 12), blocks(1), ...many("split", 12), one("late"), blocks(3)],
        ...[...many("late", 20), blocks(3), ...many("split", 12), one("ends")],
      ], { size: BLOCK / PER_BLOCK - 150 });
      await nc.close();
      await own.restart(); // the first time it reads what it had not written to its index
    });
    after(() => own.stop());

    const cases: [what: string, actorId: string, options: ReadActorOptions, events: number, blocks: number][] = [
      ["one of both ends", "ends", {}, 2, 2],
      ["one that lies together in the first half", "early", {}, 12, 1],
      ["the end of one that lies together in the first half", "early", { last: 3 }, 3, 1],
      ["one that lies in two places", "late", {}, 21, 2],
      ["the end of one in the second half", "late", { last: 10 }, 10, 1],
      ["a part of one in the second half", "late", { fromVersion: 5, limit: 3 }, 3, 1],
      ["one in three places", "split", {}, 36, 3],
      ["the middle of one in three places", "split", { fromVersion: 14, toVersion: 20 }, 7, 3],
      ["the end of one in three places", "split", { lastCommits: 14 }, 14, 2],
    ];
    for (const [what, actorId, options, events, blocks] of cases) {
      /** Blocks that the server loads for it, from nothing in memory. */
      const loadedFor = async (): Promise<number> => {
        await own.restart();
        const nc = await connect({ servers: own.url });
        try {
          const store = await JetStreamEventStore.open(nc, { namespace });
          const before = bytesRead(own.pid);
          const read = await all(store.readActor(actorId, options));
          assert.equal(read.flatMap((commit) => commit.events).length, events);
          return Math.round((bytesRead(own.pid) - before) / BLOCK);
        } finally {
          await nc.close();
        }
      };

      it(`${what}: ${blocks} of 10 blocks`, async () => {
        let least = Infinity;
        // A server that has just started now and then reads a block for itself.
        for (let tries = 0; tries < 3 && least > blocks + 1; tries++) least = Math.min(least, await loadedFor());
        assert.ok(least <= blocks + 1, `${least}`); // what lies together may lie across two
      });
    }
  });
});

interface Laid {
  readonly store: JetStreamEventStore;
  readonly namespace: string;
  readonly commits: ReadonlyMap<string, Commit[]>;
  /** Subjects and bodies of what the store has asked for since it was last emptied. */
  readonly requests: string[];
}

interface LayOptions {
  /** How wrong the links are. */
  readonly shift?: number;
  /** Bytes of a message of another actor. */
  readonly size?: number;
}

/** Publishes what is planned, in the wire format. */
async function lay(
  nc: NatsConnection,
  namespace: string,
  plan: Plan,
  { shift = 0, size = 2 }: LayOptions = {},
): Promise<Map<string, Commit[]>> {
  const subjects = new Subjects(namespace, 64);
  const commits = new Map<string, Commit[]>();
  const heads = new Map<string, { version: number; sequence: number }>();
  let sequence = 0;
  const publish = async ({ subject, headers, payload }: WireMessage): Promise<void> => {
    const options = { headers: headersOf(headers) };
    if (++sequence % 1_000 > 0) nc.publish(subject, payload, options);
    else await nc.request(subject, payload, { ...options, timeout: 10_000 });
  };
  for (const planned of plan) {
    if (typeof planned === "number") {
      for (let count = 0; count < planned; count++) {
        await publish({
          subject: subjects.ofActor(`other-${count % 40}`, 1),
          headers: {},
          payload: new Uint8Array(size),
        });
      }
      continue;
    }
    const { actorId, events: count, parts = 1, gap = 0 } = planned;
    const subject = subjects.ofActor(encodeToken(actorId), shardOf(actorId, 64));
    const head = heads.get(actorId) ?? { version: 0, sequence: 0 };
    const first = head.version + gap + 1;
    const events = Array.from({ length: count }, (_, index) => eventOf(actorId, first + index, { data: "x" }));
    const version = count === 0 ? head.version : first + count - 1;
    const previous = head.sequence === 0 ? 0 : Math.max(1, head.sequence + shift);
    const most = parts === 1 ? Infinity : Math.ceil(JSON.stringify(events).length / parts) + 20;
    for (const message of encodeCommit({ subject, events, version, previous, epoch: 0 }, most)) {
      const { "Nats-Expected-Last-Subject-Sequence": _, ...headers } = message.headers;
      await publish({ ...message, headers });
    }
    heads.set(actorId, { version, sequence });
    const list = commits.get(actorId) ?? [];
    commits.set(actorId, list);
    if (count > 0) list.push({ actorId, version, position: sequence, events });
  }
  // What was published is stored once a later request is answered.
  await nc.request(subjects.ofFence(0), "", { timeout: 10_000 });
  return commits;
}

/** Dense parts, sparse parts, clusters, large commits, seals and gaps of some actors. */
function randomPlan(random: () => number, gaps: boolean): Plan {
  const plan: (Planned | number)[] = [];
  const below = (limit: number): number => Math.floor(random() * limit);
  const commit = (actorId: string): Planned => {
    const kind = random();
    if (kind < 0.1) return { actorId, events: 0 };
    if (kind < 0.2) return { actorId, events: 4 + below(9), parts: 2 + below(3) };
    return { actorId, events: kind < 0.7 ? 1 : 1 + below(6), gap: gaps && kind > 0.65 ? below(4) : 0 };
  };
  for (let part = 0; part < 12; part++) {
    const actors = ["dense", "sparse", "mixed"].filter(() => random() < 0.6);
    const length = random() < 0.3 ? 1 : below(60);
    for (let count = 0; count < length; count++) {
      for (const actorId of actors) {
        if (actorId === "dense" || random() < (actorId === "mixed" ? 0.3 : 0.05)) plan.push(commit(actorId));
      }
      if (random() < 0.3) plan.push(below(30));
    }
    plan.push(random() < 0.5 ? below(200) : below(6_000));
  }
  return plan;
}

function randomRange(random: () => number, history: readonly Commit[]): ReadActorOptions {
  const below = (limit: number): number => Math.floor(random() * limit);
  const last = history.at(-1) ?? { version: 3, position: 3 };
  const options: Record<string, unknown> = {};
  if (random() < 0.4) options["fromVersion"] = below(last.version + 3);
  if (random() < 0.3) options["toVersion"] = below(last.version + 3);
  if (random() < 0.3) options["afterPosition"] = below(last.position + 3);
  if (random() < 0.3) options["toPosition"] = below(last.position + 3);
  const end = random();
  if (end < 0.25) options["limit"] = below(random() < 0.5 ? 5 : 300);
  else if (end < 0.5) options["last"] = below(random() < 0.5 ? 5 : 300);
  if (end > 0.25 && random() < 0.25) options["lastCommits"] = below(random() < 0.5 ? 4 : 100);
  const known = history[below(history.length)];
  if (random() < 0.2 && known) options["from"] = { position: known.position, version: known.version };
  if (random() < 0.2) options["consistency"] = "leader";
  return options;
}

/** What `readActor` promises, written down plainly. */
function selected(history: readonly Commit[], options: ReadActorOptions): Commit[] {
  const { fromVersion = 0, toVersion = Infinity, afterPosition = 0, toPosition = Infinity, from } = options;
  const { limit = Infinity, last = Infinity, lastCommits = Infinity } = options;
  let commits = history.filter(({ position }) =>
    position > Math.max(afterPosition, from?.position ?? 0) && position <= toPosition
  ).map((commit) => ({
    ...commit,
    events: commit.events.filter(({ version }) =>
      version >= fromVersion && version <= toVersion && version > (from?.version ?? 0)
    ),
  })).filter(({ events }) => events.length > 0);
  if (lastCommits < Infinity) commits = lastCommits === 0 ? [] : commits.slice(-lastCommits);
  const events = commits.flatMap((commit) => commit.events);
  const wanted = new Set(last < Infinity ? events.slice(Math.max(0, events.length - last)) : events.slice(0, limit));
  return commits.map((commit) => ({ ...commit, events: commit.events.filter((event) => wanted.has(event)) }))
    .filter(({ events }) => events.length > 0);
}

function bytesRead(pid: number): number {
  return Number(/^rchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, "utf8"))?.[1]);
}

/** A connection that writes down what is asked for. */
function counting(nc: NatsConnection): NatsConnection & { readonly requests: string[] } {
  const requests: string[] = [];
  return new Proxy(nc, {
    get(target, name) {
      if (name === "requests") return requests;
      const value = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      if (name !== "request" && name !== "publish") return value.bind(target);
      return (subject: string, payload?: unknown, options?: unknown) => {
        requests.push(`${subject} ${typeof payload === "string" ? payload : ""}`);
        return value.call(target, subject, payload, options);
      };
    },
  }) as NatsConnection & { readonly requests: string[] };
}
