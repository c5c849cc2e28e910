/** Which appends behind checked fences go into one atomic batch, what it is made of, and who is to blame. Pure. */
import { Failed } from "./answer.ts";
import { notSent } from "./attempt.ts";
import type { Operation } from "./operation.ts";
import { type Check, type WireMessage, withChecks } from "./wire.ts";

/** Bytes of the payloads of a batch, about. */
const MAX_BYTES = 4 * 1_048_576;

/** A commit, and the fence that must still be its shard's last. */
export interface FencedCommit {
  readonly messages: readonly WireMessage[];
  /** S0. */
  readonly previous: number;
  readonly fence: Check;
}

/** An append on its way through the lane. */
export class Member {
  readonly commit: FencedCommit;
  readonly operation: Operation;
  /** What is wrong with it must not hit others: it gets a batch of its own. */
  readonly isAlone: boolean;
  /** Each of its messages is to be answered. */
  readonly isCareful: boolean;
  /** The sequence of the commit's last message. */
  readonly outcome: Promise<number>;
  readonly subject: string;
  readonly bytes: number;
  readonly #settle: PromiseWithResolvers<number>;
  #isSettled = false;
  /** When the answer is overdue, by `performance.now`; undefined while it is not under way. */
  #due: number | undefined;

  constructor(commit: FencedCommit, operation: Operation, isAlone: boolean, isCareful: boolean) {
    this.commit = commit;
    this.operation = operation;
    this.isAlone = isAlone;
    this.isCareful = isCareful;
    this.subject = commit.messages[0]?.subject ?? "";
    this.bytes = commit.messages.reduce((sum, { payload }) => sum + payload.length, 0);
    this.#settle = Promise.withResolvers();
    this.outcome = this.#settle.promise;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** Whether it may be stored by now. */
  get isSent(): boolean {
    return this.#due !== undefined;
  }

  /** It is under way from now on, or was refused, which is certain. */
  set isSent(isSent: boolean) {
    this.#due = isSent ? performance.now() + this.operation.patience : undefined;
  }

  stored(sequence: number): void {
    this.#isSettled = true;
    this.#settle.resolve(sequence);
  }

  fail(error: unknown): void {
    this.#isSettled = true;
    this.#settle.reject(error);
  }

  /** Its time is its own, whatever the others have: fails it if that is up. */
  expire(): void {
    if (this.#isSettled) return;
    if (this.#due === undefined && this.operation.remaining <= 0) this.fail(notSent());
    else if (this.#due !== undefined && this.#due <= performance.now()) {
      this.fail(new Failed({ kind: "silence", description: `${this.subject}: no answer` }));
    }
  }
}

/** The first of those that wait, and all that fit into one batch with it, in their order. */
export function nextBatch(
  waiting: readonly Member[],
  maxMessages: number,
): { readonly batch: Member[]; readonly left: Member[] } {
  const batch: Member[] = [];
  const left: Member[] = [];
  const fences = new Map<string, number>();
  const actors = new Set<string>();
  let messages = 0;
  let bytes = 0;
  for (const member of waiting) {
    if (member.isSettled) continue;
    const { subject, commit: { messages: { length }, fence } } = member;
    const epoch = fences.get(fence.subject);
    const more = length + (epoch === undefined ? 1 : 0);
    const fits = !member.isAlone && !batch[0]?.isAlone && messages + more <= maxMessages &&
      bytes + member.bytes <= MAX_BYTES &&
      // One actor twice is refused by the server for good, two fences of one shard cannot both hold.
      !actors.has(subject) && (epoch ?? fence.sequence) === fence.sequence;
    if (batch.length > 0 && !fits) {
      left.push(member);
      continue;
    }
    batch.push(member);
    fences.set(fence.subject, fence.sequence);
    actors.add(subject);
    messages += more;
    bytes += member.bytes;
  }
  return { batch, left };
}

/** The messages of a batch, in which the last commit of each shard carries the check of its fence. */
export function composed(batch: readonly Member[]): {
  readonly messages: readonly WireMessage[];
  /** Of each commit: messages from its last one to the end. */
  readonly behind: readonly number[];
} {
  const last = new Map(batch.map((member) => [member.commit.fence.subject, member]));
  const messages: WireMessage[] = [];
  const ends = batch.map((member) => {
    const { commit: { messages: own, fence } } = member;
    messages.push(...(last.get(fence.subject) === member ? withChecks(own, [fence]) : own));
    return messages.length;
  });
  return { messages, behind: ends.map((end) => messages.length - end) };
}

/** Those of a refused batch that cannot be stored, by what is known to be the last sequences of subjects. */
export function losers(batch: readonly Member[], lasts: ReadonlyMap<string, number>): Member[] {
  // What lags shows less, never more.
  const hasMoved = (subject: string, sequence: number): boolean => (lasts.get(subject) ?? 0) > sequence;
  return batch.filter(({ subject, commit: { previous, fence } }) =>
    hasMoved(subject, previous) || hasMoved(fence.subject, fence.sequence)
  );
}
