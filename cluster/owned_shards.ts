/** The shards that a node may act on: asked anew at each call, so that it is never behind. */
export class OwnedShards implements ReadonlySet<number> {
  readonly #owned: () => readonly number[];

  constructor(owned: () => readonly number[]) {
    this.#owned = owned;
  }

  get size(): number {
    return this.#owned().length;
  }

  has(shard: number): boolean {
    return this.#owned().includes(shard);
  }

  forEach(callback: (shard: number, same: number, set: ReadonlySet<number>) => void, thisArg?: unknown): void {
    for (const shard of this.#owned()) callback.call(thisArg, shard, shard, this);
  }

  entries(): SetIterator<[number, number]> {
    return this.#now().entries();
  }

  keys(): SetIterator<number> {
    return this.#now().keys();
  }

  values(): SetIterator<number> {
    return this.#now().values();
  }

  [Symbol.iterator](): SetIterator<number> {
    return this.#now().values();
  }

  union<T>(other: ReadonlySetLike<T>): Set<number | T> {
    return this.#now().union(other);
  }

  intersection<T>(other: ReadonlySetLike<T>): Set<number & T> {
    return this.#now().intersection(other);
  }

  difference<T>(other: ReadonlySetLike<T>): Set<number> {
    return this.#now().difference(other);
  }

  symmetricDifference<T>(other: ReadonlySetLike<T>): Set<number | T> {
    return this.#now().symmetricDifference(other);
  }

  isSubsetOf(other: ReadonlySetLike<unknown>): boolean {
    return this.#now().isSubsetOf(other);
  }

  isSupersetOf(other: ReadonlySetLike<unknown>): boolean {
    return this.#now().isSupersetOf(other);
  }

  isDisjointFrom(other: ReadonlySetLike<unknown>): boolean {
    return this.#now().isDisjointFrom(other);
  }

  #now(): Set<number> {
    return new Set(this.#owned());
  }
}
