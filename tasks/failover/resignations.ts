/** Candidates in processes of their own, who resign in turn. */
import type { FleetNode } from "../../tests/cluster/fleet.ts";
import { until } from "../../tests/support/jetstream.ts";
import type { Bar, Figures } from "./figures.ts";
import type { Scene } from "./scene.ts";

const RESIGN: readonly Bar[] = [{ of: "p99", most: 50 }];

/** From the call of `resign` until the work of another leader begins. */
export async function resignations({ fleet, where }: Scene, figures: Figures, count: number): Promise<void> {
  const candidates = await Promise.all(
    ["x", "y", "z"].map((nodeId) => fleet.start(nodeId, undefined, { election: "resign" })),
  );
  for (const node of candidates) node.isGone = true; // they own no shards
  await Promise.all(candidates.map((node) => node.ready()));
  const begun = (): { node: FleetNode; at: number; token: number }[] =>
    candidates.flatMap((node) => node.child.said.flatMap((said) => said.kind === "leading" ? [{ node, ...said }] : []));
  for (let round = 1; round <= count; round++) {
    await until(() => begun().length === round, 30);
    const { node } = begun().reduce((one, other) => one.token > other.token ? one : other);
    const { began } = await node.resign();
    await until(() => begun().length === round + 1, 30);
    const next = begun().reduce((one, other) => one.token > other.token ? one : other);
    figures.add("resign → new leader", where, "ms", RESIGN, [next.at - began]);
  }
  await Promise.all(candidates.map((node) => node.leave()));
}
