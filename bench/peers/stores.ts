/** The same few operations on each store. */
import { connect } from "@nats-io/transport-node";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ActorEvents, defineDecider, execute, JetStreamEventStore, type NewEvent, StateCache } from "../../mod.ts";
import { NatsServer } from "../../testing/mod.ts";
import { startPostgres } from "./postgres.ts";

/** A store of events. */
export interface Peer {
  readonly name: string;
  /** When an append is acknowledged. */
  readonly durability: string;
  /** Whether appends to different streams may be under way at once. */
  readonly concurrent: boolean;
  /** All or none, if the stream is at this version. */
  append(
    stream: string,
    events: readonly NewEvent[],
    expectedVersion: number,
  ): Promise<unknown>;
  version(stream: string): Promise<number>;
  /** How many there are. */
  read(stream: string): Promise<number>;
  /** Folds the stream, decides on the sum of its totals, appends one event; again where another was first. */
  command(stream: string): Promise<unknown>;
  /** The same with a cache of states, where there is one. */
  cachedCommand?(stream: string): Promise<unknown>;
  close(): Promise<void>;
}

type OrderEvent = ActorEvents<"order", { OrderPlaced: { total: number } }>;
const order = defineDecider({
  initialState: () => 0,
  evolve: (sum: number, event: OrderEvent) => sum + event.data.total,
  decide: (_command: "place", sum) => ({
    eventType: "OrderPlaced",
    data: { total: sum > 0 ? 1 : 0 },
  }),
});

/** This library, on a nats-server with its own defaults or one that syncs before it acknowledges. */
export async function aether(syncAlways: boolean): Promise<Peer> {
  const server = await NatsServer.start(
    syncAlways ? { syncInterval: "always" } : {},
  );
  const nc = await connect({ servers: server.url });
  const store = await JetStreamEventStore.open(nc, { namespace: "peers" });
  const cache = new StateCache();
  return {
    name: syncAlways ? "Aether, `sync_interval: always`" : "Aether",
    concurrent: true,
    durability: syncAlways ? "synced to disk" : "written to the page cache, synced every 2 minutes",
    append: (stream, events, expectedVersion) => store.append(stream, events, { expectedVersion }),
    version: (stream) => store.getLatestVersion(stream),
    read: async (stream) => (await store.getEvents(stream)).length,
    command: (stream) => execute(store, order, stream, "place"),
    cachedCommand: (stream) => execute(store, order, stream, "place", { cache }),
    async close() {
      await nc.close();
      await server.stop();
    },
  };
}

/** As far as it is used here; its types are installed only where this table is made. */
interface Emmett {
  appendToStream(
    stream: string,
    events: readonly { type: string; data: unknown }[],
    options: { expectedStreamVersion: bigint },
  ): Promise<unknown>;
  readStream(
    stream: string,
  ): Promise<{ currentStreamVersion: bigint; events: unknown[] }>;
}

/** Emmett on a PostgreSQL of its own; undefined if there is none on this machine. */
export async function emmettOnPostgres(): Promise<Peer | undefined> {
  const postgres = await startPostgres();
  if (postgres === undefined) return undefined;
  const { getPostgreSQLEventStore } = await load(
    "@event-driven-io/emmett-postgresql",
  );
  const store = getPostgreSQLEventStore(postgres.connectionString);
  return {
    ...await emmett(store),
    name: `emmett + ${postgres.version.replace(/^postgres \((\S+)\) (\S+).*/, "$1 $2")}`,
    concurrent: true,
    durability: "synced to disk",
    async close() {
      await store.close();
      await postgres.stop();
    },
  };
}

/** Emmett on SQLite in a file. */
export async function emmettOnSqlite(): Promise<Peer> {
  const directory = await mkdtemp(join(tmpdir(), "aether-sqlite-"));
  const { getSQLiteEventStore } = await load("@event-driven-io/emmett-sqlite");
  const fileName = join(directory, "events.db");
  await useWriteAheadLog(fileName);
  const store = await emmett(getSQLiteEventStore({ fileName }));
  return {
    ...store,
    async append(...args) {
      for (;;) {
        try {
          return await store.append(...args);
        } catch (error) {
          // Now and then a connection's own set-up is still under way; nothing is stored then.
          if ((error as { code?: string }).code !== "SQLITE_BUSY") throw error;
        }
      }
    },
    name: "emmett + SQLite",
    concurrent: false, // all but one are refused: SQLITE_BUSY
    durability: "synced to disk",
    close: () => rm(directory, { recursive: true, force: true }),
  };
}

/** Emmett does so itself, without waiting: where it loses the race, the process ends. */
async function useWriteAheadLog(fileName: string): Promise<void> {
  const { default: sqlite3 } = await load("sqlite3");
  await new Promise<void>((resolve, reject) => {
    const database = new sqlite3.Database(fileName);
    database.exec("PRAGMA journal_mode = WAL", (error?: Error) => {
      database.close();
      if (error) reject(error);
      else resolve();
    });
  });
}

type Handle = (
  store: Emmett,
  stream: string,
  handle: (sum: number) => unknown,
) => Promise<unknown>;

async function emmett(
  store: Emmett,
): Promise<Pick<Peer, "append" | "version" | "read" | "command">> {
  const { CommandHandler } = await load("@event-driven-io/emmett");
  const handle: Handle = CommandHandler({
    initialState: () => 0,
    evolve: (sum: number, event: { data: { total: number } }) => sum + event.data.total,
    retry: {
      onVersionConflict: {
        retries: 200,
        minTimeout: 1,
        maxTimeout: 50,
        factor: 1.5,
        randomize: true,
      },
    },
  });
  return {
    command: (stream) =>
      handle(
        store,
        stream,
        (sum) => ({ type: "OrderPlaced", data: { total: sum > 0 ? 1 : 0 } }),
      ),
    append: (stream, events, expectedVersion) =>
      store.appendToStream(
        stream,
        events.map(({ eventType: type, data }) => ({ type, data })),
        { expectedStreamVersion: BigInt(expectedVersion) },
      ),
    // There is no call for it.
    version: async (stream) => Number((await store.readStream(stream)).currentStreamVersion),
    read: async (stream) => (await store.readStream(stream)).events.length,
  };
}

// deno-lint-ignore no-explicit-any
async function load(name: string): Promise<any> {
  return await import(name);
}
