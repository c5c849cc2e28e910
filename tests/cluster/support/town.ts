/** Nodes that send each other commands, without NATS and in virtual time. */
import { CommandServer } from "../../../cluster/command_server.ts";
import { Router } from "../../../cluster/router.ts";
import {
  type HandleOptions,
  type Home,
  serveDecider,
  serveHandler,
  type ServeOptions,
} from "../../../cluster/serve.ts";
import type { CommandHandler } from "../../../cluster/served_handler.ts";
import { shardOf } from "../../../store/shard.ts";
import { type EventStore, InMemoryEventStore } from "../../../mod.ts";
import { counter, type CounterCommand } from "../../support/counter.ts";
import { CommandNetwork, type Faults } from "./command_network.ts";
import { Estate, Land } from "./land.ts";
import { VirtualClock } from "./virtual_clock.ts";

export const SHARDS = 4;
export const shard = (actorId: string): number => shardOf(actorId, SHARDS);

/** A node. */
export interface House {
  readonly estate: Estate;
  readonly server: CommandServer;
  readonly router: Router;
  readonly reports: string[];
  serve(store: EventStore, options?: ServeOptions<CounterCommand>): AsyncDisposable;
  handle<Command>(
    actorType: string,
    handler: CommandHandler<Command>,
    options?: HandleOptions<Command>,
  ): AsyncDisposable;
}

export class Town {
  readonly clock = new VirtualClock();
  readonly network: CommandNetwork;
  readonly land = new Land(this.clock);
  readonly home: Home = { clock: this.clock, namespace: "town", shards: SHARDS };

  constructor(faults: Faults = {}, random?: () => number) {
    this.network = new CommandNetwork(this.clock, faults, random);
  }

  store(): InMemoryEventStore {
    return new InMemoryEventStore({ namespace: "town", shards: SHARDS });
  }

  house(nodeId: string): House {
    const { clock, network: commands, home } = this;
    const estate = new Estate(this.land, nodeId);
    const reports: string[] = [];
    const server = new CommandServer({
      clock,
      commands,
      distribution: estate.distribution,
      discovery: estate.discovery,
      shards: SHARDS,
      observer: { event: (name) => void reports.push(name) },
    });
    return {
      estate,
      server,
      reports,
      router: new Router({ clock, commands, shards: SHARDS, local: server }),
      serve(store, options = {}) {
        const { actorTypes, host } = serveDecider(home, store, counter, { actorType: "counter", ...options });
        return server.add(actorTypes, host);
      },
      handle(actorType, handler, options) {
        const { actorTypes, host } = serveHandler(home, actorType, handler, options);
        return server.add(actorTypes, host);
      },
    };
  }

  /** A node that only sends. */
  get visitor(): Router {
    return new Router({ clock: this.clock, commands: this.network, shards: SHARDS });
  }
}
