import { describe, it } from "node:test";
import { actorTypeOf } from "../../actor_id.ts";
import {
  type Event,
  type EventCatalogue,
  type EventStore,
  InMemoryEventStore,
  JetStreamEventStore,
  typed,
} from "../../mod.ts";
import { HOSTILE_IDS } from "../../testing/event_store/limits.ts";
import { eventStoreConformance } from "../../testing/mod.ts";
import { copyData, copyMetadata } from "../../validate.ts";
import { ON_DENO_ONLY } from "../support/once.ts";
import { connectedTo } from "../support/servers.ts";

const ACTOR_TYPES = [
  ...new Set([...HOSTILE_IDS.map(actorTypeOf), "account", "order", "other", "counter", "a", "b", "c", "x"]),
  // Asked for, and of no actor.
  ...["none", "ord", "x".repeat(9_000), "\ud800"],
];

/** Lets everything through, so that whatever the suite finds is the view's doing. */
const permissive: EventCatalogue = {
  actorTypes: ACTOR_TYPES,
  eventTypes: [],
  includes: (_event): _event is Event => true,
  encode: (event) => event,
  decode: (event) => event,
  storedTypes: (eventTypes) => eventTypes,
};

/** The same, a while later. */
const later: EventCatalogue = {
  ...permissive,
  async encode(event) {
    const { data, metadata } = event;
    const copy = { ...event, data: copyData(data) };
    const own = copyMetadata(metadata);
    await Promise.resolve();
    return own === undefined ? copy : { ...copy, metadata: own };
  },
  decode: (event) => Promise.resolve(event),
};

describe("a typed view of the store in memory keeps every promise of a store", () => {
  const open = (namespace: string): InMemoryEventStore => new InMemoryEventStore({ namespace });
  for (const { name, run } of eventStoreConformance((namespace) => typed(open(namespace), permissive))) it(name, run);
});

describe("and where schemas answer later", () => {
  const open = (namespace: string): InMemoryEventStore => new InMemoryEventStore({ namespace });
  for (const { name, run } of eventStoreConformance((namespace) => typed(open(namespace), later))) it(name, run);
});

// The views themselves run everywhere, in memory.
const view = "a typed view of a typed view of the store on JetStream keeps every promise of a store";
describe(view, { skip: ON_DENO_ONLY }, () => {
  const connection = connectedTo();
  const open = async (namespace: string): Promise<EventStore> => {
    return typed(typed(await JetStreamEventStore.open(connection(), { namespace }), later), permissive);
  };
  for (const { name, run } of eventStoreConformance(open, { shared: true })) it(name, run);
});
