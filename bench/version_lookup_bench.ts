/** `deno bench -A bench/version_lookup_bench.ts`: absolute times; the ratios are printed by `deno task bench`. */
import { histories, LENGTHS } from "./histories.ts";
import { bare, lookUp } from "./version_lookup.ts";

const filled = await histories();
globalThis.addEventListener("unload", () => void filled[Symbol.asyncDispose]());

for (const length of LENGTHS) {
  const group = `${length} events`;
  const [direct, store] = [bare(filled, length), lookUp(filled, length)];
  Deno.bench({ name: direct.name, group, baseline: true, fn: async () => void await direct.run() });
  Deno.bench({ name: store.name, group, fn: async () => void await store.run() });
  const actorId = filled.actorOf(length);
  Deno.bench({
    name: `getLatestVersion cached, ${length} events`,
    group: "cached",
    fn: async () => void await filled.store.getLatestVersion(actorId, { consistency: "cached" }),
  });
}
