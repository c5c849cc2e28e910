import { connect, type NatsConnection } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { loadLog } from "../examples/event_log/load.ts";
import { countEvents, LogError, readLog } from "../examples/event_log/log.ts";
import { replayLog } from "../examples/event_log/replay.ts";
import { type Commit, type Event, type EventStore, InMemoryEventStore, JetStreamEventStore } from "../mod.ts";
import { numbers } from "./support/random.ts";
import { NatsServer } from "../testing/mod.ts";

const PROGRAM = fileURLToPath(new URL("../examples/event_log.ts", import.meta.url));
/** Logs of real processes, for whoever has them: the tests do not depend on them. */
const DATA = fileURLToPath(new URL("../../shared/data/", import.meta.url));
const SAME = "what came out is what went in";
const EXAMPLE = line("a", "T", "{}");

/** In the titles: EVENT_LOG_SEED repeats it. */
const seed = Number(process.env.EVENT_LOG_SEED ?? Math.floor(Math.random() * 2 ** 32));
let directory: string;
let server: NatsServer;
let nc: NatsConnection;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "event-log-"));
  server = await NatsServer.start();
  nc = await connect({ servers: server.url });
});
after(async () => {
  await nc.close();
  await server.stop();
  await rm(directory, { recursive: true });
});

const stores: Record<string, () => Promise<EventStore>> = {
  "in memory": () => Promise.resolve(new InMemoryEventStore()),
  "on JetStream": () => JetStreamEventStore.open(nc, { namespace: crypto.randomUUID() }),
};

for (const [where, open] of Object.entries(stores)) {
  describe(`an event log, ${where}, seed ${seed}`, () => {
    const lines = generate(seed);
    const path = (): Promise<string> => write(`${lines.join("\n")}\n\n\n`);
    const types = countBy(lines.map((text) => JSON.parse(text).eventType));

    it("comes out as it went in", async () => {
      const store = await open();
      const file = await path();
      assert.equal(await loadLog(store, file), 0);
      const { types: found, others } = await replayLog(store, file, await countEvents(file));
      assert.deepEqual(new Map(found), types);
      assert.equal(others, 0);
    });

    it("loaded twice is stored once, identical lines each", async () => {
      assert.ok(new Set(lines).size < lines.length);
      const store = await open();
      const file = await path();
      await loadLog(store, file);
      const position = await store.position();
      assert.equal(await loadLog(store, file), lines.length);
      assert.equal(await store.position(), position);
      await replayLog(store, file, await countEvents(file));
    });

    it("goes on where it was interrupted", async () => {
      const store = await open();
      const file = await path();
      const interrupt = new AbortController();
      const onEvent = (): void => interrupt.abort(new Error("enough"));
      await assert.rejects(loadLog(store, file, { signal: interrupt.signal, onEvent }), /enough/);
      const duplicates = await loadLog(store, file);
      assert.ok(duplicates >= 1 && duplicates < lines.length, `${duplicates}`);
      await replayLog(store, file, await countEvents(file));
    });

    it("is compared with its own actors only", async () => {
      const store = await open();
      const file = await path();
      await loadLog(store, file);
      await store.append("somebody-else", [{ eventType: "T", data: 1 }, { eventType: "T", data: 2 }]);
      assert.equal((await replayLog(store, file, await countEvents(file))).others, 2);
    });

    it("is refused where another event is in its place", async () => {
      const store = await open();
      const file = await write(`${EXAMPLE}\n${line("b", "T", "{}")}\n`);
      await store.append("b", [{ eventType: "T", data: {} }]);
      await assert.rejects(loadLog(store, file), (error: Error) => {
        assert.equal(
          error.message,
          `${file}:2: version 1 of "b" is there already, and is another event: load into another namespace`,
        );
        return error instanceof LogError;
      });
    });

    describe("that is not what was loaded", () => {
      const at = lines.flatMap((text, index) => JSON.parse(text).actorId === "order-checked" ? [index] : []);
      const [first, second, third, fourth, last] = at as [number, number, number, number, number];
      const edits: Record<string, [expected: string, edit: (lines: string[]) => void]> = {
        "an event is missing": [
          `${fourth}: version 3 of "order-checked" came out different in data`,
          (lines) => lines.splice(third, 1),
        ],
        "the last event is missing": [
          ` version 5 of "order-checked" came out, and is not in the log`,
          (lines) => lines.splice(last, 1),
        ],
        "an event is new": [
          `${lines.length + 1}: version 6 of "order-checked" did not come out`,
          (lines) => lines.push(line("order-checked", "T", "{}")),
        ],
        "two events of an actor are swapped": [
          `${first + 1}: version 1 of "order-checked" came out different in data`,
          (lines) => [lines[first], lines[second]] = [text(second), text(first)],
        ],
        "a byte of the data is changed": [
          `${third + 1}: version 3 of "order-checked" came out different in data`,
          (lines) => lines[third] = text(third).replace('"step":3', '"step":8'),
        ],
        "a type is changed": [
          `${third + 1}: version 3 of "order-checked" came out different in eventType`,
          (lines) => lines[third] = text(third).replace("Checked", "checked"),
        ],
        "a timestamp is changed": [
          `${third + 1}: version 3 of "order-checked" came out different in timestamp`,
          (lines) => lines[third] = text(third).replace(".000Z", ".001Z"),
        ],
        "the keys of the data are in another order": [
          `${third + 1}: version 3 of "order-checked" came out different in data`,
          (lines) => lines[third] = text(third).replace('"a":1,"b":2', '"b":2,"a":1'),
        ],
      };
      const text = (index: number): string => lines[index] ?? "";

      for (const [what, [expected, edit]] of Object.entries(edits)) {
        it(`is found out: ${what}`, async () => {
          const store = await open();
          await loadLog(store, await path());
          const edited = [...lines];
          edit(edited);
          assert.notDeepEqual(edited, lines);
          const file = await write(edited.join("\n"));
          await rejectsWith(replayLog(store, file, await countEvents(file)), `${file}:${expected}`);
        });
      }
    });

    describe("in a store that does not keep it", () => {
      const lies: Record<string, [expected: RegExp, lie: (commits: Commit[]) => void]> = {
        "an event is lost": [/version 3 .* came out different in version/, (commits) => commits.splice(2, 1)],
        "the last event is lost": [/:5: version 5 .* did not come out/, (commits) => commits.pop()],
        "an event comes twice": [/:4: version 4 .* came out different in version/, (commits) => {
          commits.splice(2, 0, commits[2] as Commit);
        }],
        "the last event comes twice": [/version 5 .* came out, and is not in the log/, (commits) => {
          commits.push(commits[4] as Commit);
        }],
        "events come in another order": [
          /:1: version 1 .* came out different in version/,
          (commits) => commits.reverse(),
        ],
        "metadata is made up": [/:2: version 2 .* came out different in metadata/, (commits) => {
          const { events: [event], ...commit } = commits[1] as Commit;
          commits[1] = { ...commit, events: [{ ...event as Event, metadata: { made: "up" } }] };
        }],
      };
      for (const [what, [expected, lie]] of Object.entries(lies)) {
        it(`is found out: ${what}`, async () => {
          const store = await open();
          const file = await write([1, 2, 3, 4, 5].map((step) => line("a", "T", `{"step":${step}}`)).join("\n"));
          await loadLog(store, file);
          const stored = await Array.fromAsync(store.readAll());
          const commits = stored.flatMap((commit) => commit.events.map((event) => ({ ...commit, events: [event] })));
          lie(commits);
          const liar = { readAll: () => commits } as unknown as EventStore;
          await assert.rejects(replayLog(liar, file, await countEvents(file)), expected);
        });
      }
    });
  });
}

describe("the lines of an event log", () => {
  it("may be gzipped, end in any way, and begin with a byte order mark", async () => {
    const text = `\uFEFF${EXAMPLE}\r\n\n  \n${line("b", "T", '"\u2028"')}\n${EXAMPLE}`;
    for (const content of [text, gzipSync(text)]) {
      const entries = await Array.fromAsync(readLog(await write(content)));
      assert.deepEqual(entries.map(({ line, event: { id } }) => [line, id]), [[1, "a#1"], [4, "b#1"], [5, "a#2"]]);
      assert.equal(entries[1]?.event.data, "\u2028");
    }
  });

  it("give an event that is longer than the pieces of the file", async () => {
    const long = "🦀".repeat(100_000);
    const entries = await Array.fromAsync(
      readLog(await write(`${EXAMPLE}\n${line("a", "T", `"${long}"`)}\n${EXAMPLE}`)),
    );
    assert.deepEqual(entries.map(({ event: { data } }) => data), [{}, long, {}]);
  });

  it("give ids from actor and place, whatever the actor is called", async () => {
    const long = "x".repeat(126);
    const actors = ["a", "a", "a#1", long, `${long}x`, `${long}y`];
    const entries = await Array.fromAsync(readLog(await write(actors.map((id) => line(id, "T", "1")).join("\n"))));
    const ids = entries.map(({ event: { id } }) => id);
    assert.deepEqual(ids.slice(0, 4), ["a#1", "a#2", "a#1#1", `${long}#1`]);
    assert.equal(new Set(ids).size, ids.length);
    assert.ok(ids.every((id) => id.length <= 128));
  });

  it("give the same instant in UTC with milliseconds", async () => {
    const given = ["2020-02-29T01:00:00.120+02:00", "2020-02-28T23:00:00.12Z", "2020-02-28T23:00:00.120000000Z"];
    const entries = await Array.fromAsync(
      readLog(await write(given.map((time) => line("a", "T", "1", time)).join("\n"))),
    );
    assert.deepEqual(entries.map(({ event }) => event.timestamp), given.map(() => "2020-02-28T23:00:00.120Z"));
  });

  const mistakes: Record<string, [text: string, problem: RegExp]> = {
    "are not JSON": ['{"actorId":', /not JSON: /],
    "are no objects": ["[1]", /not a JSON object/],
    "are null": ["null", /not a JSON object/],
    "lack a field": ['{"actorId":"a","eventType":"T","data":1}', /timestamp is not a string/],
    "lack data": [EXAMPLE.replace(',"data":{}', ""), /data/],
    "hold a field that would be lost": [EXAMPLE.replace("}}", '},"version":7}'), /the field "version" is unknown/],
    "hold an actor without a name": [line("", "T", "{}"), /actor id/],
    "hold what JSON cannot keep": [line("a", "T", '{"x":[1,1e999]}'), /data\.x\[1\]/],
    "hold microseconds": [line("a", "T", "1", "2020-01-01T00:00:00.123456Z"), /is not ISO 8601/],
    "hold a time without a zone": [line("a", "T", "1", "2020-01-01T00:00:00.123"), /is not ISO 8601/],
    "hold a day that never was": [line("a", "T", "1", "2021-02-29T00:00:00.000Z"), /is not ISO 8601/],
    "hold a zone that is none": [line("a", "T", "1", "2021-02-28T00:00:00.000+25:00"), /is not ISO 8601/],
  };
  for (const [what, [text, problem]] of Object.entries(mistakes)) {
    it(`are refused by their number if they ${what}`, async () => {
      const file = await write(`${EXAMPLE}\n\n${text}\n${EXAMPLE}\n`);
      await assert.rejects(countEvents(file), (error: Error) => {
        assert.ok(error instanceof LogError && error.message.startsWith(`${file}:3: `), error.message);
        assert.match(error.message, problem);
        return true;
      });
    });
  }

  it("are refused if the file is cut off, damaged or not UTF-8", async () => {
    const whole = gzipSync(generate(seed).join("\n"));
    const damaged = Uint8Array.from(whole, (byte, index) => index === whole.length >> 1 ? byte ^ 1 : byte);
    for (
      const content of [whole.subarray(0, -20), damaged, Uint8Array.of(...new TextEncoder().encode(EXAMPLE), 0xff)]
    ) {
      const file = await write(content);
      await assert.rejects(
        countEvents(file),
        (error) => error instanceof LogError && error.message.startsWith(`${file}:`),
      );
    }
  });

  it("are refused if there is no end to one", async () => {
    const file = await write("x".repeat(17 * 1024 * 1024));
    await rejectsWith(countEvents(file), `${file}: cannot be read: a line of more than 16777216 characters`);
  });
});

describe("the program", () => {
  const timeout = 120_000;

  it("loads, replays, checks and counts, in memory", { timeout }, async () => {
    const { code, stdout, stderr } = await run([await write(gzipSync(generate(seed).join("\n"))), "--namespace", "n"]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^Namespace n, in memory\.$/m);
    assert.match(
      stdout,
      /^Loaded 600 events of \d+ actors in [\d.]+ s \([\d,]+\/s\); of those 0 were there already\.$/m,
    );
    assert.match(stdout, new RegExp(`^Replayed 600 events of .*: ${SAME}\\.$`, "m"));
    assert.match(stdout, /^ +5 {2}Checked$/m);
    assert.match(stderr, /100 %/);
    const counts = [...stdout.matchAll(/^ +(\d+) {2}/gm)].map(([, count]) => Number(count));
    assert.deepEqual(counts, counts.toSorted((a, b) => b - a));
    assert.equal(counts.reduce((sum, count) => sum + count), 600);
  });

  it("stores nothing twice, on JetStream", { timeout }, async () => {
    const file = await write(generate(seed).join("\n"));
    for (const already of [0, 600]) {
      const { code, stdout, stderr } = await run([file, "--namespace", "twice"], { NATS_URL: server.url });
      assert.equal(code, 0, stderr);
      assert.match(stdout, /^Namespace twice, on JetStream: stream AETHER_twice of /m);
      assert.match(stdout, new RegExp(`of those ${already} were there already`));
      assert.match(stdout, new RegExp(SAME));
    }
  });

  it("ends with 1 where the namespace holds something else", { timeout }, async () => {
    const args = ["--server", server.url, "--namespace", "else"];
    const log = (...data: string[]): Promise<string> => write(data.map((value) => line("a", "T", value)).join("\n"));
    await run([await log("1", "2", "3"), ...args]);
    await says(1, /:2: version 2 of "a" came out different in data$/m, [await log("1", "3", "2"), ...args]);
    const store = await JetStreamEventStore.open(nc, { namespace: "else" });
    await store.append("b", [{ eventType: "T", data: 1 }]);
    await says(1, /:1: version 1 of "b" is there already, and is another event/, [
      await write(line("b", "T", "1")),
      ...args,
    ]);
  });

  it("says what is wrong, without a stack trace", { timeout }, async () => {
    const good = await write(EXAMPLE);
    await says(1, /:2: not JSON: /, [await write(`${EXAMPLE}\n{`)]);
    await says(1, /nowhere\.ndjson: cannot be read: ENOENT/, [join(directory, "nowhere.ndjson")]);
    await says(1, /: cannot be read: not a file/, [directory]);
    await says(1, /^Not a namespace: "a\.b"/m, [good, "--namespace", "a.b"]);
    await says(1, /^There is no connection to nats:\/\/127\.0\.0\.1:1: /m, [good, "--server", "nats://127.0.0.1:1"]);
    await says(2, /^One FILE is needed\.\n\nusage: /m, []);
    await says(2, /^Unknown option '--x'/m, [good, "--x"]);
    await says(2, /^--memory and --server do not go together/m, [good, "--memory", "--server", server.url]);
  });

  it("says which permission it lacks", { timeout }, async () => {
    const permissions = { publish: { deny: ["aether.>"] } };
    const guarded = await NatsServer.start({
      accounts: { A: { users: [{ user: "reader", password: "x", permissions }] } },
      config: "no_auth_user: reader",
    });
    try {
      await says(1, /:1: No permission for aether\./, [await write(EXAMPLE), "--server", guarded.url]);
    } finally {
      await guarded.stop();
    }
  });

  it("ends in order on SIGINT", { timeout, skip: process.platform === "win32" }, async () => {
    const file = await write(Array.from({ length: 30_000 }, (_, index) => line(`a-${index}`, "T", "1")).join("\n"));
    const { code, stderr } = await run([file, "--server", server.url, "--namespace", "interrupted"], {}, true);
    assert.equal(code, 130, stderr);
    assert.match(stderr, /^Interrupted\. /m);
    assert.doesNotMatch(stderr, /^ +at /m);
  });

  const logs: Record<string, string> = {
    helpdesk: "21,348 events of 4,580 actors",
    receipt: "8,577 events of 1,434 actors",
  };
  for (const [name, size] of Object.entries(logs)) {
    const file = join(DATA, `${name}.ndjson.gz`);
    const here = existsSync(file);
    const title = `loads the real log ${name}${here ? "" : `: skipped, because ${file} is not there`}`;
    it(title, { timeout, skip: !here }, async () => {
      const jetstream = ["--server", server.url, "--namespace", name];
      const all = size.split(" ")[0];
      for (const [args, already] of [[["--memory"], "0"], [jetstream, "0"], [jetstream, all]] as const) {
        const { code, stdout, stderr } = await run([file, ...args]);
        assert.equal(code, 0, stderr);
        assert.match(stdout, new RegExp(`^Loaded ${size} in .*; of those ${already} were there already\\.$`, "m"));
        assert.match(stdout, new RegExp(`^Replayed ${size} in .*: ${SAME}\\.$`, "m"));
      }
    });
  }
});

/** 600 events; five of them, on as many steps, are of `order-checked`. */
function generate(seed: number): string[] {
  const random = numbers(seed);
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)] as T;
  const actors = ["a.b", ">", "*", "ü 🦀", " ", "-", "a#1", "x".repeat(150), "__proto__"];
  for (let count = 0; count < 30; count++) actors.push(`order-${count}`);
  const data = [
    "null",
    "-0",
    "1e21",
    '"\u2028 \\ud800 \\u0000"',
    '{"__proto__":{"x":1},"constructor":null,"":[]}',
    '{"b":1,"a":2,"10":3,"9":[[],{}]}',
    `"${"long ".repeat(5_000)}"`,
  ];
  const lines: string[] = [];
  while (lines.length < 595) {
    const before = lines.at(-1);
    if (before !== undefined && random() < 0.2) lines.push(before); // happens in real logs
    else {lines.push(
        line(pick(actors), pick(["Placed", "Über >*.", "Closed"]), random() < 0.3 ? pick(data) : `{"x":${random()}}`),
      );}
  }
  for (let step = 5; step > 0; step--) {
    // Each before the one that was inserted last.
    const limit = lines.findIndex((text) => text.includes("order-checked"));
    const at = Math.floor(random() * (limit === -1 ? lines.length : limit));
    lines.splice(at, 0, line("order-checked", "Checked", `{"step":${step},"a":1,"b":2}`));
  }
  return lines;
}

function line(actorId: string, eventType: string, data: string, timestamp = "2020-01-31T12:00:00.000Z"): string {
  return `${JSON.stringify({ actorId, eventType, timestamp }).slice(0, -1)},"data":${data}}`;
}

function countBy(values: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

async function write(content: string | Uint8Array): Promise<string> {
  const path = join(directory, `${crypto.randomUUID()}.ndjson`);
  await writeFile(path, content);
  return path;
}

async function rejectsWith(promise: Promise<unknown>, message: string): Promise<void> {
  await assert.rejects(promise, (error: Error) => {
    assert.equal(error.message, message);
    return error instanceof LogError;
  });
}

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the program on the runtime of this process; interrupts it, if that is wanted, once it has begun to load. */
async function run(args: string[], env: Record<string, string> = {}, interrupted = false): Promise<Result> {
  const { NATS_URL: _, ...own } = process.env;
  const child = spawn(process.execPath, [...("Deno" in globalThis ? ["run", "-A"] : []), PROGRAM, ...args], {
    env: { ...own, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => stdout += text);
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    // Not `child.kill`: whatever the exit code, Deno would then report the signal.
    if (interrupted && stderr === "" && child.pid !== undefined) process.kill(child.pid, "SIGINT");
    stderr += text;
  });
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, stdout, stderr };
}

async function says(code: number, message: RegExp, args: string[]): Promise<void> {
  const result = await run(args);
  assert.equal(result.code, code, result.stderr);
  assert.match(result.stderr, message);
  assert.doesNotMatch(result.stderr, /^ +at /m);
}
