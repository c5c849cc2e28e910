/** Which subjects a filter has the server deliver: never fewer than are meant, and more only where that is cheaper. */
import { encodeToken } from "../actor_id.ts";
import type { Filter } from "../store/filter.ts";
import { shardOfToken } from "../store/shard.ts";
import type { Subjects } from "../store/subjects.ts";

/** Subscriptions of the server for one filter; each costs it memory and a look at every message of its account. */
const MAX_SUBJECTS = 64;

/** Subjects without any message in common. */
export function subjectsOf(
  { actorId, actorTypes, shards: some }: Filter,
  subjects: Subjects,
  shards: number,
): string[] {
  if (actorId !== undefined) {
    const token = encodeToken(actorId);
    return [subjects.announced(subjects.ofActor(token, shardOfToken(token, shards)))];
  }
  // Whoever wants most shards takes all.
  const asked: (number | undefined)[] = some === undefined || some.size > shards / 2 ? [undefined] : [...some];
  const types: (string | undefined)[] = actorTypes === undefined ? [undefined] : [...actorTypes];
  if (some?.size === 0 || types.length === 0) return [];
  const choices = [[asked, types], [[undefined], types], [asked, [undefined]]] as const;
  for (const [ofShards, ofTypes] of choices) {
    if (ofShards.length * ofTypes.length > MAX_SUBJECTS) continue;
    const covering = new Set<string>();
    for (const shard of ofShards) {
      for (const type of ofTypes) covering.add(subjects.covering(shard, type) ?? subjects.events);
    }
    if (isDisjoint(covering, subjects)) return [...covering].map((subject) => subjects.announced(subject));
  }
  return [subjects.bus];
}

/** A type that no id can have is covered by a subject of all types. */
function isDisjoint(covering: ReadonlySet<string>, { events }: Subjects): boolean {
  if (covering.size === 1) return true;
  return !covering.has(events) && new Set([...covering].map((subject) => subject.endsWith(".*.*"))).size === 1;
}
