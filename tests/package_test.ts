import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const json = async (name: string): Promise<Record<string, unknown>> =>
  JSON.parse(await readFile(join(root, name), "utf8"));

describe("the package", () => {
  it("is described alike in deno.json, jsr.json and package.json", async () => {
    const [deno, jsr, npm] = await Promise.all(["deno.json", "jsr.json", "package.json"].map(json));
    for (const field of ["name", "version", "license"]) {
      assert.equal(jsr?.[field], deno?.[field]);
      assert.equal(npm?.[field], deno?.[field]);
    }
    assert.deepEqual(jsr?.exports, deno?.exports);
    assert.deepEqual(npm?.exports, deno?.exports);
    assert.ok((await readFile(join(root, "CHANGELOG.md"), "utf8")).includes(`## ${deno?.version}`));
  });

  it("depends on @nats-io/nats-core only, and its core on no module of a runtime", async () => {
    assert.deepEqual(Object.keys((await json("package.json")).dependencies ?? {}), ["@nats-io/nats-core"]);
    assert.deepEqual([...await foreignImports("mod.ts")], ["@nats-io/nats-core"]);
    const testing = [...await foreignImports("testing/mod.ts")];
    assert.deepEqual(testing.filter((name) => !name.startsWith("node:")), []);
  });

  it("keeps to its layers: lower folders never import higher ones", async () => {
    const below: Readonly<Record<string, readonly string[]>> = {
      store: [],
      snapshot: ["store"],
      bus: ["store"],
      schema: ["bus", "store", "snapshot"],
      decider: ["schema", "bus", "store", "snapshot"],
    };
    for (const [folder, others] of Object.entries(below)) {
      const allowed = new RegExp(`^((${[folder, ...others].join("|")})/.+|[^/]+\\.ts$)`);
      for (const file of await readdir(join(root, folder))) {
        for (const imported of await localImports(join(folder, file))) {
          assert.match(imported, allowed, `${folder}/${file} imports ${imported}`);
          assert.notEqual(imported, "mod.ts", `${folder}/${file} imports everything`);
        }
      }
    }
  });
});

/** Everything that a module reaches and that is not a file of the project. */
async function foreignImports(
  entry: string,
  seen = new Set<string>(),
  found = new Set<string>(),
): Promise<Set<string>> {
  if (seen.has(entry)) return found;
  seen.add(entry);
  for (const name of await imports(entry)) {
    if (name.startsWith(".")) await foreignImports(join(dirname(entry), name), seen, found);
    else found.add(name);
  }
  return found;
}

async function localImports(file: string): Promise<string[]> {
  return (await imports(file)).filter((name) => name.startsWith(".")).map((name) => join(dirname(file), name));
}

/** What a module imports when it runs: imports of types are erased. */
async function imports(file: string): Promise<string[]> {
  const text = (await readFile(join(root, file), "utf8")).replaceAll(/^ *(\/\*\*|\*).*$/gm, "");
  const statements = text.matchAll(/^(?:import|export)(?! type)[^;]*?from "([^"]+)"/gms);
  return [...statements].map(([, name = ""]) => name);
}
