/**
 * A resource outside NATS that refuses what an owner of before still sends: a table in SQLite that keeps the highest
 * token beside what is written with it. Two nodes stand for an election; the first one resigns, and is late with its
 * last write.
 *
 * ```sh
 * NATS_URL=… deno run -A examples/fencing_token.ts   # or: node
 * ```
 * @module
 */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { isCurrentToken, LeaderElection } from "../mod.ts";

/** Reports, each written by the leader of its time. */
export class Reports {
  readonly #db = new DatabaseSync(":memory:");

  constructor() {
    this.#db.exec("CREATE TABLE reports (name TEXT PRIMARY KEY, text TEXT NOT NULL, token INTEGER NOT NULL)");
  }

  /** True if it was written; false if a later leader has written before. */
  write(name: string, text: string, token: number): boolean {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      const row = this.#db.prepare("SELECT token FROM reports WHERE name = ?").get(name);
      const isCurrent = isCurrentToken(token, row?.["token"] as number | undefined);
      if (isCurrent) {
        this.#db.prepare("INSERT OR REPLACE INTO reports (name, text, token) VALUES (?, ?, ?)").run(name, text, token);
      }
      this.#db.exec("COMMIT");
      return isCurrent;
    } catch (error) {
      this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  read(name: string): unknown {
    return this.#db.prepare("SELECT text FROM reports WHERE name = ?").get(name)?.["text"];
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }
}

/** What happened. */
export async function lateLeader(nc: NatsConnection): Promise<string> {
  using reports = new Reports();
  const lines: string[] = [];
  const write = (who: string, token: number): void => {
    const isWritten = reports.write("nightly", `by ${who}`, token);
    lines.push(`${who}: ${isWritten ? "written" : "refused"}`);
  };
  await using first = await LeaderElection.campaign(nc, { namespace: "reports", name: "nightly", nodeId: "first" });
  await using second = await LeaderElection.campaign(nc, { namespace: "reports", name: "nightly", nodeId: "second" });
  const stop = new AbortController();
  const elected = Promise.withResolvers<number>();
  const leading = first.lead(({ token }) => {
    write("first", token);
    elected.resolve(token);
    return Promise.resolve();
  }, { signal: stop.signal });
  const stale = await elected.promise;
  stop.abort(); // it steps down, …
  await leading;
  const done = new AbortController();
  await second.lead(({ token }) => {
    write("second", token);
    done.abort();
    return Promise.resolve();
  }, { signal: done.signal });
  write("first, late", stale); // … but something it had begun comes only now
  lines.push(`the report is ${reports.read("nightly")}`);
  return lines.join("\n");
}

if (import.meta.main) {
  await using nc = await connect({ servers: process.env["NATS_URL"] ?? "localhost:4222" });
  console.log(await lateLeader(nc));
}
