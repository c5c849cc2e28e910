/** A filter of a view, and what it means to the store or bus behind it. */
import type { SchemaError } from "../errors.ts";
import type { Event } from "../event.ts";
import type { EventFilter } from "../store/event_store.ts";
import { checkFilter } from "../store/filter.ts";
import type { Catalogues, Decoding } from "./catalogues.ts";
import type { EventCatalogue } from "./event_catalogue.ts";

/** A filter by the names of today. */
export class ViewFilter implements Decoding {
  /** By the names that are stored, of actors of the view only. */
  readonly behind: Pick<EventFilter<Event, string, string>, "eventTypes" | "actorTypes">;
  readonly onUndecodable: ((error: SchemaError) => void) | undefined;
  readonly #today: ReadonlySet<string> | undefined;
  readonly #stored = new Map<EventCatalogue, ReadonlySet<string>>();

  /**
   * @throws {InvalidArgumentError} for an actor of none of the catalogues, and for what is no array
   * @throws {InvalidActorIdError} if `actorId` is none
   */
  constructor(
    catalogues: Catalogues,
    filter: EventFilter<Event, string, string>,
    onUndecodable: ((error: SchemaError) => void) | undefined,
  ) {
    const { eventTypes, actorTypes, actorId } = filter;
    const checked = checkFilter({ eventTypes, actorTypes, actorId } as typeof filter, Infinity);
    if (actorId !== undefined) catalogues.of(actorId);
    const meant = catalogues.actorTypes.filter((actorType) => checked.actorTypes?.has(actorType) ?? true);
    this.onUndecodable = onUndecodable;
    this.#today = checked.eventTypes;
    if (eventTypes === undefined) {
      this.behind = { actorTypes: meant };
      return;
    }
    const stored = new Set<string>();
    for (const actorType of meant) {
      const catalogue = catalogues.ofType(actorType);
      if (catalogue === undefined || this.#stored.has(catalogue)) continue;
      const own = catalogue.storedTypes(eventTypes);
      this.#stored.set(catalogue, new Set(own));
      for (const eventType of own) stored.add(eventType);
    }
    this.behind = { actorTypes: meant, eventTypes: [...stored] };
  }

  wantsStored(catalogue: EventCatalogue, eventType: string): boolean {
    return this.#today === undefined || this.#stored.get(catalogue)?.has(eventType) === true;
  }

  wants(eventType: string): boolean {
    return this.#today?.has(eventType) ?? true;
  }
}
