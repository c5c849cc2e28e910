/**
 * How long types take: 25 actor types of 20 events each, all in one typed view, checked by Deno and by the newest tsc.
 * `deno run -A bench/types.ts`
 * @module
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../tasks/runtimes.ts";

const ACTOR_TYPES = 25;
const EVENTS = 20;

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
const lines: string[] = [
  `import { z } from "zod";`,
  `import { defineEvents, type EventOf, InMemoryEventStore, typed } from "MOD";`,
];
for (const actor of upTo(ACTOR_TYPES)) {
  lines.push(`const Actor${actor} = defineEvents("actor${actor}", {`);
  for (const event of upTo(EVENTS)) {
    const data =
      `z.object({ id: z.string(), total${event}: z.number(), tags: z.array(z.string()), kind: z.enum(["a", "b"]) })`;
    lines.push(
      `  Event${event}Of${actor}: ${event % 5 > 0 ? data : `{ schema: ${data}, formerly: ["Old${event}"] }`},`,
    );
  }
  lines.push("});");
}
const all = upTo(ACTOR_TYPES).map((actor) => `Actor${actor}`);
lines.push(`const store = typed(new InMemoryEventStore(), ${all.join(", ")});`);
lines.push(`type Any = ${all.map((actor) => `EventOf<typeof ${actor}>`).join(" | ")};`);
for (const actor of [1, 7, ACTOR_TYPES]) {
  const data = (event: number): string => `{ id: "x", total${event}: 1, tags: [], kind: "a" }`;
  lines.push(
    `await store.append("actor${actor}-1", [{ eventType: "Event1Of${actor}", data: ${data(1)} }]);`,
    `await store.append(Actor${actor}.id("1"), [{ eventType: "Event5Of${actor}", data: ${data(5)} }]);`,
    `// @ts-expect-error another event's data`,
    `await store.append("actor${actor}-1", [{ eventType: "Event1Of${actor}", data: ${data(2)} }]);`,
    `for (const event of await store.getEvents("actor${actor}-1")) {`,
    `  event satisfies EventOf<typeof Actor${actor}>;`,
    `  if (event.eventType === "Event3Of${actor}") event.data.total3 satisfies number;`,
    `}`,
    `for await (const { events } of store.readAll({ actorTypes: ["actor${actor}"], eventTypes: ["Event2Of${actor}"] })) {`,
    `  for (const event of events) event.data.total2 satisfies number;`,
    `}`,
  );
}
lines.push(
  `const id: string = "actor1-1";`,
  `const everything: Any[] = await store.getEvents(id);`,
  `await store.transact([`,
  `  { actorId: "actor1-1", events: [{ eventType: "Event1Of1", data: { id: "x", total1: 1, tags: [], kind: "b" } }] },`,
  `  { actorId: "actor2-1", events: [], expectedVersion: 1 },`,
  `]);`,
  `const orders = typed(store, Actor1, Actor2);`,
  `void [everything, orders];`,
  "",
);

// In the repository's folder, where both find the packages.
const folder = await mkdtemp(join(ROOT, ".types-"));
try {
  const file = join(folder, "catalogues.ts");
  await writeFile(file, lines.join("\n").replace("MOD", "../mod.ts"));
  await timed("deno check", ["check", "--quiet", file], ROOT);
  const options = ["--strict", "--noEmit", "--target", "esnext", "--module", "nodenext", "--types", "node"];
  options.push(
    "--allowImportingTsExtensions",
    "--noUncheckedIndexedAccess",
    "--skipLibCheck",
    "--typeRoots",
    join(ROOT, "node_modules/@types"),
  );
  // Elsewhere: in a folder with a deno.json, Deno would take that for the compiler's own.
  await timed("tsc 7.0.2", ["x", "-q", "-y", "-p", "npm:typescript@7.0.2", "tsc", ...options, file], tmpdir());
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function timed(what: string, args: string[], cwd: string): Promise<void> {
  const began = performance.now();
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd }).output();
  const seconds = (performance.now() - began) / 1000;
  if (code !== 0) throw new Error(`${what}: ${new TextDecoder().decode(stdout)}${new TextDecoder().decode(stderr)}`);
  console.log(`${what}: ${seconds.toFixed(1)} s for ${ACTOR_TYPES} actor types of ${EVENTS} events`);
}
