/** `deno task bench [--full]`: the table of the README, measured on this machine; `--full` takes ten times as many rounds. */
import { append } from "../bench/append.ts";
import { inMemory } from "../bench/in_memory.ts";
import { table } from "../bench/measure.ts";
import { versionLookup } from "../bench/version_lookup.ts";

const full = Deno.args.includes("--full");
const rows = [];
for (const bench of [inMemory, append, versionLookup]) rows.push(...await bench(full));
console.log(
  `deno task bench, Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} cores, ${Deno.build.target}\n`,
);
console.log(table(rows));
if (rows.some(({ bar }) => bar && !bar.met)) Deno.exitCode = 1;
