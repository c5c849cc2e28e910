import { headers, type NatsConnection } from "@nats-io/nats-core";
import { type NewEvent, shardOf } from "../mod.ts";
import { Subjects } from "../store/subjects.ts";

/** The last message of an actor. */
interface Head {
  readonly version: number;
  readonly sequence: number;
}

const NONE: Head = { version: 0, sequence: 0 };

/** Publishes as an append would, by the client alone. */
export class BareActor {
  readonly #nc: NatsConnection;
  readonly #actorId: string;
  readonly #event: NewEvent;
  readonly #subject: string;
  #previous: number;
  #version: number;

  /** Publishes this event again and again, behind those that the actor has. */
  constructor(nc: NatsConnection, actorId: string, shards: number, event: NewEvent, head: Head = NONE) {
    this.#nc = nc;
    this.#actorId = actorId;
    this.#event = event;
    this.#version = head.version;
    this.#previous = head.sequence;
    this.#subject = new Subjects("bench", shards).ofActor(actorId, shardOf(actorId, shards));
  }

  async publish(): Promise<void> {
    const event = {
      id: crypto.randomUUID(),
      eventType: this.#event.eventType,
      actorId: this.#actorId,
      version: ++this.#version,
      data: this.#event.data,
      timestamp: new Date().toISOString(),
    };
    const head = headers();
    head.set("Aether-Version", String(this.#version));
    head.set("Aether-Previous", String(this.#previous));
    head.set("Nats-Expected-Last-Subject-Sequence", String(this.#previous));
    const answer = await this.#nc.request(this.#subject, JSON.stringify([event]), { headers: head, timeout: 5_000 });
    this.#previous = answer.json<{ seq: number }>().seq;
  }
}
