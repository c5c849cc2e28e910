/** Appends behind checked fences against appends without, all shards busy at once: one server and three, files. */
import type { NatsConnection } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import { type AppendOptions, type EventStore, JetStreamEventStore, shardOf } from "../mod.ts";
import { Subjects } from "../store/subjects.ts";
import { NatsCluster, NatsServer } from "../testing/mod.ts";
import { bareBatches } from "./bare_batches.ts";
import { median, type Row } from "./measure.ts";

const NAMESPACE = "bench";
const SHARDS = 64;
const EVENT = {
  eventType: "OrderPlaced",
  data: { total: 99.99, items: 3, customer: "customer-0815", note: "leave it at the door please!", ok: true },
};

export async function fenced(full: boolean): Promise<Row[]> {
  const server = await NatsServer.start();
  const one = await on("R1 file", server.url, 1, 0.5, full).finally(() => server.stop());
  const cluster = await NatsCluster.start();
  const three = await on("R3 file", cluster.urls[0] ?? "", 3, 1, full).finally(() => cluster.stop());
  return [...one, ...three];
}

async function on(name: string, url: string, replicas: number, bar: number, full: boolean): Promise<Row[]> {
  const nc = await connect({ servers: url });
  try {
    const store = await JetStreamEventStore.open(nc, { namespace: NAMESPACE, replicas });
    const subjects = new Subjects(NAMESPACE, SHARDS);
    const fences = await Promise.all(Array.from({ length: SHARDS }, async (_, shard) => {
      const { seq: epoch } = (await nc.request(subjects.ofFence(shard), "")).json<{ seq: number }>();
      return { shard, epoch, checked: true };
    }));
    const fenceOf = (actorId: string): AppendOptions => {
      const fence = fences[shardOf(actorId, SHARDS)];
      return fence === undefined ? {} : { fence };
    };
    const rows: Row[] = [];
    for (const each of [1, 10]) {
      const { plain, behind } = await measured(store, actorsOf("plain", each), actorsOf("fenced", each), fenceOf, full);
      const ratio = behind.rate / plain.rate;
      rows.push({
        work: `${name}: ${SHARDS} shards × ${each} appends in flight, fenced against not`,
        figure: `${ratio.toFixed(2)} × (${text(behind)}; not fenced ${text(plain)})`,
        ...(each === 1 && { bar: { text: `≥ ${bar} ×`, met: ratio >= bar } }),
      });
    }
    rows.push(...await limits(nc, name, subjects, fences, full));
    const alone = await oneAlone(store, fenceOf, full);
    rows.push({ work: `${name}: one append alone, fenced against not`, figure: alone });
    return rows;
  } finally {
    await nc.close();
  }
}

/** What the server leaves: the same appends in batches of the bare client. */
async function limits(
  nc: NatsConnection,
  name: string,
  subjects: Subjects,
  fences: readonly { readonly epoch: number }[],
  full: boolean,
): Promise<Row[]> {
  const payload = new TextEncoder().encode(JSON.stringify([EVENT]));
  const times = { rounds: full ? 15 : 7, milliseconds: full ? 1_500 : 700 };
  const of = async (actorType: string, withChecks: boolean): Promise<string> => {
    const actors = fences.map(({ epoch }, shard) => {
      const fence = { subject: subjects.ofFence(shard), sequence: epoch };
      return { subject: subjects.ofActor(`${actorType}-${shard}`, shard), payload, fence };
    });
    return perSecond(await bareBatches(nc, actors, { ...times, withChecks }));
  };
  const [checked, bare] = [await of("checked", true), await of("bare", false)];
  return [{
    work: `${name}: … the bare client, 64 in an atomic batch, one batch after the other`,
    figure: `${checked} with a check of each fence, ${bare} without any`,
  }];
}

interface Speed {
  /** Events a second. */
  readonly rate: number;
  /** Milliseconds. */
  readonly p50: number;
}

/** So many actors on each shard. */
function actorsOf(type: string, each: number): string[] {
  const counts = new Array<number>(SHARDS).fill(0);
  const ids: string[] = [];
  for (let number = 0; ids.length < SHARDS * each; number++) {
    const id = `${type}${each}-${number}`;
    const shard = shardOf(id, SHARDS);
    if ((counts[shard] ?? each) >= each) continue;
    counts[shard] = (counts[shard] ?? 0) + 1;
    ids.push(id);
  }
  return ids;
}

/** Both take turns. */
async function measured(
  store: EventStore,
  plainIds: readonly string[],
  fencedIds: readonly string[],
  fenceOf: (actorId: string) => AppendOptions,
  full: boolean,
): Promise<{ plain: Speed; behind: Speed }> {
  const plain: Speed[] = [];
  const behind: Speed[] = [];
  const rounds = full ? 15 : 7;
  for (let round = -1; round < rounds; round++) { // the first one warms up
    const speeds = [
      await speedOf(plainIds, (id) => store.append(id, [EVENT]), full),
      await speedOf(fencedIds, (id) => store.append(id, [EVENT], fenceOf(id)), full),
    ] as const;
    if (round < 0) continue;
    plain.push(speeds[0]);
    behind.push(speeds[1]);
  }
  const middle = (speeds: readonly Speed[]): Speed => ({
    rate: median(speeds.map(({ rate }) => rate)),
    p50: median(speeds.map(({ p50 }) => p50)),
  });
  return { plain: middle(plain), behind: middle(behind) };
}

async function speedOf(
  ids: readonly string[],
  append: (actorId: string) => Promise<unknown>,
  full: boolean,
): Promise<Speed> {
  const times: number[] = [];
  const began = performance.now();
  const end = began + (full ? 1_500 : 700);
  await Promise.all(ids.map(async (id) => {
    for (let now = performance.now(); now < end;) {
      await append(id);
      const then = performance.now();
      times.push(then - now);
      now = then;
    }
  }));
  return { rate: times.length / (performance.now() - began) * 1_000, p50: median(times) };
}

async function oneAlone(
  store: EventStore,
  fenceOf: (actorId: string) => AppendOptions,
  full: boolean,
): Promise<string> {
  const [plain, behind] = [
    await speedOf(["alone-1"], (id) => store.append(id, [EVENT]), full),
    await speedOf(["alone-2"], (id) => store.append(id, [EVENT], fenceOf(id)), full),
  ];
  return `${behind.p50.toFixed(2)} ms against ${plain.p50.toFixed(2)} ms`;
}

function text({ rate, p50 }: Speed): string {
  return `${perSecond(rate)}, p50 ${p50.toFixed(1)} ms`;
}

function perSecond(rate: number): string {
  return `${(Math.round(rate / 100) * 100).toLocaleString("en")}/s`;
}
