/** The same few operations on each store. */
import { connect } from "@nats-io/transport-node";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { JetStreamEventStore, type NewEvent } from "../../mod.ts";
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
  close(): Promise<void>;
}

/** This library, on a nats-server with its own defaults or one that syncs before it acknowledges. */
export async function aether(syncAlways: boolean): Promise<Peer> {
  const server = await NatsServer.start(
    syncAlways ? { syncInterval: "always" } : {},
  );
  const nc = await connect({ servers: server.url });
  const store = await JetStreamEventStore.open(nc, { namespace: "peers" });
  return {
    name: syncAlways ? "Aether, `sync_interval: always`" : "Aether",
    concurrent: true,
    durability: syncAlways ? "synced to disk" : "written to the page cache, synced every 2 minutes",
    append: (stream, events, expectedVersion) => store.append(stream, events, { expectedVersion }),
    version: (stream) => store.getLatestVersion(stream),
    read: async (stream) => (await store.getEvents(stream)).length,
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
    ...emmett(store),
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
  const store = emmett(getSQLiteEventStore({ fileName }));
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

function emmett(store: Emmett): Pick<Peer, "append" | "version" | "read"> {
  return {
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
