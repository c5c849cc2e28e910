/** Stores on a server that is there for the tests of one `describe`. */
import { after, before } from "node:test";
import { JetStreamEventStore, type JetStreamOptions } from "../../mod.ts";
import { type Raw, raw } from "./jetstream.ts";

/** What `stores` gives. */
export interface Stores {
  /** From the first test on. */
  readonly server: Raw;
  /** In a namespace of its own, unless one is named. */
  open(options?: Partial<JetStreamOptions>): Promise<JetStreamEventStore>;
}

/** Call it within a `describe`. */
export function stores(): Stores {
  let server: Raw;
  let names = 0;
  before(async () => {
    server = await raw();
  });
  after(() => server[Symbol.asyncDispose]());
  return {
    get server(): Raw {
      return server;
    },
    open: (options = {}) => JetStreamEventStore.open(server.nc, { namespace: `s${++names}`, ...options }),
  };
}
