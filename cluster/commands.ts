/** How commands reach the node that owns their shard: a try is delivered at most once. */

/** What became of one try. */
export type CommandAnswer =
  /** Of the owner, or of a node that was the owner until a moment ago. */
  | { readonly kind: "answer"; readonly body: string }
  /** Nobody was there; or nothing was sent, and why: it certainly did not run. */
  | { readonly kind: "absent"; readonly reason?: string | undefined }
  /** It may run, now or later. */
  | { readonly kind: "silence" };

/** A shard whose commands are taken here. */
export interface Serving {
  /** Takes no more; resolves once all that was on its way here is answered. */
  drain(): Promise<void>;
}

/** The way between nodes. */
export interface Commands {
  /** Bytes that a command or an answer may have. */
  readonly maxSize: number;
  /**
   * Sends a command to whoever serves its shard. Silence where the signal aborts, or nothing came for so long; rejects
   * where nothing can be sent at all: it certainly did not run.
   */
  request(shard: number, body: string, milliseconds: number, signal?: AbortSignal): Promise<CommandAnswer>;
  /** Takes the commands of a shard; resolves when they certainly arrive. `handle` gives the answer and never rejects. */
  serve(shard: number, handle: (body: string) => Promise<string>): Promise<Serving>;
}
