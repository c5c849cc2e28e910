/** Deciders against the bare calls that they need: load, decide, append. */
import { createInbox, type Msg } from "@nats-io/nats-core";
import type { NatsConnection } from "@nats-io/transport-node";
import {
  type ActorEvents,
  defineDecider,
  type Event,
  execute,
  JetStreamEventStore,
  KvSnapshotStore,
  load,
  shardOf,
  StateCache,
} from "../mod.ts";
import { Subjects } from "../store/subjects.ts";
import { BareActor } from "./bare_actor.ts";
import { type Histories, histories } from "./histories.ts";
import { medians, type Row } from "./measure.ts";

const NAMESPACE = "bench";
const GET = `$JS.API.DIRECT.GET.AETHER_${NAMESPACE}`;
/** Commits of a cold actor. */
const COLD = 100;
/** Actors that are written in turns, so that an actor's commits have others between them. */
const NEIGHBOURS = 10;
const AT_ONCE = 64;
const TAIL = 10;

type CounterEvent = ActorEvents<"counter", { Added: { by: number } }>;
const counter = defineDecider({
  initialState: () => 0,
  evolve: (state: number, event: CounterEvent) => state + event.data.by,
  decide: ({ add }: { add: number }) => ({ eventType: "Added", data: { by: add } }),
  snapshot: { schemaVersion: 1 },
});
const ADD = { add: 1 };
const EVENT = { eventType: "Added", data: { by: 1 } };

const subjects = new Subjects(NAMESPACE, 64);
const utf8 = new TextDecoder();

/** Measures `load` and `execute`. */
export async function decider(full: boolean): Promise<Row[]> {
  const length = full ? 1_000_000 : 100_000;
  await using filled = await histories([length]);
  const { nc } = filled;
  return [
    ...await snapshots(filled, length, full),
    await warm(filled, full),
    await cold(nc, full),
    await hot(filled, full),
  ];
}

async function warm({ nc, store }: Histories, full: boolean): Promise<Row> {
  const cache = new StateCache();
  const bare = new BareActor(nc, "bare-warm", store.shards, EVENT);
  const times = await medians([
    { name: "bare", run: () => bare.publish() },
    { name: "execute", run: () => execute(store, counter, "counter-warm", ADD, { cache }) },
  ], full ? 20_000 : 3_000);
  return atMost("execute on an actor in the cache, against a bare publish", times, 1.25);
}

/** Each on an actor of its own, in a store that knows none of them. */
async function cold(nc: NatsConnection, full: boolean): Promise<Row> {
  const rounds = full ? 1_000 : 300;
  const ids = Array.from({ length: Math.ceil(rounds * 1.1) + 1 }, (_, index) => `counter-cold-${index}`);
  const bareIds = ids.map((id) => `${id}-bare`);
  {
    await using filler = await JetStreamEventStore.open(nc, { namespace: NAMESPACE });
    for (let from = 0; from < ids.length; from += NEIGHBOURS) {
      const lot = [...ids.slice(from, from + NEIGHBOURS), ...bareIds.slice(from, from + NEIGHBOURS)];
      for (let index = 0; index < COLD; index++) await Promise.all(lot.map((id) => filler.append(id, [EVENT])));
    }
  }
  await using store = await JetStreamEventStore.open(nc, { namespace: NAMESPACE });
  const times = await medians([
    { name: "bare", run: () => bareExecute(nc, bareIds.pop() ?? "") },
    { name: "execute", run: () => execute(store, counter, ids.pop() as "counter-", ADD) },
  ], rounds);
  return atMost(`execute on a cold actor of ${COLD} events, against the bare calls`, times, 1.3);
}

/** The last message, a batch of all, the publish: each payload parsed. */
async function bareExecute(nc: NatsConnection, actorId: string): Promise<void> {
  const subject = subjects.ofActor(actorId, shardOf(actorId, 64));
  const last = await nc.request(`${GET}.${subject}`, "", { timeout: 5_000 });
  const sequence = Number(last.headers?.get("Nats-Sequence"));
  let sum = 0;
  let version = 0;
  for (const message of await batch(nc, { seq: 1, next_by_subj: subject, batch: COLD })) {
    for (const event of JSON.parse(utf8.decode(message.data)) as Event[]) {
      sum += (event as CounterEvent).data.by;
      version = event.version;
    }
  }
  if (version !== COLD || sum !== COLD) throw new Error(`${actorId}: ${version} events`);
  await new BareActor(nc, actorId, 64, EVENT, { version, sequence }).publish();
}

async function batch(nc: NatsConnection, request: object): Promise<Msg[]> {
  const messages: Msg[] = [];
  const { promise, resolve } = Promise.withResolvers<Msg[]>();
  const inbox = createInbox();
  const subscription = nc.subscribe(inbox, {
    callback(_, message): void {
      if (message.data.length > 0) messages.push(message);
      else resolve(messages);
    },
  });
  nc.publish(GET, JSON.stringify(request), { reply: inbox });
  await promise;
  subscription.unsubscribe();
  return messages;
}

async function hot({ nc, store }: Histories, full: boolean): Promise<Row> {
  const bare = new BareActor(nc, "bare-hot", store.shards, EVENT);
  let actors = 0;
  const times = await medians([
    {
      name: "bare",
      async run(): Promise<void> {
        for (let count = 0; count < AT_ONCE; count++) await bare.publish();
      },
    },
    {
      name: "execute",
      run(): Promise<unknown> {
        const actorId = `counter-hot-${actors++}` as const;
        return Promise.all(Array.from({ length: AT_ONCE }, () => execute(store, counter, actorId, ADD)));
      },
    },
  ], full ? 500 : 60);
  const [bareTime = NaN, time = NaN] = ["bare", "execute"].map((name) => times.get(name));
  return {
    work: `${AT_ONCE} commands at once on one actor, against bare publishes one after another`,
    figure: `${(bareTime / time).toFixed(2)} × (${Math.round(AT_ONCE / time * 1_000).toLocaleString("en")} a second)`,
    bar: { text: "≥ 0.5 ×", met: bareTime / time >= 0.5 },
  };
}

async function snapshots({ nc, store, actorOf, subjectOf }: Histories, length: number, full: boolean): Promise<Row[]> {
  await using snapshots = await KvSnapshotStore.open(nc, { namespace: NAMESPACE });
  const actorId = actorOf(length);
  const { state, version, position } = await load(store, counter, actorId as "counter-");
  const timestamp = new Date().toISOString();
  await snapshots.saveSnapshot({ actorId, state, version, position, schemaVersion: 1, timestamp });
  const rows: Row[] = [];
  for (const behind of [0, TAIL]) {
    for (let count = 0; count < behind; count++) await store.append(actorId, [EVENT]);
    const times = await medians([
      { name: "bare", run: () => nc.request(`${GET}.${subjectOf(length)}`, "", { timeout: 5_000 }) },
      { name: "load", run: () => load(store, counter, actorId as "counter-", { snapshots }) },
    ], full ? 5_000 : 1_000);
    const [bare = NaN, time = NaN] = ["bare", "load"].map((name) => times.get(name));
    rows.push({
      work: `load with a snapshot at ${length.toLocaleString("en")} events, ${behind} behind it`,
      figure: `${(time / bare).toFixed(2)} × (${time.toFixed(2)} ms)`,
      bar: { text: "≤ 3 × a bare Direct Get", met: time / bare <= 3 },
    });
  }
  return rows;
}

function atMost(work: string, times: ReadonlyMap<string, number>, bar: number): Row {
  const [bare = NaN, time = NaN] = ["bare", "execute"].map((name) => times.get(name));
  const figure = `${(time / bare).toFixed(2)} × (${(time * 1_000).toFixed(0)} µs)`;
  return { work, figure, bar: { text: `≤ ${bar} ×`, met: time / bare <= bar } };
}
