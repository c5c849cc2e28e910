import { InvalidArgumentError } from "../errors.ts";
import type { EventBus } from "../bus/event_bus.ts";
import type { EventStore } from "../store/event_store.ts";
import { Catalogues } from "./catalogues.ts";
import type { EventCatalogue, EventOf } from "./event_catalogue.ts";
import { TypedBus } from "./typed_bus.ts";
import { TypedStore } from "./typed_store.ts";

/**
 * The same store, typed, validated and upcast by the catalogues: an actor's id says which of them is meant. `readAll` and
 * `listActors` give only their actor types; an id of any other is INVALID_ARGUMENT (`actorId`), before anything is sent.
 *
 * What does not fit its schema is SCHEMA, on writing and on reading; `readAll` tells `onUndecodable` of it, where there is
 * one, and goes on. An event that is skipped (`unknown: "skip"`) leaves no hole: `readActor` gives its commit without it,
 * `readAll` no commit that is left without events. `limit` and `last` count what is stored. Disposing of the view
 * disposes of the store.
 *
 * @throws {InvalidArgumentError} without a catalogue, and if two describe one actor type
 */
export function typed<const C extends readonly EventCatalogue[]>(
  store: EventStore,
  ...catalogues: C
): EventStore<EventOf<C[number]>>;
/**
 * The same bus, typed, validated and upcast by the catalogues; subscriptions give only events of their actor types. A
 * subscription tells `onUndecodable` of what does not fit its schema, and goes on. Disposing of the view disposes of the
 * bus.
 *
 * @throws {InvalidArgumentError} without a catalogue, and if two describe one actor type
 */
export function typed<const C extends readonly EventCatalogue[]>(
  bus: EventBus,
  ...catalogues: C
): EventBus<EventOf<C[number]>>;
export function typed(storeOrBus: EventStore | EventBus, ...catalogues: readonly EventCatalogue[]): unknown {
  const { append, subscribe } = (storeOrBus ?? {}) as Partial<EventStore & EventBus>;
  if (typeof append !== "function" && typeof subscribe !== "function") {
    throw new InvalidArgumentError(
      { argument: "storeOrBus" },
      "The first argument of typed is an event store or an event bus, the others are catalogues: typed(store, Order, …)",
    );
  }
  const known = new Catalogues(catalogues);
  return "append" in storeOrBus ? new TypedStore(storeOrBus, known) : new TypedBus(storeOrBus, known);
}
