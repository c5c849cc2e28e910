/** What the tests of snapshots in a bucket have in common. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type KvSnapshotOptions, KvSnapshotStore, shardOf } from "../../mod.ts";
import type { NatsServer } from "../../testing/mod.ts";
import { type Raw, until } from "../support/jetstream.ts";

/** The subject of an actor's key, in a namespace of 64 shards. */
export function subjectOf(namespace: string, actorId: string): string {
  const [type = ""] = actorId.split("-");
  return `$KV.AETHER_${namespace}_snapshots.${shardOf(actorId, 64)}.${type}.${actorId}`;
}

/** The stream of a namespace's bucket. */
export function streamOf(namespace: string): string {
  return `KV_AETHER_${namespace}_snapshots`;
}

/** How many messages each subject of the bucket has. */
export async function subjectsOf(server: Raw, namespace: string): Promise<Record<string, number>> {
  const { state } = await server.api(`STREAM.INFO.${streamOf(namespace)}`, { subjects_filter: ">" });
  return state.subjects ?? {};
}

/** How often a text is in the files of the bucket. */
export async function occurrences(server: NatsServer, namespace: string, text: string): Promise<number> {
  const directory = join(server.storeDirectory, "jetstream", "$G", "streams", streamOf(namespace));
  let count = 0;
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const content = await readFile(join(entry.parentPath, entry.name), "latin1").catch(() => "");
    count += content.split(text).length - 1;
  }
  return count;
}

/** Waits until a text is in the files: what comes before it in the stream is too. */
export async function written(server: NatsServer, namespace: string, text: string): Promise<void> {
  await until(async () => await occurrences(server, namespace, text) > 0);
}

/** A store of a namespace of 64 shards. */
export function open(
  server: Raw,
  namespace: string,
  options: Partial<KvSnapshotOptions> = {},
): Promise<KvSnapshotStore> {
  return KvSnapshotStore.open(server.nc, { namespace, shards: 64, ...options });
}
