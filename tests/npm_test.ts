import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { NatsServer } from "../testing/mod.ts";

const QUICK_START = `Order state after replaying 2 events:
 Status: shipped
 Total: $99.99
 Tracking: FS123456
`;
/** Uses the types as a stranger would. */
const TYPES = `
import { createEvent, type Event, InMemoryEventStore, isAetherError, JetStreamEventStore } from "@aether/aether";
import { eventStoreConformance, NatsServer } from "@aether/aether/testing";
import type { EventStore } from "@aether/aether/store";

type Counted = Event<"Added", { by: number }> | Event<"Named", { name: string }>;
const store: EventStore<Counted> = new InMemoryEventStore<Counted>();
for (const event of await store.getEvents("x")) if (event.eventType === "Added") event.data.by satisfies number;
// @ts-expect-error no such event
await store.saveEvent(createEvent({ actorId: "x", version: 1, eventType: "Lost", data: {} }));
try {
  for (const { run } of eventStoreConformance(() => store)) await run();
} catch (error) {
  if (isAetherError(error, "VERSION_CONFLICT")) error.actualVersion satisfies number;
}
void [JetStreamEventStore, NatsServer];
`;
/** Passes on what may be undefined, as one does with `exactOptionalPropertyTypes`. */
const EXACT = `
import { createEvent, defineDecider, execute, InMemoryEventStore, load, type Metadata } from "@aether/aether";

declare const some: {
  readonly signal: AbortSignal | undefined;
  readonly metadata: Metadata | undefined;
  readonly text: string | undefined;
  readonly number: number | undefined;
  readonly list: readonly string[] | undefined;
};
const { signal, metadata, text, number } = some;
const store = new InMemoryEventStore({ namespace: text, shards: number, bus: undefined, clock: undefined });
await store.append("x-1", [{ eventType: "A", data: 1, id: text, timestamp: text, metadata }], { signal, metadata, expectedVersion: number });
await store.transact([{ actorId: "x-1", events: [], expectedVersion: number }], { signal, metadata });
await store.saveEvent(createEvent({ eventType: "A", actorId: "x-1", version: 1, data: 1, id: text, metadata }), { signal });
await store.getEvents("x-1", number, { signal, limit: number, toVersion: number });
store.readAll({ signal, after: number, eventTypes: some.list, onCaughtUp: undefined });
await store.deleteActor("x-1", { signal, expectedVersion: number });
const decider = defineDecider({ initialState: () => 0, evolve: (sum: number) => sum, decide: (_: string) => [], snapshot: undefined });
await execute(store, decider, "x-1", "go", { signal, metadata, commandId: text, retries: number, cache: undefined });
await load(store, decider, "x-1", { signal, toVersion: number, snapshots: undefined });
`;
/** The newest; the version is checked apart from the compiler that Deno has in itself. */
const TYPESCRIPT = "npm:typescript@7.0.2";
/** What has programs for users. */
const PAGES = ["README.md", "docs/cluster.md", "docs/deleting.md", "docs/live.md", "docs/testing.md"];
/** Milliseconds that a program may take: one that waits for ever is killed. */
const PATIENCE = 60_000;

// Packing is Deno's, and the other runtimes are run from here: once is enough.
const onDeno = "Deno" in globalThis;

describe(
  "the npm form, in an empty project",
  { skip: onDeno ? false : "it is packed by Deno, and tested there" },
  () => {
    let folder = "";
    let bun = "";
    let node = "";

    before(async () => {
      const { find } = await import("../tasks/runtimes.ts");
      [bun, node] = [(await find("bun")).path, (await find("node")).path];
      folder = await mkdtemp(join(tmpdir(), "aether-npm-"));
      const archive = join(folder, "aether.tgz");
      const root = new URL("..", import.meta.url);
      await promisify(execFile)(Deno.execPath(), ["pack", "--allow-dirty", "-o", archive], { cwd: root });
      await writeFile(join(folder, "package.json"), JSON.stringify({ name: "empty", type: "module" }));
      await run(bun, "add", archive);
      const quickStart = await readFile(new URL("examples/quick_start.ts", root), "utf8");
      await writeFile(join(folder, "quick_start.ts"), quickStart.replace('"../mod.ts"', '"@aether/aether"'));
      await writeFile(join(folder, "types.ts"), TYPES);
      await writeFile(join(folder, "exact.ts"), EXACT);
      for (const name of ["@types/node", "@nats-io/transport-node", "valibot", "zod"]) {
        await mkdir(join(folder, "node_modules", dirname(name)), { recursive: true });
        await symlink(await realpath(new URL(`node_modules/${name}`, root)), join(folder, "node_modules", name));
      }
      await mkdir(join(folder, "usage"));
      for (const file of await readdir(new URL("tests/usage", root))) {
        const program = await readFile(new URL(`tests/usage/${file}`, root), "utf8");
        await writeFile(join(folder, "usage", file), fromPackage(program));
      }
    });
    after(() => rm(folder, { recursive: true, force: true }));

    const run = async (file: string, ...args: string[]): Promise<string> =>
      (await promisify(execFile)(file, args, { cwd: folder })).stdout;

    it("runs the quick start on Node and on Bun", async () => {
      assert.equal(await run(node, "quick_start.ts"), QUICK_START);
      assert.equal(await run(bun, "quick_start.ts"), QUICK_START);
    });

    const tsc = async (...args: string[]): Promise<void> => {
      const options = ["--strict", "--noEmit", "--target", "esnext", "--module", "nodenext", "--types", "node"];
      await assert.doesNotReject(
        run(Deno.execPath(), "x", "-y", "-p", TYPESCRIPT, "tsc", ...options, ...args).catch(({ stdout }) => {
          throw new Error(stdout);
        }),
      );
    };

    it("has types that the newest tsc --strict finds", async () => {
      // The programs say of themselves where the compiler must object.
      const programs = (await readdir(join(folder, "usage"))).map((file) => join("usage", file));
      await tsc("--allowImportingTsExtensions", "types.ts", "quick_start.ts", ...programs);
    });

    it("takes options that may be undefined, also where tsc is told to be exact", async () => {
      await tsc("--exactOptionalPropertyTypes", "--skipLibCheck", "exact.ts");
    });

    it("opens nothing and loads no transport when it is imported", async () => {
      const script = 'await import("@aether/aether"); console.log(process.getActiveResourcesInfo().length)';
      const idle = "console.log(process.getActiveResourcesInfo().length)";
      const evaluate = (code: string): Promise<string> => run(node, "--input-type=module", "-e", code);
      assert.equal(await evaluate(script), await evaluate(idle)); // no transport is installed here at all
    });

    describe("the programs of the README and of the guides end by themselves, all on one server,", () => {
      let server: NatsServer;
      let unpacked = "";
      before(async () => {
        server = await NatsServer.start();
        unpacked = await mkdtemp(join(tmpdir(), "aether-deno-"));
        const root = new URL("..", import.meta.url);
        const readme = await readFile(new URL("README.md", root), "utf8");
        const [, map = ""] = readme.match(/^```json\n(.*?)^```/ms) ?? [];
        const { imports } = JSON.parse(map.replaceAll('"../aether/', `"${root}`));
        const config = { imports: { ...imports, zod: "npm:zod@^4.6.7" } };
        await writeFile(join(unpacked, "deno.json"), JSON.stringify(config));
      });
      after(async () => {
        await rm(unpacked, { recursive: true, force: true });
        await server.stop();
      });

      for (const page of PAGES) {
        it(`those of ${page}`, async () => {
          const text = await readFile(new URL(`../${page}`, import.meta.url), "utf8");
          const programs = [...text.matchAll(/^```ts\n(.*?)^```/gms)].map(([, program = ""]) => program);
          assert.ok(programs.length > 0);
          for (const [index, program] of programs.entries()) {
            const isTest = program.includes('"node:test"');
            const file = `${page.replace("/", "-")}-${index}${isTest ? ".test" : ""}.ts`;
            for (const cwd of [folder, unpacked]) {
              await writeFile(join(cwd, file), program.replaceAll("localhost:4222", server.url));
            }
            const runs: readonly [cwd: string, runtime: string, args: readonly string[]][] = [
              [unpacked, Deno.execPath(), [isTest ? "test" : "run", "-A", "--no-check", file]],
              [folder, node, isTest ? ["--test", file] : [file]],
              [folder, bun, isTest ? ["test", file] : [file]],
            ];
            await Promise.all(
              runs.map(([cwd, runtime, args]) =>
                promisify(execFile)(runtime, args, { cwd, timeout: PATIENCE, killSignal: "SIGKILL" })
                  .catch(({ stdout, stderr }) => assert.fail(`${runtime} ${args.join(" ")}\n${stdout}${stderr}`))
              ),
            );
          }
        });
      }
    });
  },
);

/** As one who has installed the package writes it. */
function fromPackage(program: string): string {
  return program.replaceAll('"../../mod.ts"', '"@aether/aether"')
    .replaceAll('"../../testing/mod.ts"', '"@aether/aether/testing"');
}
