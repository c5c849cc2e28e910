/** Imports: events from elsewhere, as they are. Goes with any store. */
import { isAetherError } from "../errors.ts";
import type { Event } from "../event.ts";
import { checkOptionNames, namesOf } from "../options.ts";
import type { Abortable, Commit, EventStore } from "./event_store.ts";
import { type ImportProgress, ImportWindow, type Piece, piecesOf } from "./import_window.ts";
import { StoredIds } from "./stored_ids.ts";

/** Bytes of single events that go into one commit: what a store on JetStream puts into one message. */
const COMMIT_BYTES = 16_384;
/** Of a write: what it goes by may be old, and what it then reads may be overtaken once, by another import. */
const ATTEMPTS = 3;
/** Milliseconds between two reports. */
const REPORT = 100;

/** Options of `importEvents`. */
export interface ImportOptions<E extends Event = Event> extends Abortable {
  /**
   * Called up to ten times a second, and at the end: also before an import rejects, when nothing is under way any more,
   * so that what it says is certain.
   */
  readonly onProgress?: ((progress: ImportProgress<E>) => void) | undefined;
}

const NAMES = namesOf<ImportOptions>({ onProgress: true, signal: true });

/**
 * Stores events as they are, for migrations, restores, copies: ids, versions, timestamps and metadata stay. The input
 * has the events of each actor in the order of their versions, which may have gaps. It is read as fast as it is stored.
 * Actors are written side by side, so that an event may be stored up to some 1,000 places from where it stood among those
 * of other actors.
 *
 * Repeated with the same input it stores nothing twice: an import that ended early, however it ended, is repeated to go
 * on. An event that is not stored and cannot be, since another one of its version or a later one is there, ends it with
 * VERSION_CONFLICT. An actor that was deleted in the store stays so: its events up to the last version are left out, and
 * counted; a later one is ACTOR_DELETED.
 *
 * A copy of a namespace is `importEvents(copy, source.readAll())`. Its commits stay together, but for an event behind a
 * gap, which becomes a commit of its own; single events of one actor may be put into one commit. A deletion is carried
 * over to an actor that the store has, unless it has a later version. Positions and `storedAt` are the copy's own:
 * checkpoints of the source do not fit it. What a transaction wrote to several actors is no longer one.
 *
 * Aborting ends the reading, waits for the writes that are under way, and rejects with the reason.
 *
 * @example
 * ```ts
 * import { createEvent, importEvents, InMemoryEventStore } from "@aether/aether";
 *
 * const placed = { eventType: "OrderPlaced", version: 1, data: { total: 42 } };
 * const events = [
 *   createEvent({ ...placed, actorId: "order-1", id: "placed-1", timestamp: "2019-05-31T12:00:00.000Z" }),
 *   createEvent({ ...placed, actorId: "order-2", id: "placed-2", timestamp: "2019-05-31T12:00:01.000Z" }),
 * ];
 * const store = new InMemoryEventStore();
 * console.log((await importEvents(store, events)).stored); // 2
 * console.log((await importEvents(store, events)).duplicates); // 2
 * ```
 *
 * @throws what `saveEvent` throws, and what the input does
 */
export async function importEvents<E extends Event>(
  store: EventStore<E>,
  items: Iterable<NoInfer<E | Commit<E>>> | AsyncIterable<NoInfer<E | Commit<E>>>,
  options: ImportOptions<E> = {},
): Promise<ImportProgress<E>> {
  checkOptionNames("importEvents", options, NAMES);
  const { signal } = options;
  signal?.throwIfAborted();
  const run = new Import(store, options as ImportOptions);
  const abort = (): void => run.fail(signal?.reason);
  signal?.addEventListener("abort", abort);
  try {
    return await run.all(items) as ImportProgress<E>;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** One import. Actors are written side by side, the pieces of one actor one after another. */
class Import {
  readonly #store: EventStore;
  readonly #options: ImportOptions;
  readonly #stored: StoredIds;
  readonly #window = new ImportWindow();
  /** By actor: the pieces that are not settled. */
  readonly #lanes = new Map<string, Piece[]>();
  /** The lanes that are not worked at yet. */
  readonly #waiting: Piece[][] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Whether the last event was there already, as the first may be: then the next is looked for before it is written. */
  #repeating = true;
  readonly #failed = Promise.withResolvers<never>();
  #over = false;
  /** While the input is asked for an item, which may never come. */
  #asking = true;
  #wake = (): void => {};
  #reported = -Infinity;

  constructor(store: EventStore, options: ImportOptions) {
    this.#store = store;
    this.#options = options;
    this.#stored = new StoredIds(store);
  }

  async all(items: Iterable<Event | Commit> | AsyncIterable<Event | Commit>): Promise<ImportProgress> {
    const reading = this.#read(items);
    try {
      await Promise.race([reading, this.#failed.promise]);
    } catch (error) {
      this.fail(error);
    }
    if (!this.#asking) await reading.catch(() => {}); // it closes the input
    this.#start();
    await this.#until(() => this.#lanes.size === 0);
    await this.#stored.stop();
    this.#report();
    if (this.#over) await this.#failed.promise;
    return this.#window.progress;
  }

  /** Nothing more is begun. The first error is the one that is thrown. */
  fail(error: unknown): void {
    this.#over = true;
    this.#failed.reject(error);
    this.#wake();
  }

  async #read(items: Iterable<Event | Commit> | AsyncIterable<Event | Commit>): Promise<void> {
    for await (const item of items) {
      this.#asking = false;
      if (this.#over) return;
      for (const piece of piecesOf(item)) this.#take(piece);
      if (this.#window.fills(1)) {
        this.#start();
        await this.#until(() => this.#over || !this.#window.fills(0.5));
      }
      if (this.#over) return;
      this.#asking = true;
    }
  }

  #take(piece: Piece): void {
    this.#window.add(piece);
    const lane = this.#lanes.get(piece.actorId);
    if (lane) return void lane.push(piece);
    const opened = [piece];
    this.#lanes.set(piece.actorId, opened);
    this.#waiting.push(opened);
    this.#timer ??= setTimeout(() => this.#start()); // the input may let them wait
  }

  /** Many at once: the client sends them in one piece, and what has come of one actor goes into one commit. */
  #start(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const lane of this.#waiting.splice(0)) void this.#run(lane);
  }

  async #run(lane: Piece[]): Promise<void> {
    const { actorId } = lane[0] as Piece;
    try {
      while (lane.length > 0 && !this.#over) await this.#advance(lane);
    } catch (error) {
      if (!this.#over && lane[0]) this.#window.fail(lane[0]);
      this.fail(error);
    }
    this.#lanes.delete(actorId);
    this.#wake();
  }

  /** Settles the first piece of a lane, and what goes into one commit with it. */
  async #advance(lane: Piece[]): Promise<void> {
    const [{ actorId, event, commit }] = lane as [Piece];
    if (event === undefined) {
      await this.#delete(commit as Commit);
      return this.#settle(lane.splice(0, 1));
    }
    for (let attempt = 1;; attempt++) {
      const looks = this.#repeating || this.#stored.has(actorId);
      const found = looks ? await this.#stored.find(event) : "none";
      if (found === "same" || found === "deleted") {
        this.#repeating = true;
        return this.#settle(lane.splice(0, 1), found === "same" ? "duplicates" : "erased");
      }
      try {
        const { written, duplicate } = await this.#write(event, lane);
        this.#repeating = duplicate;
        return this.#settle(lane.splice(0, written), duplicate ? "duplicates" : "stored");
      } catch (error) {
        const isOld = isAetherError(error, "VERSION_CONFLICT") || isAetherError(error, "ACTOR_DELETED");
        if (!isOld || found === "other" || attempt === ATTEMPTS) throw error;
        this.#stored.refresh(actorId);
      }
    }
  }

  /** Behind a gap only `saveEvent` keeps the version. */
  async #write(event: Event, lane: readonly Piece[]): Promise<{ written: number; duplicate: boolean }> {
    const { actorId, version } = event;
    const expectedVersion = version - 1;
    const latest = version === 1 ? 0 : await this.#store.getLatestVersion(actorId, { consistency: "cached" });
    if (latest !== expectedVersion) return { written: 1, duplicate: (await this.#store.saveEvent(event)).duplicate };
    const pack = packOf(lane);
    const { duplicate } = await this.#store.append(actorId, pack, { expectedVersion });
    return { written: pack.length, duplicate };
  }

  /** A filter may have left out the last events: a lower version is no difference, a higher one is. */
  async #delete({ actorId, version }: Commit): Promise<void> {
    const { signal } = this.#options; // an actor with a million events takes minutes
    const latest = await this.#store.getLatestVersion(actorId, { consistency: "leader" });
    await this.#store.deleteActor(actorId, { expectedVersion: Math.min(latest, version), ...(signal && { signal }) });
  }

  #settle(pieces: readonly Piece[], outcome?: "stored" | "duplicates" | "erased"): void {
    this.#window.settle(pieces, outcome);
    this.#wake();
    if (performance.now() - this.#reported >= REPORT) this.#report();
  }

  #report(): void {
    this.#reported = performance.now();
    this.#options.onProgress?.(this.#window.progress);
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }
}

/** What goes into one commit: the rest of one of the input, or single events; without a gap. */
function packOf(lane: readonly Piece[]): Event[] {
  const pack: Event[] = [];
  const ids = new Set<string>();
  let bytes = 1;
  for (const { event, bytes: more, commit } of lane) {
    const before = pack.at(-1);
    bytes += more;
    if (event === undefined || commit !== lane[0]?.commit || ids.has(event.id)) break;
    if (before && event.version !== before.version + 1) break;
    if (before && commit === undefined && bytes > COMMIT_BYTES) break;
    ids.add(event.id);
    pack.push(event);
  }
  return pack;
}
