/** What an import has read: its pieces in the order of the input, and what became of them. */
import { InvalidArgumentError } from "../errors.ts";
import { copyEvent, type Event } from "../event.ts";
import type { Commit } from "./event_store.ts";

/** Pieces between the oldest that is not settled and the last that was read. */
const PIECES = 1_024;
/** The same in bytes of JSON. */
const BYTES = 16 * 1_048_576;

/** How far an import has got. The counts are of events; `read` is the sum of the others when it has ended well. */
export interface ImportProgress<out E extends Event = Event> {
  /** Taken from the input. */
  readonly read: number;
  /** Stored by this import. */
  readonly stored: number;
  /** Were there already. */
  readonly duplicates: number;
  /** Of actors that were deleted in the store: not brought back. */
  readonly erased: number;
  /** The item of the input up to which, inclusive, everything is settled: another import may begin behind it. */
  readonly upTo?: E | Commit<E>;
  /** The item of the input that could not be stored, once that has ended the import. */
  readonly failed?: E | Commit<E>;
}

/** An event on its way, or the deletion of an actor. */
export interface Piece {
  readonly actorId: string;
  /** Undefined: the deletion. */
  readonly event: Event | undefined;
  /** Of the event's JSON and a comma. */
  readonly bytes: number;
  /** The commit that it is of; undefined for an event on its own. */
  readonly commit: Commit | undefined;
  /** The item of the input that it comes from. */
  readonly item: Event | Commit;
  /** The last of that item. */
  readonly last: boolean;
  settled: boolean;
}

/** The pieces from the first that is not settled to the last that was read: bounded, whatever the length of the input. */
export class ImportWindow {
  readonly #pieces: Piece[] = [];
  #bytes = 0;
  readonly #counts = { read: 0, stored: 0, duplicates: 0, erased: 0 };
  #upTo: Event | Commit | undefined;
  #failed: Event | Commit | undefined;

  get progress(): ImportProgress {
    return {
      ...this.#counts,
      ...(this.#upTo && { upTo: this.#upTo }),
      ...(this.#failed && { failed: this.#failed }),
    };
  }

  /** Whether this part of it is in use, from 0 to 1. Until the first item is settled, that one fills it. */
  fills(part: number): boolean {
    const most = this.#upTo === undefined ? 1 : PIECES;
    return this.#pieces.length >= part * most || this.#bytes >= part * BYTES;
  }

  add(piece: Piece): void {
    this.#pieces.push(piece);
    this.#bytes += piece.bytes;
    if (piece.event) this.#counts.read++;
  }

  settle(pieces: readonly Piece[], outcome?: "stored" | "duplicates" | "erased"): void {
    for (const piece of pieces) piece.settled = true;
    if (outcome) this.#counts[outcome] += pieces.length;
    while (this.#pieces[0]?.settled) {
      const { bytes, item, last } = this.#pieces.shift() as Piece;
      this.#bytes -= bytes;
      if (last) this.#upTo = item;
    }
  }

  fail({ item }: Piece): void {
    this.#failed = item;
  }
}

const utf8 = new TextEncoder();

/** An item of the input, checked and copied. */
export function piecesOf(item: Event | Commit): Piece[] {
  if (typeof item !== "object" || item === null || !("events" in item)) return [pieceOf(item, item, true)];
  const { actorId, events, deleted } = item;
  if (deleted) return [{ actorId, event: undefined, bytes: 0, commit: item, item, last: true, settled: false }];
  return events.map((event, index) => {
    const piece = pieceOf(event, item, index === events.length - 1, item);
    if (piece.actorId === actorId) return piece;
    throw new InvalidArgumentError({ argument: "items" }, `A commit of ${actorId} has an event of ${piece.actorId}`);
  });
}

function pieceOf(original: Event, item: Event | Commit, last: boolean, commit?: Commit): Piece {
  const event = copyEvent(original);
  const bytes = utf8.encode(JSON.stringify(event)).length + 1;
  return { actorId: event.actorId, event, bytes, commit, item, last, settled: false };
}
