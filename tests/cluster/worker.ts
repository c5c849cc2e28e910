/**
 * A node in a process of its own: `worker.ts '{ … }'`, as `WorkerOptions`. It says what happens to it and answers orders,
 * in lines of JSON. It ends when its input does.
 * @module
 */
import { connect } from "@nats-io/transport-node";
import process from "node:process";
import { createInterface } from "node:readline";
import {
  Cluster,
  type ClusterEvent,
  type ClusterStatus,
  isAetherError,
  JetStreamEventStore,
  LeaderElection,
} from "../../mod.ts";
import { now } from "../history/history.ts";
import { counter } from "../support/counter.ts";

/** What a worker is told. */
export interface WorkerOptions {
  readonly servers: readonly string[];
  readonly namespace: string;
  readonly nodeId: string;
  /** Takes part in this election only. */
  readonly election?: string;
  readonly fenced?: boolean;
  readonly replicas?: number;
  /** Only sends. */
  readonly idle?: boolean;
}

/** What it is asked; `go`: handlers that hold on append what they are to append. */
export type Order = { readonly do: "status" | "leave" | "resign" | "stats" | "go" };

/** What it says; `at` is in milliseconds since 1970. */
export type Said =
  | { readonly kind: "ready"; readonly at: number }
  | { readonly kind: "failed"; readonly code: string; readonly message: string }
  | { readonly kind: "change"; readonly at: number; readonly change: ClusterEvent }
  | { readonly kind: "observed"; readonly at: number; readonly name: string; readonly facts: object }
  /** Nothing new begins on a shard; also while the node leaves, when it tells of changes no more. */
  | { readonly kind: "revoked"; readonly at: number; readonly shard: number }
  /** A term begins or ends. */
  | { readonly kind: "leading" | "stopped"; readonly at: number; readonly token: number }
  /** A handler has its fence, and waits; then what its append came to. */
  | { readonly kind: "holding"; readonly actorId: string; readonly epoch: number }
  | { readonly kind: "appended"; readonly actorId: string; readonly code: string };

/** The answer to `status`. */
export interface WorkerStatus extends ClusterStatus {
  readonly owned: readonly number[];
}

/** The answer to `stats`. */
export interface WorkerStats {
  /** Messages that its connection has sent: core ones, and requests to JetStream. */
  readonly sent: number;
  readonly at: number;
}

const { servers, namespace, nodeId, election: name, fenced, replicas, idle }: WorkerOptions = JSON.parse(
  process.argv[2] ?? "",
);
const say = (said: Said): void => console.log(JSON.stringify(said));
const nc = await connect({ servers: [...servers], reconnectTimeWait: 50, maxReconnectAttempts: -1 });
const observer = {
  event: (name: string, facts: object): void => say({ kind: "observed", at: now(), name, facts }),
};
let go = Promise.withResolvers<void>();
type Orders = Partial<Record<Order["do"], () => unknown>>;
try {
  const orders = name === undefined ? await joined() : await campaigning(name);
  say({ kind: "ready", at: now() });
  const lines = createInterface({ input: process.stdin });
  lines.on("line", async (line) => {
    const { number, do: what } = JSON.parse(line) as Order & { readonly number: number };
    const value = await orders[what]?.();
    console.log(JSON.stringify({ answers: number, value: value ?? null }));
    if (what === "leave") await nc.close().then(() => process.exit(0));
  });
  lines.on("close", () => process.exit(1));
} catch (error) {
  say({ kind: "failed", code: isAetherError(error) ? error.code : "", message: String(error) });
  process.exit(2);
}

async function joined(): Promise<Orders> {
  const store = await JetStreamEventStore.open(nc, { namespace, timeout: 30_000, create: false });
  const cluster = await Cluster.join(nc, {
    namespace,
    nodeId,
    fenced,
    observer,
    metadata: { pid: String(process.pid) },
  });
  void (async () => {
    for await (const change of cluster.changes()) say({ kind: "change", at: now(), change });
  })();
  if (idle !== true) {
    cluster.serve(store, counter, { actorType: "counter" });
    cluster.onShard(async ({ shard, signal }) => {
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      say({ kind: "revoked", at: now(), shard });
    });
    // The strong attack: it looks at nothing but its fence.
    cluster.handle("held", async (_command, { actorId, fence }) => {
      say({ kind: "holding", actorId, epoch: fence.epoch });
      await go.promise;
      const code = await store.append(actorId, [{ eventType: "Held", data: nodeId }], { fence })
        .then(() => "ok", (error) => isAetherError(error) ? error.code : String(error));
      say({ kind: "appended", actorId, code });
      return code;
    });
  }
  return {
    status: (): WorkerStatus => ({ ...cluster.status(), owned: [...cluster.ownedShards] }),
    stats: (): WorkerStats => ({ sent: nc.stats().outMsgs, at: now() }),
    leave: () => cluster.leave(),
    go: () => {
      go.resolve();
      go = Promise.withResolvers();
    },
  };
}

async function campaigning(name: string): Promise<Orders> {
  const election = await LeaderElection.campaign(nc, { namespace, nodeId, name, replicas, observer });
  void election.lead(async ({ token, signal }) => {
    say({ kind: "leading", at: now(), token });
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    say({ kind: "stopped", at: now(), token });
  });
  return {
    resign: async () => {
      const began = now();
      await election.resign();
      return { began, ended: now() };
    },
    stats: (): WorkerStats => ({ sent: nc.stats().outMsgs, at: now() }),
    leave: () => election[Symbol.asyncDispose](),
  };
}
