/** Something that has an id and waits. */
export interface Waiting {
  readonly commandId: string;
}

/** The commands of one actor: a bounded queue, in which each id is found until it is done with. */
export class Mailbox<Task extends Waiting> {
  readonly #limit: number;
  readonly #waiting: Task[] = [];
  /** Those that wait, and the one that was taken last. */
  readonly #known = new Map<string, Task>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** How many wait. */
  get size(): number {
    return this.#waiting.length;
  }

  /** What waits or is under way with this id. */
  find(commandId: string): Task | undefined {
    return this.#known.get(commandId);
  }

  /** False if it is full. */
  put(task: Task): boolean {
    if (this.#waiting.length >= this.#limit) return false;
    this.#waiting.push(task);
    this.#known.set(task.commandId, task);
    return true;
  }

  /** The one that has waited for longest; undefined: none waits. */
  next(): Task | undefined {
    return this.#waiting.shift();
  }

  /** Its id is free again. */
  done(task: Task): void {
    if (this.#known.get(task.commandId) === task) this.#known.delete(task.commandId);
  }

  /** Takes out all that wait and are meant. */
  removeAll(isMeant: (task: Task) => boolean): Task[] {
    const removed = this.#waiting.filter(isMeant);
    const kept = this.#waiting.filter((task) => !isMeant(task));
    this.#waiting.splice(0, this.#waiting.length, ...kept);
    for (const task of removed) this.done(task);
    return removed;
  }
}
