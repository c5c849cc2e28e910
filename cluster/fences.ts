import type { Written } from "./bucket.ts";

/** The last message on a shard's fence subject. */
export interface FenceMessage {
  /** Its sequence in the stream: the epoch of whoever wrote it. 0: there is none. */
  readonly sequence: number;
  /** Of the attempt that wrote it. */
  readonly nonce: string | undefined;
}

/** The fences in the stream of events: who wrote a shard's last owns it, whatever any table says. */
export interface Fences {
  /** As the leader of the stream has it; undefined: no answer. */
  last(shard: number): Promise<FenceMessage | undefined>;
  /** Writes the next one if the last is still this one. */
  write(shard: number, nonce: string, previous: number): Promise<Written>;
}
