/** Hosts of actors as users ask for them. */
import { actorTypeOf } from "../actor_id.ts";
import { checkArguments } from "../decider/check.ts";
import type { Decider } from "../decider/decider.ts";
import type { ExecuteOptions } from "../decider/execute.ts";
import { InvalidArgumentError } from "../errors.ts";
import type { Event } from "../event.ts";
import { checkOptionNames, namesOf } from "../options.ts";
import type { StandardSchema } from "../schema/standard_schema.ts";
import type { EventStore } from "../store/event_store.ts";
import { ActorHost, type ActorHostOptions } from "./actor_host.ts";
import type { Clock } from "./clock.ts";
import { checkCommandSchema } from "./command_schema.ts";
import { ServedDecider } from "./served_decider.ts";
import { type CommandHandler, servedHandler } from "./served_handler.ts";

/** Options of `handle`. */
export interface HandleOptions<Command = unknown> {
  /** Checks each command where it is executed; one that does not fit is refused. */
  readonly commands?: StandardSchema<unknown, Command> | undefined;
  /** How many actors may be at work at the same time. @default 1000 */
  readonly concurrency?: number | undefined;
  /** How many actors are kept in memory; who was idle for longest leaves it first. @default 10000 */
  readonly actors?: number | undefined;
}

/** Options of `serve`. */
export interface ServeOptions<Command, ActorType extends string = string>
  extends HandleOptions<Command>, Pick<ExecuteOptions, "snapshots" | "retries" | "metadata" | "cache" | "observer"> {
  /** Needed if the decider names no `events`; one of those that its events are of. */
  readonly actorType?: ActorType | undefined;
}

const HANDLED = { commands: true, concurrency: true, actors: true } as const;
const HANDLE = namesOf<HandleOptions>(HANDLED);
const SERVE = namesOf<ServeOptions<unknown>>({
  ...HANDLED,
  snapshots: true,
  retries: true,
  metadata: true,
  cache: true,
  observer: true,
  actorType: true,
});

/** A host, and the types of the actors that live in it. */
export interface Served {
  readonly actorTypes: readonly string[];
  readonly host: ActorHost;
}

/** What the cluster is of. */
export interface Home {
  readonly clock: Clock;
  readonly namespace: string;
  readonly shards: number;
}

/** @throws {InvalidArgumentError} */
export function serveDecider<Stored extends Event, State, Command, E extends Stored>(
  { clock, namespace, shards }: Home,
  store: EventStore<Stored>,
  decider: Decider<State, Command, E>,
  options: ServeOptions<Command> = {},
): Served {
  checkOptionNames("serve", options, SERVE);
  checkArguments("serve", store, decider, options.snapshots);
  const { actorType, commands } = options;
  for (const [what, own, ours] of [["namespace", store.namespace, namespace], ["shards", store.shards, shards]]) {
    if (own === ours) continue;
    const problem = `The store and the cluster are of one namespace: ${what} is ${own} there, and ${ours} here`;
    throw new InvalidArgumentError({ argument: "store" }, problem);
  }
  checkCommandSchema(commands);
  const own = decider.events?.actorTypes;
  if (actorType === undefined && own === undefined) {
    throw new InvalidArgumentError({ argument: "actorType" }, "The decider names no events, so it needs an actorType");
  }
  if (actorType !== undefined && own !== undefined && !own.includes(actorTypeOf(actorType))) {
    throw new InvalidArgumentError({ argument: "actorType" }, `The decider has no actors of the type ${actorType}`);
  }
  const limits = limitsOf(options);
  const served = new ServedDecider<State, Command, E>({ clock, store, decider, options, commands });
  return {
    actorTypes: actorType === undefined ? own as readonly string[] : [actorType],
    host: new ActorHost({ clock, activate: served.activate }, limits),
  };
}

/** The same without a decider. */
export function serveHandler<Command>(
  { clock }: Pick<Home, "clock">,
  actorType: string,
  handler: CommandHandler<Command>,
  options: HandleOptions<Command> = {},
): Served {
  checkOptionNames("handle", options, HANDLE);
  if (typeof handler !== "function") {
    throw new InvalidArgumentError({ argument: "handler" }, "A handler is a function");
  }
  checkCommandSchema(options.commands);
  const actor = servedHandler(handler, options.commands);
  return { actorTypes: [actorType], host: new ActorHost({ clock, activate: () => actor }, limitsOf(options)) };
}

function limitsOf<Command>({ concurrency, actors }: HandleOptions<Command>): ActorHostOptions {
  return { concurrency: count("concurrency", concurrency), actors: count("actors", actors) };
}

function count(argument: string, value: number | undefined): number | undefined {
  if (value === undefined || Number.isSafeInteger(value) && value >= 1) return value;
  throw new InvalidArgumentError({ argument }, `${argument} is a whole number from 1, not ${value}`);
}
