/** Ownership of a shard, as `cluster/` hands it out and a store checks it. */
import { FencedError, InvalidArgumentError } from "../errors.ts";

/** Ownership of a shard: writes that carry it are refused once another node has taken the shard over. */
export interface Fence {
  /** Which shard. */
  readonly shard: number;
  /** False: the epoch is written and the epoch rule holds. True: the store also checks the shard's fence with the write. */
  readonly checked: boolean;
  /** The stream sequence of the fence message that its owner wrote. */
  readonly epoch: number;
}

/**
 * The fence of a shard among those that were given; undefined if none was given at all.
 * @throws {InvalidArgumentError} if others were given but not this shard's, or one is no fence
 */
export function fenceOf(shard: number, fences: Fence | readonly Fence[] | undefined): Fence | undefined {
  if (fences === undefined) return undefined;
  const list: readonly Fence[] = Array.isArray(fences) ? fences : [fences];
  for (const { epoch } of list) {
    if (!Number.isSafeInteger(epoch) || epoch < 1) {
      throw new InvalidArgumentError({ argument: "fence" }, `A fence's epoch is a stream sequence, not ${epoch}`);
    }
  }
  const fence = list.find((candidate) => candidate.shard === shard);
  if (fence === undefined) {
    throw new InvalidArgumentError(
      { argument: "fence" },
      `The write goes to shard ${shard}, and its fence was not given`,
    );
  }
  return fence;
}

/**
 * Whether a check has to leave a seal, so that nothing of an older owner is stored behind it. A checked fence keeps older
 * owners out by itself, and where this one has written already they are out.
 */
export function isToSeal(fence: Fence | undefined, lastEpoch: number): boolean {
  return fence !== undefined && !fence.checked && fence.epoch > lastEpoch;
}

/**
 * The epoch rule: nobody appends onto a commit of a higher epoch, and who writes without a fence hands on the epoch that
 * is there.
 * @throws {FencedError} if a later owner has written
 */
export function nextEpoch(shard: number, fence: Fence | undefined, lastEpoch: number): number {
  if (fence === undefined) return lastEpoch;
  if (lastEpoch > fence.epoch) throw new FencedError({ shard, epoch: lastEpoch });
  return fence.epoch;
}
