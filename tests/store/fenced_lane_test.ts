/** Appends behind checked fences, many at once: who goes into one batch, who is refused, what is stored. */
import type { NatsConnection } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  type AppendOptions,
  type AppendResult,
  type EventStore,
  isAetherError,
  JetStreamEventStore,
  type JetStreamOptions,
  shardOf,
} from "../../mod.ts";
import { Subjects } from "../../store/subjects.ts";
import { FaultyNetwork, type NetworkMessage } from "../../testing/mod.ts";
import { added, all, rejects, several, upTo } from "../../testing/event_store/scene.ts";
import { until } from "../support/jetstream.ts";
import { type Started, startOne, startThree } from "../support/servers.ts";

const SHARDS = 8;
const TAKEOVERS = 100;
const isPublish = ({ to, subject }: NetworkMessage): boolean => to === "server" && subject.startsWith("aether.");
const isCommit = (message: NetworkMessage): boolean => isPublish(message) && message.headers.has("Nats-Batch-Commit");

for (const [servers, start] of [["one server", startOne], ["three servers", startThree]] as const) {
  describe(`checked appends at once, on ${servers}`, () => {
    let started: Started;
    const ends: (() => Promise<void>)[] = [];
    before(async () => {
      started = await start();
    });
    after(async () => {
      for (const end of ends) await end();
      await started.stop();
    });

    it("share batches: each is stored once, and one alone takes one batch of two messages", async () => {
      const { store, fenced, batches, take } = await scene();
      await take();
      await fenced("alone");
      assert.deepEqual(batches.splice(0), [2]);
      const actors = upTo(300).map((number) => `order-${number}`);
      await Promise.all(actors.map(async (id) => {
        for (const by of upTo(3)) await fenced(id, { expectedVersion: by - 1 });
      }));
      assert.ok(batches.length <= 12, `${batches}`);
      for (const id of actors) assert.equal((await store.getEvents(id)).length, 3);
      assert.equal((await all(store.readAll())).length, 901);
      await Promise.all(upTo(1_300).map((number) => fenced(`more-${number}`)));
      assert.ok(batches.every((size) => size <= 1_000), `${batches}`);
      await Promise.all(upTo(50).map(() => fenced("alone"))); // in the order of the calls, each in a batch of its own
      assert.equal(await store.getLatestVersion("alone"), 51);
    });

    it("lose alone, by version or by fence, however many in one batch, and the rest goes on at once", async () => {
      const { beside, fenced, batches, take } = await scene();
      const old = await take();
      const actors = upTo(60).map((number) => `order-${number}`);
      await Promise.all(actors.map((id) => fenced(id)));
      const lost = actors.slice(0, 7);
      for (const id of lost) await beside.append(id, several(1)); // not known here
      const shard = shardOf("order-60", SHARDS);
      const taken = (await take([shard]))[shard];
      const isFenced = (id: string): boolean => shardOf(id, SHARDS) === taken?.shard;
      batches.length = 0;
      const outcomes = await Promise.all(actors.map(async (id) => {
        try {
          return (await fenced(id, { expectedVersion: 1 }, old)).version;
        } catch (error) {
          if (isAetherError(error, "FENCED")) return error.epoch;
          if (isAetherError(error, "VERSION_CONFLICT")) return -error.actualVersion;
          throw error;
        }
      }));
      assert.deepEqual(outcomes, actors.map((id) => isFenced(id) ? taken?.epoch : lost.includes(id) ? -2 : 2));
      // One that is refused, one for the rest; on three servers a replica that lags may name fewer at once.
      assert.ok(batches.length <= (started.replicas === 1 ? 2 : 8), `${batches}`);
    });

    it('that lose without an expectation, "any", are tried again, and repetitions are known', async () => {
      const { beside, fenced, take } = await scene();
      await take();
      const actors = upTo(40).map((number) => `order-${number}`);
      const own = (id: string): AppendOptions & { id: string } => ({ expectedVersion: 0, id: `own-${id}` });
      await Promise.all(actors.map((id) => fenced(id, own(id))));
      for (const id of actors.slice(0, 5)) await beside.append(id, several(1));
      const any = await Promise.all(actors.map((id) => fenced(id)));
      assert.deepEqual(any.map(({ version }) => version), actors.map((_, index) => index < 5 ? 3 : 2));
      const again = await Promise.all(actors.map((id) => fenced(id, own(id))));
      assert.deepEqual(again.map(({ version, duplicate }) => [version, duplicate]), actors.map(() => [1, true]));
    });

    it("of two owners of one shard in one process only the later one stores", async () => {
      const { fenced, take } = await scene();
      const first = await take();
      const second = await take();
      const outcomes = await Promise.allSettled(
        upTo(40).map((number) => fenced(`order-${number}`, {}, number % 2 === 0 ? first : second)),
      );
      const stored = outcomes.map(({ status }) => status === "fulfilled");
      assert.deepEqual(stored, upTo(40).map((number) => number % 2 === 1));
    });

    it("take part beside transactions of the same store", async () => {
      const { store, fenced, take, fences } = await scene();
      await take();
      await Promise.all(
        upTo(30).map(async (number) => {
          for (const by of upTo(5)) {
            if (number % 3 > 0) await fenced(`order-${number}`);
            else {
              const commits = [`order-${number}`, `account-${number}`].map((actorId) => ({
                actorId,
                events: [added(by)],
              }));
              await store.transact(commits, { fence: fences() });
            }
          }
        }),
      );
      const listed = await all(store.listActors());
      assert.deepEqual([listed.length, new Set(listed.map(({ version }) => version))], [40, new Set([5])]);
    });

    it(`an owner before stores nothing after ${TAKEOVERS} takeovers, at full speed`, async () => {
      const { store, fenced, take, nc, namespace } = await scene();
      let current = await take();
      let over = false;
      let refused = 0;
      let done = 0;
      const writing = upTo(40).map(async (number) => {
        for (let own = current; !over;) {
          try {
            await fenced(`order-${number}`, {}, own);
            done++;
          } catch (error) {
            if (!isAetherError(error, "FENCED")) throw error;
            refused++;
            own = current; // by then it may be another's again
          }
        }
      });
      try {
        for (let count = 0; count < TAKEOVERS; count++) {
          const [refusedBefore, doneBefore] = [refused, done];
          current = await take([count % SHARDS]);
          await until(() => done > doneBefore && (count % 4 > 0 || refused > refusedBefore));
        }
      } finally {
        over = true;
        await Promise.all(writing);
      }
      const { stale, commits, takeovers } = await stored(nc, namespace);
      assert.deepEqual([stale, takeovers], [0, TAKEOVERS + SHARDS]);
      assert.ok(refused >= TAKEOVERS / 4 && commits > 100, `${refused} refused, ${commits} stored`);
      const listed = await all(store.listActors());
      const counted = await Promise.all(listed.map(async ({ actorId }) => (await store.getEvents(actorId)).length));
      assert.deepEqual(counted, listed.map(({ version }) => version));
    });

    it("whose batch is stored and the answer lost are successes, once", async () => {
      const { network, beside, fenced, take } = await scene({ faulty: true });
      await take();
      const actors = upTo(20).map((number) => `order-${number}`);
      await Promise.all(actors.map((id) => fenced(id)));
      const lost = network.swallow(({ isPubAck }) => isPubAck, { times: 1 });
      const results = await Promise.all(actors.map((id) => fenced(id, { expectedVersion: 1 })));
      assert.equal(lost.count, 1);
      assert.deepEqual(results.map(({ version, duplicate }) => [version, duplicate]), actors.map(() => [2, true]));
      for (const id of actors) assert.equal((await beside.getEvents(id, 0, { consistency: "leader" })).length, 2);
    });

    it("whose batch does not arrive, whole or in part, or late, are stored once", async () => {
      const { network, beside, fenced, take } = await scene({ faulty: true });
      await take();
      const actors = upTo(20).map((number) => `order-${number}`);
      const round = async (version: number): Promise<void> => {
        const results = await Promise.all(actors.map((id) => fenced(id, { expectedVersion: version - 1 })));
        assert.deepEqual(results.map((result) => result.version), actors.map(() => version));
      };
      network.swallow(isCommit, { times: 1 });
      await round(1);
      network.swallow(isPublish, { times: 1 });
      await round(2);
      const late = network.hold(isPublish, { times: 20 });
      const third = round(3);
      await late.met();
      await third;
      late.release();
      await round(4);
      for (const id of actors) {
        const events = await beside.getEvents(id, 0, { consistency: "leader" });
        assert.deepEqual(events.map(({ version }) => version), [1, 2, 3, 4]);
        assert.equal(new Set(events.map(({ id }) => id)).size, 4);
      }
    });

    it("are unknown or undone each by its own signal, and nobody else's", async () => {
      const { network, fenced, take, beside } = await scene({ faulty: true });
      await take();
      await fenced("order-0");
      const held = network.hold(isCommit, { times: 1 });
      const [sent, waiting] = [new AbortController(), new AbortController()];
      const first = fenced("order-1", { signal: sent.signal });
      const beside1 = fenced("order-2");
      await held.met();
      const second = fenced("order-3", { signal: waiting.signal });
      const beside2 = fenced("order-4");
      const reason = new Error("enough");
      sent.abort(reason);
      waiting.abort(reason);
      await rejects(first, "UNKNOWN_OUTCOME", { actorIds: ["order-1"] });
      await assert.rejects(second, reason);
      const behind = fenced("order-1"); // a later one goes onto what the first may have left
      held.release();
      assert.deepEqual([(await beside1).version, (await beside2).version, (await behind).version], [1, 1, 2]);
      assert.equal(await beside.getLatestVersion("order-3", { consistency: "leader" }), 0);
    });

    it("that are too large are refused alone", async () => {
      const { fenced, take, nc } = await scene();
      await take();
      const actors = upTo(10).map((number) => `order-${number}`);
      const limit = nc.info?.max_payload ?? 0;
      const outcomes = await Promise.allSettled(actors.map((id, index) => {
        return fenced(id, {}, undefined, index === 4 ? "x".repeat(limit) : "x");
      }));
      assert.deepEqual(outcomes.map(({ status }) => status === "fulfilled"), actors.map((_, index) => index !== 4));
      await rejects(fenced("order-1", {}, undefined, "x".repeat(limit)), "EVENT_TOO_LARGE", { limit });
    });

    it("end at their deadline, be they under way or not", async () => {
      const { network, fenced, take } = await scene({ faulty: true, timeout: 500 });
      await take();
      await fenced("order-0");
      network.pause();
      const began = performance.now();
      await Promise.all(["a", "b"].map(async (id, index) => {
        await new Promise((resolve) => setTimeout(resolve, 20 * index));
        await rejects(fenced(`order-${id}`, { id, expectedVersion: 0 }), "UNKNOWN_OUTCOME", { eventIds: [id] });
      }));
      assert.ok(performance.now() - began < 2_000);
      network.resume();
    });

    /** A store that takes turns with another beside it; its batches are counted. */
    async function scene(
      { faulty = false, ...options }: Partial<JetStreamOptions> & { faulty?: boolean } = {},
    ): Promise<Scene> {
      const namespace = crypto.randomUUID();
      const direct = await connect({ servers: started.url });
      const network = await FaultyNetwork.between(started.url);
      const own = faulty ? await connect({ servers: network.url }) : direct;
      ends.push(() => own.close(), () => direct.close(), () => network.close());
      const { batches, nc } = counting(own);
      const beside = await JetStreamEventStore.open(direct, { namespace, replicas: started.replicas, shards: SHARDS });
      const store = await JetStreamEventStore.open(nc, { namespace, timeout: 20_000, ...options });
      const subjects = new Subjects(namespace, SHARDS);
      let fences: readonly Checked[] = [];
      return {
        store,
        beside,
        network,
        batches,
        nc: direct,
        namespace,
        fences: () => fences,
        async take(shards = upTo(SHARDS).map((number) => number - 1)) {
          const next = [...fences];
          await Promise.all(shards.map(async (shard) => {
            const answer = await direct.request(subjects.ofFence(shard), "", { timeout: 10_000 });
            next[shard] = { shard, epoch: answer.json<{ seq: number }>().seq, checked: true };
          }));
          return fences = next;
        },
        fenced(actorId, { id, ...more } = {}, by = fences, data = "x") {
          const fence = by[shardOf(actorId, SHARDS)] as Checked;
          return store.append(actorId, [added(data, id === undefined ? {} : { id })], { ...more, fence });
        },
      };
    }
  });
}

interface Checked {
  readonly shard: number;
  readonly epoch: number;
  readonly checked: true;
}

/** A namespace with two stores, and the fences of its shards. */
interface Scene {
  /** Behind the network, if that is faulty. */
  readonly store: EventStore;
  /** Knows nothing of what the other does. */
  readonly beside: EventStore;
  readonly network: FaultyNetwork;
  /** Messages in each batch that `store` has sent. */
  readonly batches: number[];
  readonly nc: NatsConnection;
  readonly namespace: string;
  /** The latest. */
  fences(): readonly Checked[];
  /** Takes over, all shards or some; the fences from then on, by shard. */
  take(shards?: readonly number[]): Promise<readonly Checked[]>;
  /** Appends an event by the latest fences, or others. */
  fenced(
    actorId: string,
    options?: AppendOptions & { readonly id?: string },
    by?: readonly Checked[],
    data?: string,
  ): Promise<AppendResult>;
}

/** The connection, and how many messages were in each batch that was sent over it. */
function counting(nc: NatsConnection): { readonly nc: NatsConnection; readonly batches: number[] } {
  const batches: number[] = [];
  const counted = new Proxy(nc, {
    get(target, name): unknown {
      const value: unknown = Reflect.get(target, name, target);
      if (name !== "publish") return typeof value === "function" ? value.bind(target) : value;
      return (...[subject, payload, options]: Parameters<NatsConnection["publish"]>): void => {
        if (options?.headers?.has("Nats-Batch-Commit")) {
          batches.push(Number(options.headers.get("Nats-Batch-Sequence")));
        }
        nc.publish(subject, payload, options);
      };
    },
  });
  return { nc: counted, batches };
}

/** What the stream tells: commits of an owner that lie behind a later owner's fence are stale. */
async function stored(
  nc: NatsConnection,
  namespace: string,
): Promise<{ readonly stale: number; readonly commits: number; readonly takeovers: number }> {
  const fence = `aether.${namespace}.fence.`;
  const epochs = new Map<string, number>();
  const counts = { stale: 0, commits: 0, takeovers: 0 };
  const info = (await nc.request(`$JS.API.STREAM.INFO.AETHER_${namespace}`)).json<{ state: { last_seq: number } }>();
  for (let sequence = 1; sequence <= info.state.last_seq;) {
    const request = JSON.stringify({ seq: sequence, batch: 500 });
    const options = { strategy: "sentinel", maxWait: 10_000 } as const;
    for await (const message of await nc.requestMany(`$JS.API.DIRECT.GET.AETHER_${namespace}`, request, options)) {
      const subject = message.headers?.get("Nats-Subject") ?? "";
      if (subject === "") continue; // the end
      const at = Number(message.headers?.get("Nats-Sequence"));
      sequence = at + 1;
      const [, , , shard = ""] = subject.split(".");
      if (subject.startsWith(fence)) {
        counts.takeovers++;
        epochs.set(shard, at);
        continue;
      }
      counts.commits++;
      if (Number(message.headers?.get("Aether-Epoch")) !== epochs.get(shard)) counts.stale++;
    }
  }
  return counts;
}
