import { actorTypeOf } from "../actor_id.ts";
import { InvalidArgumentError } from "../errors.ts";
import type { Event, EventsFor, NewEvent } from "../event.ts";
import type {
  Abortable,
  AppendOptions,
  AppendResult,
  Commit,
  CommitRequest,
  DeleteOptions,
  EventStore,
  ListedActor,
  ListOptions,
  ReadActorOptions,
  ReadAllOptions,
  ReadOptions,
  SaveOptions,
  TransactOptions,
  VersionOptions,
} from "../store/event_store.ts";
import { READ_ALL } from "../store/option_names.ts";
import { checkOptionNames } from "../options.ts";
import { copyMetadata, rejectEvent } from "../validate.ts";
import { setBaseStore, viewOf } from "./base_store.ts";
import type { Catalogues } from "./catalogues.ts";
import { Mapped } from "./mapped.ts";
import { chain, isPromise, mapAll, type MaybePromise } from "./maybe_promise.ts";
import { withoutSchemaVersion } from "./schema_version.ts";
import { Turns } from "./turns.ts";
import { ViewFilter } from "./view_filter.ts";

/** A store seen through catalogues. */
export class TypedStore implements EventStore {
  readonly #store: EventStore;
  readonly #catalogues: Catalogues;
  readonly #turns = new Turns();

  constructor(store: EventStore, catalogues: Catalogues) {
    this.#store = store;
    this.#catalogues = catalogues;
    setBaseStore(this, store);
  }

  get namespace(): string {
    return this.#store.namespace;
  }

  get shards(): number {
    return this.#store.shards;
  }

  position(options?: Abortable): Promise<number> {
    return this.#store.position(options);
  }

  saveEvent(event: Event, options?: SaveOptions): Promise<AppendResult> {
    try {
      if (typeof event !== "object" || event === null) rejectEvent("event", "must be an object");
      const own = { ...event }; // once: a getter may change its mind
      const held = copyOf(options);
      return this.#turns.take(
        [own.actorId],
        () => this.#catalogues.encodeWhole(own),
        (encoded) => this.#result(this.#store.saveEvent(encoded, held)),
        held?.signal,
      );
    } catch (error) {
      return Promise.reject(error);
    }
  }

  append<const Id extends string>(
    actorId: Id,
    events: readonly NewEvent<EventsFor<Event, Id>>[],
    options?: AppendOptions,
  ): Promise<AppendResult<EventsFor<Event, Id>>> {
    try {
      const own = asGiven(options);
      return this.#turns.take(
        [actorId],
        () => this.#catalogues.encode(actorId, events),
        (encoded) => this.#result(this.#store.append(actorId, encoded as never, own)),
        own?.signal,
      ) as Promise<never>;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  transact<const Ids extends readonly string[]>(
    commits: { readonly [I in keyof Ids]: CommitRequest<Event, Ids[I]> },
    options?: TransactOptions,
  ): Promise<{ readonly [I in keyof Ids]: AppendResult<EventsFor<Event, Ids[I]>> }> {
    try {
      const requests = requestsOf(commits);
      const own = asGiven(options);
      return this.#turns.take(
        requests.map(({ actorId }) => actorId),
        () => this.#encodeAll(requests),
        async (encoded) => {
          const results: AppendResult[] = [];
          for (const result of await this.#store.transact(encoded, own)) {
            const seen = this.#seen(result);
            results.push(isPromise(seen) ? await seen : seen);
          }
          return results;
        },
        own?.signal,
      ) as Promise<never>;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async getEvents<const Id extends string>(
    actorId: Id,
    fromVersion?: number,
    options?: ReadOptions,
  ): Promise<EventsFor<Event, Id>[]> {
    this.#catalogues.of(actorId);
    const events = await this.#store.getEvents<string>(actorId, fromVersion, options);
    return this.#catalogues.decode(actorId, events) as never;
  }

  readActor<const Id extends string>(
    actorId: Id,
    options?: ReadActorOptions,
  ): AsyncIterable<Commit<EventsFor<Event, Id>>> {
    return new Mapped(
      () => (this.#catalogues.of(actorId), this.#store.readActor<string>(actorId, options)),
      (commit) => this.#decoded(commit),
    ) as AsyncIterable<never>;
  }

  async getLatestVersion(actorId: string, options?: VersionOptions): Promise<number> {
    this.#catalogues.of(actorId);
    return await this.#store.getLatestVersion(actorId, options);
  }

  readAll<const Types extends string = string, const ActorTypes extends string = string>(
    options: ReadAllOptions<Event, Types, ActorTypes> = {},
  ): AsyncIterable<never> {
    let filter: ViewFilter;
    return new Mapped(
      () => {
        const wanted = options as ReadAllOptions<Event, string, string>;
        checkOptionNames("readAll", wanted, READ_ALL);
        filter = new ViewFilter(this.#catalogues, wanted, wanted.onUndecodable);
        this.#catalogues.checkActorTypes("actorTypes", wanted.actorTypes ?? []);
        this.#catalogues.checkEventTypes(wanted.eventTypes ?? []);
        return this.#store.readAll<string, string>({ ...wanted, ...filter.behind });
      },
      (commit: Commit) =>
        chain(this.#catalogues.decode(commit.actorId, commit.events, filter), (events) => {
          return events.length > 0 || commit.deleted ? viewOf(commit, events) : undefined;
        }),
    ) as AsyncIterable<never>;
  }

  listActors(options: ListOptions<Event> = {}): AsyncIterable<ListedActor> {
    const [only, ...others] = this.#catalogues.actorTypes;
    const one = options.actorType === undefined && only !== undefined && others.length === 0;
    return new Mapped(
      () => {
        const { actorType } = options;
        if (actorType !== undefined) this.#catalogues.checkActorTypes("actorType", [actorType]);
        return this.#store.listActors(one ? { ...options, actorType: only } : options);
      },
      (actor) => this.#catalogues.ofType(actorTypeOf(actor.actorId)) && actor,
    );
  }

  deleteActor(actorId: string, options?: DeleteOptions): Promise<Commit<never>> {
    const held = copyOf(options);
    return this.#turns.take(
      [actorId],
      () => this.#catalogues.of(actorId),
      () => this.#store.deleteActor(actorId, held),
      held?.signal,
    );
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#store[Symbol.asyncDispose]();
  }

  #encodeAll(requests: readonly CommitRequest<Event, string>[]): MaybePromise<CommitRequest<Event, string>[]> {
    return mapAll(requests, (request) => {
      const events = this.#catalogues.encode(request.actorId, request.events);
      return chain(events, (events) => ({ ...request, events }));
    });
  }

  async #result(answer: Promise<AppendResult>): Promise<AppendResult> {
    return await this.#seen(await answer);
  }

  /** What was there already may be of an older version; what was written now is as it was encoded. */
  #seen(result: AppendResult): MaybePromise<AppendResult> {
    return result.duplicate ? this.#decoded(result) : result;
  }

  #decoded<C extends Commit>(commit: C): MaybePromise<C> {
    return chain(this.#catalogues.decode(commit.actorId, commit.events), (events) => viewOf(commit, events));
  }
}

/** Read once: a getter may change its mind. */
function requestsOf(commits: unknown): CommitRequest<Event, string>[] {
  if (!Array.isArray(commits)) throw new InvalidArgumentError({ argument: "commits" }, "commits is an array");
  return commits.map((commit: CommitRequest<Event, string> | null, index) => {
    const request = typeof commit === "object" && commit !== null ? { ...commit } : undefined;
    if (Array.isArray(request?.events)) return request as CommitRequest<Event, string>;
    throw new InvalidArgumentError({ argument: `commits[${index}]` }, "A commit has an actorId and an array of events");
  });
}

/** As they are at the call. Shared metadata says nothing of any event's schema. */
function asGiven<O extends AppendOptions | TransactOptions>(options: O | undefined): O | undefined {
  const copy = copyOf(options);
  if (copy?.metadata === undefined) return copy;
  return { ...copy, metadata: withoutSchemaVersion(copyMetadata(copy.metadata)) };
}

/** What are no options is left to the store, which refuses it. */
function copyOf<O extends object>(options: O | undefined): O | undefined {
  return typeof options === "object" && options !== null ? { ...options } : options;
}
