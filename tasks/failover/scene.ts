/** Servers, nodes in processes of their own, and commands without rest. */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { JetStreamEventStore } from "../../mod.ts";
import { NatsCluster } from "../../testing/nats_cluster.ts";
import { NatsServer } from "../../testing/nats_server.ts";
import { Fleet } from "../../tests/cluster/fleet.ts";
import { readLedger, storedCommands, violations } from "../../tests/cluster/ledger.ts";
import { Load } from "../../tests/cluster/load.ts";

/** Of the namespace: as many as there are by default. */
export const SHARDS = 64;
const NAMESPACE = "failover";
/** Milliseconds of a command: longer than any election of NATS takes. */
const TIMEOUT = 40_000;

/** What there is. */
export class Scene implements AsyncDisposable {
  /** `R1` or `R3`, and whether appends check their fences. */
  readonly where: string;
  readonly servers: readonly NatsServer[];
  readonly nc: NatsConnection;
  readonly fleet: Fleet;
  readonly namespace: string = NAMESPACE;
  readonly #fenced: boolean;
  readonly #stack: AsyncDisposableStack;
  #load: Load | undefined;
  /** Commands that were acknowledged, and those that were not, over all loads. */
  acknowledged: string[] = [];
  failed: string[] = [];
  #loads = 0;

  private constructor(
    replicas: number,
    fenced: boolean,
    servers: readonly NatsServer[],
    nc: NatsConnection,
    stack: AsyncDisposableStack,
  ) {
    this.where = `R${replicas}${fenced ? " fenced" : ""}`;
    this.servers = servers;
    this.nc = nc;
    this.#fenced = fenced;
    this.#stack = stack;
    const urls = servers.map(({ url }) => url);
    this.fleet = stack.use(new Fleet({ servers: urls, namespace: NAMESPACE, fenced, replicas }, SHARDS));
  }

  /** Starts the servers and so many nodes; resolves once all shards are owned. */
  static async open(replicas: 1 | 3, fenced: boolean, nodes: readonly string[]): Promise<Scene> {
    const stack = new AsyncDisposableStack();
    try {
      const servers = replicas === 1
        ? [stack.use(await NatsServer.start())]
        : stack.use(await NatsCluster.start()).servers;
      const nc = stack.adopt(
        await connect({ servers: servers.map(({ url }) => url), reconnectTimeWait: 50, maxReconnectAttempts: -1 }),
        (nc) => nc.close(),
      );
      await using _store = await JetStreamEventStore.open(nc, { namespace: NAMESPACE, shards: SHARDS, replicas });
      const scene = new Scene(replicas, fenced, servers, nc, stack);
      await Promise.all(nodes.map((nodeId) => scene.fleet.start(nodeId)));
      await Promise.all(scene.fleet.nodes.map((node) => node.ready()));
      await scene.fleet.settled(60);
      return scene;
    } catch (error) {
      await stack.disposeAsync();
      throw error;
    }
  }

  /** Commands from now on, until `rest`. */
  work(): Load {
    const name = `load-${++this.#loads}`;
    this.#load = new Load(this.nc, { namespace: NAMESPACE, shards: SHARDS, timeout: TIMEOUT, pause: 20, name });
    return this.#load;
  }

  /** Ends the commands; what became of them is kept. */
  async rest(): Promise<void> {
    for (const { commandId, outcome } of await this.#load?.stop() ?? []) {
      if (outcome === "ok") this.acknowledged.push(commandId);
      else this.failed.push(`${commandId}: ${outcome}`);
    }
    this.#load = undefined;
  }

  /** What is wrong with what is stored. */
  async verify(): Promise<string[]> {
    const ledger = await readLedger(this.nc, NAMESPACE);
    const stored = storedCommands(ledger);
    return [
      ...violations(ledger, { fenced: this.#fenced }),
      ...this.failed,
      ...this.acknowledged.filter((id) => stored.get(id) !== 1).map((id) => `${id} is stored ${stored.get(id)} times`),
      ...[...stored].filter(([, count]) => count > 1).map(([id, count]) => `${id} is stored ${count} times`),
    ];
  }

  /** The server that leads the cluster's bucket. */
  async bucketLeader(): Promise<NatsServer> {
    for (;;) {
      const answer = await this.nc.request(`$JS.API.STREAM.INFO.${this.bucket}`, "", { timeout: 2_000 })
        .catch(() => undefined);
      const info = answer?.json<{ readonly cluster?: { readonly leader?: string } }>();
      const found = this.servers.find(({ name }) => name === info?.cluster?.leader);
      if (found !== undefined) return found;
    }
  }

  /** Writes to the cluster's bucket so far. */
  async writes(): Promise<number> {
    const { state } = (await this.nc.request(`$JS.API.STREAM.INFO.${this.bucket}`, "", { timeout: 5_000 }))
      .json<{ readonly state: { readonly last_seq: number } }>();
    return state.last_seq;
  }

  get bucket(): string {
    return `KV_AETHER_${NAMESPACE}_cluster`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#load?.stop();
    await this.#stack.disposeAsync();
  }
}
