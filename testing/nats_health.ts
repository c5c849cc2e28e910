import { setTimeout as delay } from "node:timers/promises";
import { UnavailableError } from "../errors.ts";
import { complaint } from "./command.ts";

/** How long a server or a cluster may take to be ready. Usually one needs 50 ms and a cluster of three 1 s. */
const LIMIT_SECONDS = 30;

const POLL_MILLISECONDS = 10;

/** A server that tells about itself over HTTP. */
export interface Monitored {
  /** Where. */
  readonly monitorUrl: string;
  /** Which. */
  readonly name: string;
}

/** Calls it until it does not throw. After 30 s it throws `UnavailableError` with what the last call threw. */
export async function until(attempt: () => Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  const limit = performance.now() + LIMIT_SECONDS * 1000;
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > limit) {
        throw new UnavailableError({ reason: `after ${LIMIT_SECONDS} s: ${complaint(error)}` }, { cause: error });
      }
    }
    await delay(POLL_MILLISECONDS);
  }
}

/** Throws unless it takes clients and, as far as the query asks for it, JetStream is ready. */
export async function assertHealthy(server: Monitored, query = ""): Promise<void> {
  const { status, error } = await monitor<{ status: string; error?: string }>(server, `healthz${query}`);
  if (status !== "ok") throw new Error(`${server.name}: ${error}`);
}

/**
 * Throws unless every server is connected to every other: until then a subscriber may miss what a client of another
 * server sends, since messages go over one route at most.
 */
export async function assertConnected(servers: readonly Monitored[]): Promise<void> {
  await Promise.all(servers.map(async (server) => {
    const { routes } = await monitor<{ routes?: { remote_name: string }[] }>(server, "routez");
    const others = new Set(routes?.map((route) => route.remote_name));
    if (others.size < servers.length - 1) throw new Error(`${server.name} is connected to ${others.size} others`);
  }));
}

/** Throws unless the servers agree on a JetStream leader that all of them follow: the healthy may lack the others. */
export async function assertLed(servers: readonly Monitored[]): Promise<void> {
  const places = await Promise.all(servers.map(async (server) => (await monitor<JetStreamState>(server, "jsz"))));
  const leaders = new Set(places.map((place) => place.meta_cluster?.leader));
  const [leader] = leaders;
  if (leaders.size !== 1 || !leader) throw new Error("the servers agree on no JetStream leader");
  const known = places[servers.findIndex((server) => server.name === leader)]?.meta_cluster?.replicas ?? [];
  const current = known.filter((replica) => replica.current).length;
  if (current !== servers.length - 1) throw new Error(`${current} servers follow the JetStream leader ${leader}`);
}

interface JetStreamState {
  readonly meta_cluster?: {
    readonly leader?: string;
    /** Only the leader tells. */
    readonly replicas?: readonly { readonly current: boolean }[];
  };
}

/** Whether it says anything within the time. */
export function answers(server: Monitored, milliseconds: number): Promise<boolean> {
  return monitor(server, "healthz", milliseconds).then(() => true, () => false);
}

/** A server that is paused says nothing, hence the limit. */
async function monitor<Answer>(server: Monitored, path: string, milliseconds = 1000): Promise<Answer> {
  const response = await fetch(`${server.monitorUrl}/${path}`, { signal: AbortSignal.timeout(milliseconds) });
  return await response.json();
}
