/** The few records by which the nodes of a namespace agree. Compare-and-set alone decides; all else is a hint. */

/** A record as it was stored. */
export interface Entry {
  readonly key: string;
  /** Greater with each write to the bucket. */
  readonly revision: number;
  /** JSON. */
  readonly value: unknown;
  /** ISO 8601, by the server's clock; absent where it was not read. */
  readonly storedAt?: string | undefined;
}

/** What became of a write. */
export type Written =
  | { readonly kind: "stored"; readonly revision: number }
  /** Another write was there; `revision` is that of the record where the server said it. */
  | { readonly kind: "conflict"; readonly revision: number | undefined }
  /** No answer: it is stored, or not, or will be. */
  | { readonly kind: "unknown" };

/** One life of a bucket: what deletes it and makes it anew ends it. */
export interface Bucket {
  /** When it was made, in milliseconds since 1970: its identity, and a part of every key. */
  readonly created: number;
  /** Writes a record if its revision is still this one; 0: if there is none. */
  write(key: string, value: unknown, revision: number): Promise<Written>;
  /** What the leader of its stream has; `"none"`: nothing; undefined: no answer. */
  read(key: string): Promise<Entry | "none" | undefined>;
  /** What some replica has, which may lag behind; undefined: no answer. */
  readAll(): Promise<readonly Entry[] | undefined>;
  /** Removes a record that has this revision still; true if it is certainly gone. */
  remove(entry: Entry): Promise<boolean>;
}

/** Says that a record was written. Lost, late or twice: it is a hint. */
export interface Nudge {
  /** When the bucket was made: what is said of another life of it means nothing. */
  readonly created: number;
  readonly key: string;
  readonly revision: number;
  /** Nothing but the renewal of a lease: the sign of life itself. */
  readonly renewal: boolean;
}

/** Tells the other nodes at once. */
export interface Nudges {
  send(nudge: Nudge): void;
  /** Until it is disposed. */
  receive(listener: (nudge: Nudge) => void): Disposable;
}
