/** Runs benchmarks on this runtime: `main.ts [--full] [part of a name ...]`; prints their rows as JSON. `deno task bench` */
import process from "node:process";
import { append } from "./append.ts";
import { decider } from "./decider.ts";
import { fenced } from "./fenced.ts";
import { imports } from "./import.ts";
import { inMemory } from "./in_memory.ts";
import { localBus } from "./local_bus.ts";
import type { Row } from "./measure.ts";
import { natsBus } from "./nats_bus.ts";
import { readAll } from "./read_all.ts";
import { reading } from "./reading.ts";
import { versionLookup } from "./version_lookup.ts";

const BENCHES: Readonly<Record<string, (full: boolean) => Promise<Row[]>>> = {
  in_memory: inMemory,
  local_bus: localBus,
  nats_bus: natsBus,
  append,
  fenced,
  version_lookup: versionLookup,
  reading,
  read_all: readAll,
  decider,
  import: imports,
};

const args = process.argv.slice(2);
const full = args.includes("--full");
const wanted = args.filter((arg) => !arg.startsWith("--"));
const rows: Row[] = [];
for (const [name, bench] of Object.entries(BENCHES)) {
  if (wanted.length > 0 && !wanted.some((part) => name.includes(part))) continue;
  console.error(`  ${name} …`);
  rows.push(...await bench(full));
}
console.log(JSON.stringify(rows));
