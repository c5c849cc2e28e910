import { isAetherError } from "../errors.ts";
import type { Clock } from "./clock.ts";

/** Milliseconds before work that failed starts again. */
const PAUSE = 1_000;

/** A time in which work is to be done: until the signal aborts. */
export interface Shift {
  readonly signal: AbortSignal;
}

/** Work that is done in every shift; a shift ends only after it has returned. */
export type Work<S extends Shift> = (shift: S) => Promise<void> | void;

/** What a crew needs. */
export interface CrewOptions<S extends Shift> {
  readonly clock: Clock;
  /** Told of what work fails with, but for the end of a shift. */
  onError(error: unknown, shift: S): void;
}

/** One kind of work, and where it is done. */
class Post<S extends Shift> {
  readonly work: Work<S>;
  readonly over = new AbortController();
  readonly running = new Set<Promise<void>>();

  constructor(work: Work<S>) {
    this.work = work;
  }
}

/** Work of several kinds, each of it done in every shift. */
export class Crew<S extends Shift> {
  readonly #options: CrewOptions<S>;
  readonly #posts = new Set<Post<S>>();
  readonly #shifts = new Map<S, Set<Promise<void>>>();

  constructor(options: CrewOptions<S>) {
    this.#options = options;
  }

  /** How many kinds of work there are. */
  get size(): number {
    return this.#posts.size;
  }

  /** From now on, also in the shifts that are under way. Disposing it aborts its signals and waits until it has returned. */
  add(work: Work<S>): AsyncDisposable {
    const post = new Post(work);
    this.#posts.add(post);
    for (const [shift, running] of this.#shifts) this.#start(post, shift, running);
    return {
      [Symbol.asyncDispose]: async (): Promise<void> => {
        this.#posts.delete(post);
        post.over.abort();
        await settled(post.running);
      },
    };
  }

  /** Ends all work that there is, and waits until it has returned. */
  async disband(): Promise<void> {
    const posts = [...this.#posts];
    this.#posts.clear();
    for (const { over } of posts) over.abort();
    await Promise.all(posts.map(({ running }) => settled(running)));
  }

  /** Does all work until the signal of the shift aborts and all has returned. */
  async run(shift: S): Promise<void> {
    const running = new Set<Promise<void>>();
    this.#shifts.set(shift, running);
    for (const post of this.#posts) this.#start(post, shift, running);
    await aborted(shift.signal);
    this.#shifts.delete(shift);
    await settled(running);
  }

  #start(post: Post<S>, shift: S, running: Set<Promise<void>>): void {
    const done: Promise<void> = this.#work(post, shift).finally(() => {
      running.delete(done);
      post.running.delete(done);
    });
    running.add(done);
    post.running.add(done);
  }

  /** What fails is reported and starts again. */
  async #work({ work, over }: Post<S>, shift: S): Promise<void> {
    const own = new AbortController();
    const end = (): void => own.abort(shift.signal.reason);
    const dismiss = (): void => own.abort(over.signal.reason);
    if (shift.signal.aborted) return;
    shift.signal.addEventListener("abort", end);
    over.signal.addEventListener("abort", dismiss);
    try {
      while (!own.signal.aborted) {
        try {
          return await work({ ...shift, signal: own.signal });
        } catch (error) {
          if (hasReturned(error, own.signal)) return;
          this.#options.onError(error, shift);
          await this.#options.clock.sleep(PAUSE, own.signal);
        }
      }
    } finally {
      shift.signal.removeEventListener("abort", end);
      over.signal.removeEventListener("abort", dismiss);
    }
  }
}

/** Whether work that rejected only says that its time was over. */
export function hasReturned(error: unknown, signal: AbortSignal): boolean {
  if (!signal.aborted) return false;
  return error === signal.reason || error instanceof Error && error.name === "AbortError" ||
    isAetherError(error, "LEADERSHIP_LOST") || isAetherError(error, "FENCED");
}

/** Resolves once the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

async function settled(running: ReadonlySet<Promise<void>>): Promise<void> {
  while (running.size > 0) await Promise.all(running);
}
