import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { InMemoryEventStore, isAetherError } from "../../mod.ts";
import { eventStoreConformance, given } from "../../testing/mod.ts";
import { orderDecider } from "./shop.ts";

describe("program 15: decisions as pure functions; a store's promises in any runner", () => {
  it("given, when, then", () => {
    given(orderDecider, [{ eventType: "OrderPlaced", data: { total: 5, currency: "EUR" } }])
      .when({ type: "Ship", carrier: "DHL" })
      .expectEvents([{ eventType: "OrderShipped", data: { carrier: "DHL" } }]);
    given(orderDecider).when({ type: "Ship", carrier: "DHL" }).expectError(/not placed/);
    assert.throws(() => {
      // @ts-expect-error wrong data in what is given
      const wrong = given(orderDecider, [{ eventType: "OrderPlaced", data: { total: "5", currency: "EUR" } }]);
      wrong.when({ type: "Ship", carrier: "DHL" });
    }, (error) => isAetherError(error, "SCHEMA"));
  });

  for (const { name, run } of eventStoreConformance(() => new InMemoryEventStore()).slice(0, 3)) it(name, run);
});
