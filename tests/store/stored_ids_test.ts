import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { InMemoryEventStore } from "../../mod.ts";
import { StoredIds } from "../../store/stored_ids.ts";
import { event, seed } from "../support/imports.ts";
import { numbers } from "../support/random.ts";

describe(`the ids that a store has, seed ${seed}`, () => {
  it("are found in any order", async () => {
    const store = new InMemoryEventStore();
    const random = numbers(seed);
    for (let number = 1; number <= 8_000; number++) await store.saveEvent(event("a", 2 * number));
    const ids = new StoredIds(store);
    for (let count = 0; count < 100; count++) {
      const version = 1 + Math.floor(random() * 16_002);
      const found = version > 16_000 ? "none" : version % 2 ? "other" : "same";
      assert.equal(await ids.find(event("a", version)), found, `version ${version}`);
    }
    assert.equal(await ids.find(event("a", 16_000, "another")), "other");
    assert.equal(await ids.find(event("b", 1)), "none");
    await ids.stop();
  });
});
