/** Actors with histories of given lengths, put into a stream by pipelined publishing in the wire format. */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { headers } from "@nats-io/nats-core";
import { JetStreamEventStore, shardOf } from "../mod.ts";
import { eventOf } from "../event.ts";
import { Subjects } from "../store/subjects.ts";
import { encodeCommit } from "../store/wire.ts";
import { NatsServer } from "../testing/mod.ts";

/** Events of each actor, one a commit. */
export const LENGTHS = [10, 1_000, 100_000, 1_000_000] as const;

/** A running server with the actors in it. */
export interface Histories extends AsyncDisposable {
  readonly nc: NatsConnection;
  readonly store: JetStreamEventStore;
  /** The actor with so many events. */
  actorOf(length: number): string;
  subjectOf(length: number): string;
}

/** Starts a server and fills it. */
export async function histories(lengths: readonly number[] = LENGTHS): Promise<Histories> {
  const server = await NatsServer.start();
  const nc = await connect({ servers: server.url });
  const store = await JetStreamEventStore.open(nc, { namespace: "bench" });
  const subjects = new Subjects("bench", store.shards);
  const actorOf = (length: number): string => `counter-${length}`;
  const subjectOf = (length: number): string =>
    subjects.ofActor(actorOf(length), shardOf(actorOf(length), store.shards));
  for (const length of lengths) await fill(nc, store, actorOf(length), subjectOf(length), length);
  return {
    nc,
    store,
    actorOf,
    subjectOf,
    async [Symbol.asyncDispose](): Promise<void> {
      await store[Symbol.asyncDispose]();
      await nc.close();
      await server.stop();
    },
  };
}

async function fill(
  nc: NatsConnection,
  store: JetStreamEventStore,
  actorId: string,
  subject: string,
  length: number,
): Promise<void> {
  const timestamp = new Date().toISOString();
  const before = await store.position();
  for (let version = 1; version <= length; version++) {
    const event = eventOf(crypto.randomUUID(), "Added", actorId, version, { by: 1 }, timestamp, undefined);
    const previous = version === 1 ? 0 : before + version - 1;
    for (const message of encodeCommit({ subject, events: [event], version, previous, epoch: 0 }, 16_384)) {
      const head = headers();
      for (const name in message.headers) head.append(name, message.headers[name] ?? "");
      // Every thousandth is answered: the pipeline stays bounded.
      if (version % 1_000 === 0) await nc.request(subject, message.payload, { headers: head, timeout: 30_000 });
      else nc.publish(subject, message.payload, { headers: head });
    }
  }
  await nc.flush();
  for (let version = 0; version < length;) version = await store.getLatestVersion(actorId);
}
