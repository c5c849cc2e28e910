/**
 * The same work on this library and on emmett: `npm ci && node peers.ts` in this folder (Node 22.18 or later; and
 * `deno install` in the folder above for what the library needs). The stores take turns, in one process.
 */
import { availableParallelism } from "node:os";
import process from "node:process";
import type { NewEvent } from "../../mod.ts";
import { aether, emmettOnPostgres, emmettOnSqlite, type Peer } from "./stores.ts";

const EVENT: NewEvent = {
  eventType: "OrderPlaced",
  data: {
    total: 99.99,
    items: 3,
    customer: "customer-0815",
    note: "leave it at the door please!",
    ok: true,
  },
};
const TEN: NewEvent[] = Array.from({ length: 10 }, () => EVENT);
const STREAMS = 16;
/** Events of the long stream, appended ten at a time. */
const LENGTH = 10_000;

/** Events of the stream that commands are executed on. */
const HISTORY = 100;
const COMMANDS = 64;

/** A line of the table: what one round does, and how its times are told. */
interface Work {
  readonly name: string;
  readonly rounds: number;
  /** Undefined: not on this store. */
  round(peer: Peer): (() => Promise<unknown>) | undefined;
  /** Of so many events a round; none: only the time is told. */
  readonly events?: number;
}

const WORK: readonly Work[] = [
  {
    name: "append 1, expected version",
    rounds: 1_000,
    events: 1,
    round: (peer) => appending(peer, "one", [EVENT]),
  },
  {
    name: "append 10, all or none",
    rounds: 500,
    events: 10,
    round: (peer) => appending(peer, "ten", TEN),
  },
  {
    name: `append 1 to each of ${STREAMS} streams at once`,
    rounds: 200,
    events: STREAMS,
    round: appendingAtOnce,
  },
  {
    name: "latest version of 10,000 events",
    rounds: 50,
    round: (peer) => () => peer.version("long-1"),
  },
  {
    name: "read 10,000 events",
    rounds: 30,
    round: (peer) => () => peer.read("long-1"),
  },
  {
    name: `command on a stream of ${HISTORY} events and more`,
    rounds: 200,
    events: 1,
    round: (peer) => () => peer.command("history-1"),
  },
  {
    name: "… with a cache of states",
    rounds: 200,
    events: 1,
    round: (peer) => peer.cachedCommand && (() => peer.cachedCommand?.("history-1") ?? Promise.resolve()),
  },
  {
    name: `${COMMANDS} commands at once on one new stream`,
    rounds: 20,
    events: COMMANDS,
    round: commandsAtOnce,
  },
];

const peers: Peer[] = [];
try {
  for (
    const open of [
      () => aether(false),
      () => aether(true),
      emmettOnPostgres,
      emmettOnSqlite,
    ]
  ) {
    const peer = await open();
    if (peer) peers.push(peer);
    else {console.log(
        "PostgreSQL: none on this machine (`apt-get install postgresql`), so it is left out.\n",
      );}
  }
  for (const peer of peers) await fill(peer);
  const rows: string[][] = [["", ...peers.map(({ name }) => name)]];
  const losses: string[] = [];
  for (const work of WORK) {
    const times = await measure(work);
    rows.push([
      work.name,
      ...peers.map((peer) => tell(times.get(peer), work.events)),
    ]);
    for (const peer of peers.filter(({ name }) => !name.startsWith("Aether"))) {
      for (const own of peers.filter(({ name }) => name.startsWith("Aether"))) {
        const [theirs, ours] = [
          middle(times.get(peer)),
          middle(times.get(own)),
        ];
        if (theirs < ours) {
          losses.push(`${work.name}: ${peer.name} is faster than ${own.name}`);
        }
      }
    }
  }
  rows.push([
    "acknowledged when",
    ...peers.map(({ durability }) => durability),
  ]);
  rows.splice(1, 0, rows[0]?.map(() => "---") ?? []);
  console.log(rows.map((cells) => `| ${cells.join(" | ")} |`).join("\n"));
  console.log(
    `\nNode ${process.versions.node}, ${availableParallelism()} cores. Medians; in brackets events a second.`,
  );
  console.log(losses.length > 0 ? losses.join("\n") : "No row loses.");
} finally {
  for (const peer of peers) await peer.close();
}

/** Appends onto the stream again and again. */
function appending(
  peer: Peer,
  stream: string,
  events: readonly NewEvent[],
): () => Promise<void> {
  let version = 0;
  return async () => {
    await peer.append(`${stream}-1`, events, version);
    version += events.length;
  };
}

function appendingAtOnce(peer: Peer): (() => Promise<unknown>) | undefined {
  if (!peer.concurrent) return undefined;
  const rounds = Array.from(
    { length: STREAMS },
    (_, number) => appending(peer, `at-once-${number}`, [EVENT]),
  );
  return () => Promise.all(rounds.map((round) => round()));
}

function commandsAtOnce(peer: Peer): (() => Promise<unknown>) | undefined {
  if (!peer.concurrent) return undefined;
  let streams = 0;
  return () => {
    const stream = `hot-${++streams}`;
    return Promise.all(
      Array.from({ length: COMMANDS }, () => peer.command(stream)),
    );
  };
}

async function fill(peer: Peer): Promise<void> {
  for (let version = 0; version < HISTORY; version++) {
    await peer.append("history-1", [EVENT], version);
  }
  for (let version = 0; version < LENGTH; version += TEN.length) {
    await peer.append("long-1", TEN, version);
  }
  const [version, events] = [
    await peer.version("long-1"),
    await peer.read("long-1"),
  ];
  if (version !== LENGTH || events !== LENGTH) {
    throw new Error(`${peer.name}: version ${version}, ${events} events`);
  }
}

/** Milliseconds of each round, in which all take turns in any order; a tenth more of them warm up. */
async function measure(work: Work): Promise<Map<Peer, number[]>> {
  const candidates = peers.flatMap((peer) => {
    const round = work.round(peer);
    return round ? [{ peer, round, times: [] as number[] }] : [];
  });
  for (let count = -work.rounds / 10; count < work.rounds; count++) {
    // None is always behind the same other one, whose garbage it would collect.
    const turns = candidates.map((candidate) => ({
      ...candidate,
      turn: Math.random(),
    })).sort((a, b) => a.turn - b.turn);
    for (const { round, times } of turns) {
      const start = performance.now();
      await round();
      if (count >= 0) times.push(performance.now() - start);
    }
  }
  return new Map(candidates.map(({ peer, times }) => [peer, times]));
}

function tell(
  times: readonly number[] | undefined,
  events: number | undefined,
): string {
  if (times === undefined) return "–";
  const time = `${middle(times).toFixed(2)} ms`;
  if (events === undefined) return time;
  const rate = events * times.length / times.reduce((sum, one) => sum + one) *
    1_000;
  return `${time} (${Math.round(rate).toLocaleString("en")})`;
}

function middle(times: readonly number[] = []): number {
  return times.toSorted((a, b) => a - b)[times.length >> 1] ?? NaN;
}
