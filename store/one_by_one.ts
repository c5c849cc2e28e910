/** Where the items come from. */
export interface Source<T> {
  readonly lists: AsyncGenerator<readonly T[], void, undefined>;
  /** Ends it between two items of a list too. */
  readonly signal: AbortSignal;
}

/**
 * The items of lists, one after another. An async generator would do the same at three times the price: here an item that
 * is there costs one promise.
 */
export class OneByOne<T> implements AsyncIterableIterator<T> {
  readonly #begin: () => Source<T>;
  #source: Source<T> | undefined;
  #list: readonly T[] = [];
  #next = 0;
  /** Calls that are not answered yet: each waits for the one before it. */
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();

  /** `begin` is called when the first item is asked for. */
  constructor(begin: () => Source<T>) {
    this.#begin = begin;
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#next < this.#list.length && this.#waiting === 0 && !this.#source?.signal.aborted) {
      return Promise.resolve({ done: false, value: this.#list[this.#next++] as T });
    }
    this.#waiting++;
    const answer = this.#last.then(() => this.#answer()).finally(() => this.#waiting--);
    this.#last = answer.catch(() => {});
    return answer;
  }

  async return(): Promise<IteratorResult<T>> {
    this.#list = [];
    await this.#source?.lists.return();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async #answer(): Promise<IteratorResult<T>> {
    const { lists, signal } = this.#source ??= this.#begin();
    if (this.#next < this.#list.length && signal.aborted) {
      this.#list = [];
      await lists.throw(signal.reason);
    }
    while (this.#next >= this.#list.length) {
      const { done, value } = await lists.next();
      if (done) return { done, value };
      this.#list = value;
      this.#next = 0;
    }
    return { done: false, value: this.#list[this.#next++] as T };
  }
}
