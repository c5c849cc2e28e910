/** What all conformance suites do alike: a namespace for each promise, and what was opened is closed. */

/** One rule of a contract, for any test runner. */
export interface ConformanceCase {
  /** The promise. */
  readonly name: string;
  /** Rejects if it is broken. */
  run(): Promise<void>;
}

/** Waits for what is opened for a case, and closes it behind the case, if it can be closed. */
export type Keep = <T extends Partial<AsyncDisposable>>(opening: T | Promise<T>) => Promise<T>;

/** A case for each promise, whose scene is set in a namespace of its own. */
export function casesOf<Scene>(
  promises: Readonly<Record<string, (scene: Scene) => Promise<void>>>,
  sceneOf: (namespace: string, keep: Keep) => Promise<Scene>,
): ConformanceCase[] {
  const run = crypto.randomUUID().slice(0, 8);
  return Object.entries(promises).map(([name, holds], index) => ({
    name,
    async run(): Promise<void> {
      const opened: Partial<AsyncDisposable>[] = [];
      const keep: Keep = async (opening) => {
        const thing = await opening;
        opened.push(thing);
        return thing;
      };
      try {
        await holds(await sceneOf(`conformance-${run}-${index}`, keep));
      } finally {
        for (const thing of opened.toReversed()) await thing[Symbol.asyncDispose]?.();
      }
    },
  }));
}
