/** A value of JSON, which the configuration language of nats-server includes. */
export type NatsSetting =
  | string
  | number
  | boolean
  | readonly NatsSetting[]
  | { readonly [name: string]: NatsSetting };

/** How to start a nats-server for tests. */
export interface NatsServerOptions {
  /** The path of the nats-server. By default what `findNatsServer` finds. */
  readonly binary?: string;
  /** What NATS calls it. By default that of its folder, which no other server has. */
  readonly name?: string;
  /** Whether with JetStream, by default true; or more for the `jetstream` block, as the server calls it. */
  readonly jetstream?: boolean | { readonly [name: string]: NatsSetting };
  /** Milliseconds until JetStream has what was written flushed to the disk; `"always"`: before it acknowledges. */
  readonly syncInterval?: number | "always";
  /** Bytes that JetStream may keep in memory. */
  readonly maxMemory?: number;
  /** Bytes that JetStream may keep in files. */
  readonly maxStorage?: number;
  /** Bytes that a message may have, headers included. The server's default is 1 MiB. */
  readonly maxPayload?: number;
  /** Whether it also takes WebSocket connections, without TLS. By default false. */
  readonly websocket?: boolean;
  /** Who may connect, by account. By default everybody, to one account. */
  readonly accounts?: Readonly<Record<string, NatsAccount>>;
  /** To be one of a cluster. `NatsCluster` sees to it. */
  readonly cluster?: NatsClusterMembership;
  /** Anything else, appended to the configuration file as it stands. A block that is there already is replaced. */
  readonly config?: string;
  /** Ends the start, and removes what it began. */
  readonly signal?: AbortSignal | undefined;
}

/** An account: subjects and streams of one are invisible to the others. */
export interface NatsAccount {
  /** Its users. */
  readonly users: readonly NatsUser[];
  /** Whether it may use JetStream, and how much of it. By default it may, if the server has JetStream. */
  readonly jetstream?: boolean | NatsAccountLimits;
}

/** How much of JetStream an account may use. By default as much as the server has. */
export interface NatsAccountLimits {
  /** Bytes in memory. */
  readonly maxMemory?: number;
  /** Bytes in files. */
  readonly maxStorage?: number;
  /** Streams. */
  readonly maxStreams?: number;
  /** Consumers. */
  readonly maxConsumers?: number;
}

/** A user of an account. */
export interface NatsUser {
  /** The name. */
  readonly user: string;
  /** The password. */
  readonly password: string;
  /** What the user may do. By default everything. */
  readonly permissions?: {
    /** Subjects to publish to. */
    readonly publish?: NatsSubjects;
    /** Subjects to subscribe to. */
    readonly subscribe?: NatsSubjects;
    /** Whether a request may be answered where `publish` would not allow it. */
    readonly allowResponses?: boolean;
  };
}

/** Subjects, with wildcards. */
export interface NatsSubjects {
  /** Only these. */
  readonly allow?: readonly string[];
  /** Not these, even if allowed. */
  readonly deny?: readonly string[];
}

/** What makes a server one of a cluster. */
export interface NatsClusterMembership {
  /** The cluster's name. */
  readonly name: string;
  /** How many servers it has. */
  readonly size: number;
  /** `nats://127.0.0.1:PORT` of those that are known so far. Read again at each start. */
  readonly routes: readonly string[];
}

/** What a server listens on. -1: any port that is free. */
export interface NatsPorts {
  /** For clients. */
  readonly client: number;
  /** For monitoring, over HTTP. */
  readonly monitor: number;
  /** For clients over WebSocket, if it takes them. */
  readonly websocket: number;
  /** For the other servers, if it is in a cluster. */
  readonly cluster: number;
}

/** The configuration file of a server. */
export function natsConfig(
  options: NatsServerOptions,
  place: { readonly directory: string; readonly name: string; readonly ports: NatsPorts },
): string {
  const { directory, name, ports } = place;
  const settings: Record<string, unknown> = {
    server_name: name,
    listen: `127.0.0.1:${ports.client}`,
    http: `127.0.0.1:${ports.monitor}`,
    ports_file_dir: directory,
    max_payload: options.maxPayload,
    jetstream: options.jetstream === false ? undefined : {
      max_memory_store: options.maxMemory,
      max_file_store: options.maxStorage,
      sync_interval: typeof options.syncInterval === "number" ? `${options.syncInterval}ms` : options.syncInterval,
      ...(typeof options.jetstream === "object" ? options.jetstream : {}),
    },
    websocket: options.websocket ? { listen: `127.0.0.1:${ports.websocket}`, no_tls: true } : undefined,
    accounts: options.accounts && accounts(options.accounts, options.jetstream !== false),
    cluster: options.cluster && {
      name: options.cluster.name,
      listen: `127.0.0.1:${ports.cluster}`,
      routes: paddedRoutes(options.cluster),
    },
  };
  // One setting a line, each in JSON, is what the server reads and leaves room for text of the caller's own.
  const lines = Object.entries(settings).filter(([, value]) => value !== undefined)
    .map(([setting, value]) => `${setting}: ${JSON.stringify(value)}`);
  return [...lines, options.config ?? "", ""].join("\n");
}

/**
 * JetStream takes as many servers for the whole cluster as there are routes, and does not start without one. Nobody
 * listens on port 1.
 */
function paddedRoutes({ size, routes }: NatsClusterMembership): string[] {
  return [...routes, ...Array<string>(Math.max(0, size - routes.length)).fill("nats://127.0.0.1:1")];
}

function accounts(all: Readonly<Record<string, NatsAccount>>, server: boolean): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(all).map(([name, { users, jetstream = server }]) => [name, {
      users: users.map(({ permissions, ...user }) => ({
        ...user,
        permissions: permissions && {
          publish: permissions.publish,
          subscribe: permissions.subscribe,
          allow_responses: permissions.allowResponses,
        },
      })),
      jetstream: typeof jetstream === "boolean" ? (jetstream ? "enabled" : "disabled") : {
        max_memory: jetstream.maxMemory,
        max_file: jetstream.maxStorage,
        max_streams: jetstream.maxStreams,
        max_consumers: jetstream.maxConsumers,
      },
    }]),
  );
}
