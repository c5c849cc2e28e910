import { setImmediate } from "node:timers";

/** Something that happens at a moment of virtual time. */
export interface Task {
  readonly time: number;
  readonly order: number;
  /** Undefined: it was called off. */
  run: (() => void) | undefined;
}

// Taken before a simulation replaces the timers.
const turn = (resolve: () => void): void => void setImmediate(resolve);

/** Virtual time: what happens, happens in an order that depends on nothing but who asked for what. */
export class Scheduler {
  #now = 0;
  #count = 0;
  #isTouched = false;
  readonly #heap: Task[] = [];

  /** Milliseconds since the beginning. */
  get now(): number {
    return this.#now;
  }

  /** How many tasks were asked for. */
  get count(): number {
    return this.#count;
  }

  /** Runs something after so many milliseconds. */
  after(delay: number, run: () => void): Task {
    const task: Task = { time: this.#now + Math.max(0, delay), order: this.#count++, run };
    this.#push(task);
    return task;
  }

  /** Code of a node has run: what it awaits goes on before anything else happens. */
  touch(): void {
    this.#isTouched = true;
  }

  /** Until a moment; after each task in which a node's code has run `step` says whether to go on. */
  async run(end: number, step: () => boolean): Promise<void> {
    for (;;) {
      const task = this.#heap[0];
      if (task === undefined || task.time > end) break;
      this.#pop();
      if (task.run === undefined) continue;
      this.#now = task.time;
      task.run();
      if (!this.#isTouched) continue;
      this.#isTouched = false;
      await new Promise<void>(turn); // all microtasks run before
      if (!step()) return;
    }
    this.#now = end;
  }

  #push(task: Task): void {
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Task;
      if (isBefore(above, task)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = task;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Task;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Task, heap[child] as Task)) child++;
      if (isBefore(last, heap[child] as Task)) break;
      heap[at] = heap[child] as Task;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(one: Task, other: Task): boolean {
  return one.time < other.time || one.time === other.time && one.order < other.order;
}
