import { describe, it } from "node:test";
import { InMemoryEventStore, LocalEventBus } from "../../mod.ts";
import { eventBusConformance } from "../../testing/mod.ts";

describe("LocalEventBus", () => {
  const cases = eventBusConformance((namespace) => new LocalEventBus({ namespace }), {
    store: (namespace, bus) => new InMemoryEventStore({ namespace, bus }),
  });
  for (const { name, run } of cases) it(name, run);
});
