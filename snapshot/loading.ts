/** Reading a key's value, as far as it is to be trusted. */
import type { Operation } from "../store/operation.ts";
import { unpack } from "./body.ts";
import { readChunks } from "./chunks.ts";
import { decodeEnvelope, type Envelope, Untrusted } from "./envelope.ts";
import type { Revision, Revisions, Source } from "./revisions.ts";
import type { Snapshot } from "./snapshot_store.ts";

/** Whose snapshot. */
export interface Target {
  readonly actorId: string;
  readonly subject: string;
}

/** There is one, or there is none, or it is not to be trusted. */
export type Loaded =
  | { readonly snapshot: Snapshot | undefined }
  | { readonly reason: string; readonly sequence: number };

/** The snapshot of a key; undefined if there is none, or one of another shape than is asked for. */
export async function load(
  revisions: Revisions,
  { actorId, subject }: Target,
  schemaVersion: number | undefined,
  operation: Operation,
): Promise<Loaded> {
  let source: Source = "session";
  for (let revision = await revisions.last(subject, source, operation);;) {
    if (revision === undefined || revision.isMarker) return { snapshot: undefined };
    try {
      const { envelope, rest } = decodeEnvelope(revision.value, actorId);
      const { facts } = envelope;
      if ((schemaVersion ?? facts.schemaVersion) !== facts.schemaVersion) return { snapshot: undefined };
      const bytes = envelope.chunks === undefined
        ? rest
        : await readChunks(revisions, subject, envelope.chunks, source, operation);
      return { snapshot: { ...facts, state: await unpack(envelope.body, bytes as Uint8Array<ArrayBuffer>) } };
    } catch (error) {
      if (!(error instanceof Untrusted)) throw error;
      const lost = { reason: error.message, sequence: revision.sequence };
      if (!error.missing) return lost;
      // A replica may lag; and what has just been replaced is erased while it is read.
      const now: Revision | undefined = await revisions.last(subject, "leader", operation);
      if (source === "leader" && now?.sequence === revision.sequence) return lost;
      [revision, source] = [now, "leader"];
    }
  }
}

/** What is there, as far as it can be trusted without reading chunks: it decides whether another replaces it. */
export async function standing({ actorId }: Target, revision: Revision | undefined): Promise<Envelope | undefined> {
  if (revision === undefined || revision.isMarker) return undefined;
  try {
    const { envelope, rest } = decodeEnvelope(revision.value, actorId);
    if (envelope.chunks === undefined) await unpack(envelope.body, rest as Uint8Array<ArrayBuffer>);
    return envelope;
  } catch (error) {
    if (error instanceof Untrusted) return undefined;
    throw error;
  }
}
