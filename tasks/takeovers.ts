/**
 * `deno task takeovers [--takeovers 300] [--replicas 3] [--shards 8] [--unchecked]`: owners of shards append at full speed, each append
 * with a check of its fence, to actors that are theirs and to such as nobody has touched. Again and again another takes
 * the shard over, by a new fence from another connection, and the one before is not told. Once the fence is acknowledged
 * nothing of an older epoch is ever stored: counted from the stream. With `--unchecked` fences some is, as it should be.
 * @module
 */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import process from "node:process";
import { parseArgs } from "node:util";
import { NatsFences } from "../cluster/nats_fences.ts";
import { isAetherError, JetStreamEventStore, shardOf } from "../mod.ts";
import { JetStreamApi } from "../store/jetstream_api.ts";
import { Subjects } from "../store/subjects.ts";
import { NatsCluster } from "../testing/nats_cluster.ts";
import { NatsServer } from "../testing/nats_server.ts";
import { readLedger, violations } from "../tests/cluster/ledger.ts";
import { Figures } from "./failover/figures.ts";

const { values } = parseArgs({
  options: {
    takeovers: { type: "string", default: "300" },
    replicas: { type: "string", default: "3" },
    shards: { type: "string", default: "8" },
    unchecked: { type: "boolean", default: false },
  },
});
const [takeovers, replicas, shards] = [values.takeovers, values.replicas, values.shards].map(Number) as [
  number,
  number,
  number,
];
const CHECKED = !values.unchecked;
const NAMESPACE = "takeovers";
/** Appends that an owner has under way at once. */
const LANES = 3;
/** Appends behind a later fence after which an owner ends that nobody refuses. */
const LATE = 10;
/** Appends of an owner before it may be taken over. */
const LEAST = 2;

/** A node, as far as fences go. */
interface Side {
  readonly store: JetStreamEventStore;
  readonly fences: NatsFences;
}

/** An owner that does not know better until it is refused. */
class Owner {
  acknowledged: number[] = [];
  /** Appends that began after the next owner's fence was acknowledged. */
  late = 0;
  refusals = 0;
  isOver = false;
  readonly ended: Promise<void>;
  readonly #store: JetStreamEventStore;
  readonly #shard: number;
  readonly #epoch: number;
  readonly #fresh: () => string;

  constructor(store: JetStreamEventStore, shard: number, epoch: number, fresh: () => string) {
    this.#store = store;
    this.#shard = shard;
    this.#epoch = epoch;
    this.#fresh = fresh;
    const own = Array.from({ length: LANES }, fresh);
    this.ended = Promise.all(own.map((actorId) => this.#write(actorId))).then(() => {});
  }

  /** Until it is refused, as it should be. */
  async #write(own: string): Promise<void> {
    const fence = { shard: this.#shard, epoch: this.#epoch, checked: CHECKED };
    for (let count = 0;; count++) {
      if (this.isOver && ++this.late > LATE) return;
      try {
        const actorId = count % 2 === 0 ? own : this.#fresh();
        const { position } = await this.#store.append(actorId, [{ eventType: "Written", data: count }], { fence });
        this.acknowledged.push(position);
      } catch (error) {
        if (isAetherError(error, "FENCED")) return void this.refusals++;
        if (!isAetherError(error, "UNAVAILABLE") && !isAetherError(error, "UNKNOWN_OUTCOME")) throw error;
      }
    }
  }
}

/** What all shards share. */
class Run {
  readonly pauses: number[] = [];
  readonly tries: number[] = [];
  readonly acknowledged: number[] = [];
  refused = 0;
  late = 0;
  done = 0;
  readonly #sides: readonly Side[];
  readonly #shards: number;
  readonly #takeovers: number;
  #begun = 0;
  #actors = 0;

  constructor(sides: readonly Side[], shards: number, takeovers: number) {
    this.#sides = sides;
    this.#shards = shards;
    this.#takeovers = takeovers;
  }

  /** One shard, taken over in turn, until there were enough. */
  async attack(shard: number): Promise<void> {
    const fresh = (): string => this.#actorOf(shard);
    let owner = new Owner(this.#side(0).store, shard, await this.#fence(this.#side(0), shard), fresh);
    for (let turn = 1; this.#begun < this.#takeovers; turn++) {
      this.#begun++;
      while (owner.acknowledged.length < LEAST) await new Promise((resolve) => setTimeout(resolve, 1));
      const side = this.#side(turn);
      const began = performance.now();
      const epoch = await this.#fence(side, shard);
      this.pauses.push(performance.now() - began);
      owner.isOver = true;
      const next = new Owner(side.store, shard, epoch, fresh);
      await owner.ended;
      this.#count(owner);
      owner = next;
      if (++this.done % 1_000 === 0) console.log(`takeovers: ${this.done} of ${this.#takeovers}`);
    }
    await this.#fence(this.#side(0), shard);
    owner.isOver = true;
    await owner.ended;
    this.#count(owner);
  }

  #count({ acknowledged, refusals, late }: Owner): void {
    for (const position of acknowledged) this.acknowledged.push(position);
    this.refused += refusals;
    this.late += late;
  }

  /** A new fence, as the cluster writes one. */
  async #fence({ fences }: Side, shard: number): Promise<number> {
    const nonce = crypto.randomUUID();
    for (let tries = 1;; tries++) {
      const last = await fences.last(shard);
      if (last?.nonce === nonce) return last.sequence;
      if (last === undefined) continue;
      const written = await fences.write(shard, nonce, last.sequence);
      if (written.kind !== "stored") continue;
      this.tries.push(tries);
      return written.revision;
    }
  }

  #side(turn: number): Side {
    return this.#sides[turn % this.#sides.length] as Side;
  }

  /** One that nobody has touched. */
  #actorOf(shard: number): string {
    for (;;) {
      const actorId = `owned-${++this.#actors}`;
      if (shardOf(actorId, this.#shards) === shard) return actorId;
    }
  }
}

async function attack(takeovers: number, replicas: number, shards: number): Promise<number> {
  await using stack = new AsyncDisposableStack();
  const servers = replicas === 1 ? stack.use(await NatsServer.start()) : stack.use(await NatsCluster.start());
  const urls = "urls" in servers ? servers.urls : [servers.url];
  const client = async (index: number): Promise<NatsConnection> => {
    const url = urls[index % urls.length] ?? "";
    return stack.adopt(await connect({ servers: url }), (nc) => nc.close());
  };
  const sides = await Promise.all([0, 1].map(async (index): Promise<Side> => {
    const nc = await client(index);
    const store = await JetStreamEventStore.open(nc, { namespace: NAMESPACE, replicas, shards, timeout: 30_000 });
    const subjects = new Subjects(NAMESPACE, shards);
    return { store, fences: new NatsFences(new JetStreamApi(nc, subjects.stream), subjects, `${index}`) };
  }));
  const run = new Run(sides, shards, takeovers);
  const began = performance.now();
  await Promise.all(Array.from({ length: shards }, (_, shard) => run.attack(shard)));
  const seconds = (performance.now() - began) / 1_000;
  const ledger = await readLedger(await client(2), NAMESPACE);
  const stored = new Set(ledger.entries.map(({ sequence }) => sequence));
  const stale = ledger.entries.filter(({ epoch, fence }) => epoch !== fence).length;
  const wrong = [
    ...violations(ledger, { fenced: true }),
    ...run.acknowledged.filter((position) => !stored.has(position)).map((position) => `${position} is not stored`),
  ];
  for (const what of wrong.slice(0, 20)) console.log(what);
  const figures = new Figures();
  const where = `R${replicas}`;
  figures.add("takeover, until the fence is acknowledged", where, "ms", [], run.pauses);
  figures.add("tries of a fence", where, "tries", [], run.tries);
  figures.add("appends of an older epoch that were stored", where, "commits", [{ of: "max", most: 0 }], [stale]);
  console.log(`\n${figures}\n`);
  console.log(
    `takeovers: ${run.done} in ${seconds.toFixed(0)} s; ${run.acknowledged.length} appends acknowledged, ` +
      `${run.refused} refused, ${run.late} of them begun behind a later fence, ${stale} stored; ${wrong.length} violations`,
  );
  return wrong.length;
}

process.exitCode = await attack(takeovers, replicas, shards) === 0 ? 0 : 1;
