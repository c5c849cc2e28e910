/** What the stream of a namespace holds, fences and all, and what must be true of it. */
import { setTimeout as delay } from "node:timers/promises";
import { DirectGet } from "../../store/direct_get.ts";
import { JetStreamApi } from "../../store/jetstream_api.ts";
import { Operation } from "../../store/operation.ts";
import type { NatsConnection } from "@nats-io/nats-core";

/** A message of an actor. */
export interface LedgerEntry {
  readonly sequence: number;
  readonly shard: number;
  readonly actorId: string;
  readonly version: number;
  /** 0: written without a fence over nothing. */
  readonly epoch: number;
  /** The last fence of its shard before it. */
  readonly fence: number;
  readonly commandIds: readonly string[];
}

/** What is stored. */
export interface Ledger {
  readonly entries: readonly LedgerEntry[];
  /** By shard, the sequences of its fences in order. */
  readonly fences: ReadonlyMap<number, readonly number[]>;
}

/** Messages that are asked for at once. */
const BATCH = 1_000;

/** How often a replica may have nothing. */
const PATIENCE = 100;

/** Reads all of it. */
export async function readLedger(nc: NatsConnection, namespace: string): Promise<Ledger> {
  const api = new JetStreamApi(nc, `AETHER_${namespace}`, undefined);
  const direct = new DirectGet(api);
  const { state } = (await nc.request(`$JS.API.STREAM.INFO.AETHER_${namespace}`, "", { timeout: 5_000 }))
    .json<{ state: { last_seq: number } }>();
  const entries: LedgerEntry[] = [];
  const fences = new Map<number, number[]>();
  let misses = 0;
  for (let next = 1; next <= state.last_seq;) {
    const operation = new Operation(10_000, undefined, 5_000);
    const { messages } = await direct.batch(
      { seq: next, batch: BATCH, next_by_subj: `aether.${namespace}.>` },
      operation,
    );
    if (messages.length === 0) { // of a replica that has not caught up
      if (++misses > PATIENCE) throw new Error(`nothing from ${next} on, though ${state.last_seq} is the last`);
      await delay(50);
    }
    for (const message of messages) {
      const { subject, sequence, payload } = message;
      next = sequence + 1;
      const [, , kind, shard] = subject.split(".");
      if (kind === "fence") {
        const own = fences.get(Number(shard));
        if (own === undefined) fences.set(Number(shard), [sequence]);
        else own.push(sequence);
      } else {
        const events = JSON.parse(new TextDecoder().decode(payload)) as {
          readonly metadata?: { readonly commandId?: string };
        }[];
        const [version, epoch] = ["Aether-Version", "Aether-Epoch"].map((name) => Number(message.header(name)) || 0);
        entries.push({
          sequence,
          shard: Number(shard),
          actorId: subject,
          version: version as number,
          epoch: epoch as number,
          fence: fences.get(Number(shard))?.at(-1) ?? 0,
          commandIds: events.flatMap(({ metadata }) => metadata?.commandId ?? []),
        });
      }
    }
  }
  api.close();
  return { entries, fences };
}

/** What is wrong with it: of actors always, of shards where every write checks its fence. */
export function violations({ entries }: Ledger, { fenced }: { readonly fenced: boolean }): string[] {
  const found: string[] = [];
  for (const [actorId, own] of Map.groupBy(entries, ({ actorId }) => actorId)) {
    let [version, epoch] = [0, 0];
    for (const entry of own) {
      // A part that only checks a fence, and a seal, have the version of what is there.
      if (entry.version !== version && entry.version !== version + 1) {
        found.push(`${actorId}: version ${entry.version} after ${version}, at ${entry.sequence}`);
      }
      if (entry.epoch < epoch) found.push(`${actorId}: epoch ${entry.epoch} after ${epoch}, at ${entry.sequence}`);
      [version, epoch] = [entry.version, entry.epoch];
    }
  }
  if (!fenced) return found;
  for (const entry of entries) {
    // Whoever fenced last owned the shard, and nobody else.
    if (entry.epoch !== 0 && entry.epoch !== entry.fence) {
      found.push(`shard ${entry.shard}: epoch ${entry.epoch} at ${entry.sequence}, under the fence ${entry.fence}`);
    }
  }
  return found;
}

/** How often each command is stored. */
export function storedCommands({ entries }: Ledger): Map<string, number> {
  const counts = new Map<string, number>();
  for (const id of entries.flatMap(({ commandIds }) => commandIds)) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}
