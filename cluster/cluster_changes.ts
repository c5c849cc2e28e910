import type { MemberChange } from "./discovery.ts";
import type { ClusterNode } from "./node.ts";
import type { ShardChange } from "./ownership.ts";

/** Milliseconds between two looks. */
const LOOK = 250;

/** What happened in the cluster, as this node learnt it. */
export type ClusterEvent =
  | MemberChange
  | { readonly type: "leaderElected" | "leaderLost"; readonly nodeId: string; readonly token: number }
  /** This node's own. */
  | ShardChange
  /** Whether the store takes this node's writes. */
  | { readonly type: "storeUnavailable" | "storeRecovered" };

/** Gathers what happens into one stream of changes. */
export class ClusterChanges implements Disposable {
  readonly #node: ClusterNode;
  readonly #listeners = new Set<(change: ClusterEvent) => void>();
  readonly #sources: Disposable[];
  #leader: { readonly nodeId: string; readonly token: number } | undefined;
  #isAway = false;

  constructor(node: ClusterNode) {
    const say = (change: ClusterEvent): void => this.#say(change);
    this.#node = node;
    this.#sources = [
      node.discovery.onChange(say),
      node.distribution.onChange(say),
      node.discovery.each(async ({ view }, signal) => {
        while (!signal.aborted) {
          this.#look();
          await view.change((key) => key.startsWith("leader."), LOOK, signal);
        }
      }),
    ];
  }

  /** Calls back with each change, until it is disposed. */
  listen(listener: (change: ClusterEvent) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: (): void => void this.#listeners.delete(listener) };
  }

  [Symbol.dispose](): void {
    for (const source of this.#sources) source[Symbol.dispose]();
    this.#listeners.clear();
  }

  #look(): void {
    const { discovery, election } = this.#node;
    const [before, now] = [this.#leader, election.leader];
    if (before !== undefined && before.token !== now?.token) this.#say({ type: "leaderLost", ...factsOf(before) });
    if (now !== undefined && before?.token !== now.token) this.#say({ type: "leaderElected", ...factsOf(now) });
    this.#leader = now;
    const isAway = discovery.presence?.lease.isSteady() === false;
    if (isAway !== this.#isAway) this.#say({ type: isAway ? "storeUnavailable" : "storeRecovered" });
    this.#isAway = isAway;
  }

  #say(change: ClusterEvent): void {
    for (const listener of this.#listeners) listener(change);
  }
}

function factsOf(
  { nodeId, token }: { readonly nodeId: string; readonly token: number },
): { nodeId: string; token: number } {
  return { nodeId, token };
}
