/** The names of all options, of which the compiler sees to it that none is missing. */
import type { Event } from "../event.ts";
import { namesOf } from "../options.ts";
import type { HandlerOptions, SubscribeOptions } from "./event_bus.ts";
import type { LocalBusOptions } from "./local.ts";
import type { NatsBusOptions } from "./nats_options.ts";

const subscribing = {
  eventTypes: true,
  actorTypes: true,
  actorId: true,
  shards: true,
  onDeleted: true,
  onUndecodable: true,
  onGap: true,
  fill: true,
  group: true,
  buffer: true,
  overflow: true,
  signal: true,
} as const;

export const SUBSCRIBE = namesOf<SubscribeOptions<Event, string, string>>(subscribing);
export const ON = namesOf<HandlerOptions<Event, string, string>>({ ...subscribing, onError: true });
export const LOCAL_BUS = namesOf<LocalBusOptions>({ namespace: true, shards: true, observer: true });
export const NATS_BUS = namesOf<NatsBusOptions>({
  namespace: true,
  shards: true,
  domain: true,
  apiPrefix: true,
  observer: true,
  timeout: true,
  signal: true,
});
