import type { NatsConnection } from "@nats-io/nats-core";

/** The prefix that a user with narrow permissions has given to the connection; no public field tells it. */
export function inboxPrefixOf(nc: NatsConnection): string | undefined {
  return (nc as { readonly options?: { readonly inboxPrefix?: string } }).options?.inboxPrefix;
}
