import type { DirectGet } from "./direct_get.ts";
import type { Heads } from "./heads.ts";
import type { JetStreamApi } from "./jetstream_api.ts";
import type { Observer } from "./observer.ts";
import type { Subjects } from "./subjects.ts";
import type { Decoder } from "./wire.ts";

/** What everything that reads the stream needs. */
export interface ReaderParts {
  readonly api: JetStreamApi;
  readonly direct: DirectGet;
  readonly subjects: Subjects;
  readonly shards: number;
  readonly decoder: Decoder;
  readonly heads: Heads;
  /** Milliseconds that the server may take for one step. */
  readonly timeout: number;
  readonly observer: Observer | undefined;
}
