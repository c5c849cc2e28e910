import type { NatsConnection } from "@nats-io/nats-core";
import { checkOptionNames } from "../options.ts";
import type { Abortable } from "../store/event_store.ts";
import { checkOptions, type JetStreamOptions } from "../store/jetstream_options.ts";
import type { Observer } from "../store/observer.ts";
import { NATS_BUS } from "./option_names.ts";

/** Options of `NatsEventBus.open`. */
export interface NatsBusOptions extends Abortable {
  /** 1 to 64 characters of `A-Za-z0-9_-`: that of the store. */
  readonly namespace: string;
  /**
   * How many: those of the namespace's stream, or nothing that is narrowed by them arrives. Left out: they are asked
   * for, 64 where there is no stream yet. Give it where the connection may not ask, or there is no JetStream.
   */
  readonly shards?: number;
  /** JetStream domain, for leaf nodes. Not together with `apiPrefix`. */
  readonly domain?: string;
  /** Prefix of the JetStream API, for imported accounts. @default "$JS.API" */
  readonly apiPrefix?: string;
  /** Told of what was dropped, missed or refused, and of errors that no callback takes. */
  readonly observer?: Observer;
  /** Milliseconds for opening, and for reading the other parts of a large commit; then UNAVAILABLE. @default 10000 */
  readonly timeout?: number;
}

/**
 * The arguments of `NatsEventBus.open`, checked.
 * @throws {InvalidNamespaceError} {@linkcode InvalidArgumentError}
 */
export function checkBusOptions(nc: NatsConnection, options: NatsBusOptions): ReturnType<typeof checkOptions> {
  const checked = checkOptions(nc, options as JetStreamOptions);
  checkOptionNames("NatsEventBus.open", options, NATS_BUS);
  return checked;
}
