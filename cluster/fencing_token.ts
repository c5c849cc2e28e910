import { InvalidArgumentError } from "../errors.ts";
import { shown } from "../shown.ts";

/**
 * For a resource that knows nothing of the cluster, and keeps the highest token that it has seen: whether it may take
 * what comes with this one. A leader's `token` and a shard's `fence.epoch` only grow, so what comes with a lower one was
 * sent by an owner of before, who does not know it yet. Whoever takes it has to keep the token in the same transaction.
 *
 * @example
 * ```ts
 * import { isCurrentToken } from "@aether/aether";
 *
 * let highest: number | undefined;
 * for (const token of [7, 7, 9, 8]) {
 *   const isCurrent = isCurrentToken(token, highest);
 *   if (isCurrent) highest = token;
 *   console.log(token, isCurrent); // 8 is refused
 * }
 * ```
 *
 * @throws {InvalidArgumentError} if one is no token
 */
export function isCurrentToken(token: number, highest: number | undefined): boolean {
  for (const [argument, value] of Object.entries({ token, highest: highest ?? 0 })) {
    if (Number.isSafeInteger(value) && value >= 0) continue;
    throw new InvalidArgumentError(
      { argument },
      `${argument} is a fencing token, an integer from 0, not ${shown(value)}`,
    );
  }
  return highest === undefined || token >= highest;
}
