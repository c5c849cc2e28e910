/** What `serve` refuses at once, for callers without types too. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { serveDecider } from "../../cluster/serve.ts";
import { InMemoryEventStore } from "../../mod.ts";
import { counter } from "../support/counter.ts";
import { VirtualClock } from "./support/virtual_clock.ts";

describe("serve", () => {
  const home = { clock: new VirtualClock(), namespace: "town", shards: 4 };
  const store = (namespace = "town", shards = 4): InMemoryEventStore => new InMemoryEventStore({ namespace, shards });
  const refused = (
    fields: { readonly argument: string; readonly message: RegExp },
    given: { readonly store?: unknown; readonly decider?: unknown; readonly options?: object },
  ): void => {
    const { store: from = store(), decider = counter as unknown, options = { actorType: "counter" } } = given;
    assert.throws(() => serveDecider(home, from as never, decider as never, options), {
      code: "INVALID_ARGUMENT",
      ...fields,
    });
  };

  it("takes a store of the cluster's namespace, and says what differs", () => {
    const { actorTypes } = serveDecider(home, store(), counter, { actorType: "counter" });
    assert.deepEqual(actorTypes, ["counter"]);
    refused({ argument: "store", message: /namespace is other there, and town here$/ }, { store: store("other") });
    refused({ argument: "store", message: /shards is 8 there, and 4 here$/ }, { store: store("town", 8) });
    refused({ argument: "store", message: /the store is no event store/ }, { store: {} });
  });

  it("takes a decider, and says which function is missing: no command is refused for that", () => {
    refused({ argument: "decider", message: /the second argument is null/ }, { decider: null });
    refused({ argument: "decider", message: /decider.initialState is a function, not undefined/ }, {
      decider: { decide: () => [] },
    });
    refused({ argument: "decider", message: /decider.decide is a function/ }, { decider: { ...counter, decide: 1 } });
    refused({ argument: "actorType", message: /names no events, so it needs an actorType/ }, { options: {} });
    refused({ argument: "commands", message: /a schema/ }, { options: { actorType: "counter", commands: {} } });
    refused({ argument: "snapshots", message: /getLatestSnapshot is a function/ }, {
      options: { actorType: "counter", snapshots: {} },
    });
  });
});
