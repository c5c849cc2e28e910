import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Outcomes } from "../../cluster/outcomes.ts";

const answer = (body: string) => ({ body, isStored: false });

describe("answers that are remembered", () => {
  it("are those of an actor and a command, until they expire", () => {
    const outcomes = new Outcomes();
    outcomes.set("a", "1", answer("a1"), 100, 0);
    outcomes.set("1a", "", answer("other"), 100, 0);
    assert.equal(outcomes.get("a", "1", 99)?.body, "a1");
    assert.equal(outcomes.get("a", "1", 100), undefined);
    assert.equal(outcomes.get("b", "1", 0), undefined);
    assert.equal(outcomes.get("a1", "", 0), undefined);
    outcomes.set("a", "1", { body: "later", isStored: true }, 300, 100);
    assert.deepEqual({ ...outcomes.get("a", "1", 200) }, { body: "later", isStored: true, expires: 300 });
  });

  it("are forgotten once they have expired, some time later", () => {
    const outcomes = new Outcomes();
    for (let now = 0; now < 200_000; now += 10) {
      outcomes.set("a", `${now}`, answer("x"), now + 20_000, now);
      assert.ok(outcomes.get("a", `${Math.max(0, now - 19_990)}`, now), `at ${now}`);
    }
    assert.ok(outcomes.size <= 6_000, `${outcomes.size}`);
  });

  it("are bounded in number and size, and the latest stay", () => {
    const many = new Outcomes();
    for (let number = 0; number < 200_000; number++) many.set("a", `${number}`, answer("x"), Infinity, number);
    assert.ok(many.size <= 50_000 && many.size >= 25_000, `${many.size}`);
    assert.ok(many.get("a", "199999", 0) && many.get("a", "175001", 0));
    const large = new Outcomes();
    for (let number = 0; number < 100; number++) large.set("a", `${number}`, answer("x".repeat(1e6)), Infinity, 0);
    assert.ok(large.size >= 5 && large.size <= 10, `${large.size}`);
    assert.ok(large.get("a", "99", 0) && large.get("a", "95", 0));
  });
});
