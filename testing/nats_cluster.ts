import { InvalidArgumentError } from "../errors.ts";
import { findNatsServer } from "./nats_binary.ts";
import type { NatsServerOptions } from "./nats_config.ts";
import { assertConnected, assertHealthy, assertLed, until } from "./nats_health.ts";
import { NatsServer } from "./nats_server.ts";

/** How to start a cluster for tests. */
export interface NatsClusterOptions extends Omit<NatsServerOptions, "name" | "cluster"> {
  /** How many servers, at least 2. By default 3. */
  readonly size?: number;
}

/**
 * Several nats-servers that are one cluster, named `n1`, `n2`, …; each of them as {@linkcode NatsServer} is.
 *
 * @example
 * ```ts
 * import { NatsCluster } from "@aether/aether/testing";
 *
 * const cluster = await NatsCluster.start();
 * try {
 *   await cluster.servers[0]?.kill();
 *   await cluster.servers[0]?.restart();
 *   await cluster.ready();
 * } finally {
 *   await cluster.stop();
 * }
 * ```
 */
export class NatsCluster implements AsyncDisposable {
  /** The servers. What NATS tells about a stream names its leader and replicas by their `name`. */
  readonly servers: readonly NatsServer[];
  /** Where clients connect, one of each server. */
  readonly urls: readonly string[];
  readonly #jetstream: boolean;

  private constructor(servers: readonly NatsServer[], jetstream: boolean) {
    this.servers = servers;
    this.urls = servers.map((server) => server.url);
    this.#jetstream = jetstream;
  }

  /**
   * Starts the servers and waits until they are {@linkcode ready}. Throws as `NatsServer.start` does, and
   * `InvalidArgumentError` for a size that is no cluster.
   */
  static async start(options: NatsClusterOptions = {}): Promise<NatsCluster> {
    const { size = 3, ...each } = options;
    if (!Number.isSafeInteger(size) || size < 2) {
      throw new InvalidArgumentError({ argument: "size" }, `A cluster has 2 servers or more, not ${size}`);
    }
    const { signal, binary = await findNatsServer({ signal }) } = each;
    const routes: string[] = [];
    const cluster = { name: `aether-${crypto.randomUUID()}`, size, routes };
    const servers: NatsServer[] = [];
    const start = async (index: number): Promise<void> => {
      const server = await NatsServer.start({ ...each, binary, cluster, name: `n${index + 1}` });
      servers[index] = server;
    };
    try {
      await start(0);
      routes.push(...clusterUrls(servers));
      const others = await Promise.allSettled(Array.from({ length: size - 1 }, (_, index) => start(index + 1)));
      for (const other of others) if (other.status === "rejected") throw other.reason;
      // With all of them in its configuration, each finds the others again, whichever is started again.
      routes.splice(0, 1, ...clusterUrls(servers));
      const whole = new NatsCluster(servers, each.jetstream !== false);
      await whole.ready({ signal });
      return whole;
    } catch (error) {
      await stopAll(Object.values(servers));
      throw error;
    }
  }

  /**
   * Waits until every server is healthy and connected to every other and, with JetStream, a leader is there that all
   * follow: then a stream can have a replica on each. For after a `restart` or `resume`. Throws `UnavailableError`
   * with what is missing after 30 s.
   */
  async ready(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    await until(async () => {
      await Promise.all(this.servers.map((server) => assertHealthy(server)));
      await assertConnected(this.servers);
      if (this.#jetstream) await assertLed(this.servers);
    }, options.signal);
  }

  /** Kills all and removes their folders. May be called at any time and more than once. */
  async stop(): Promise<void> {
    await stopAll(this.servers);
  }

  /** As {@linkcode stop}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

function clusterUrls(servers: readonly NatsServer[]): string[] {
  return servers.flatMap((server) => server.clusterUrl ?? []);
}

async function stopAll(servers: readonly NatsServer[]): Promise<void> {
  await Promise.all(servers.map((server) => server.stop()));
}
