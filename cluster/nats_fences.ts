import type { JetStreamApi } from "../store/jetstream_api.ts";
import { publish } from "../store/publish.ts";
import type { Subjects } from "../store/subjects.ts";
import { EXPECTED_SEQUENCE } from "../store/wire.ts";
import type { Written } from "./bucket.ts";
import type { FenceMessage, Fences } from "./fences.ts";
import { failureIn, oneTry } from "./nats_try.ts";

/** Fences in the stream of events. Each is kept, so that the stream alone shows who owned what when. */
export class NatsFences implements Fences {
  readonly #api: JetStreamApi;
  readonly #subjects: Subjects;
  readonly #nodeId: string;

  constructor(api: JetStreamApi, subjects: Subjects, nodeId: string) {
    this.#api = api;
    this.#subjects = subjects;
    this.#nodeId = nodeId;
  }

  async last(shard: number): Promise<FenceMessage | undefined> {
    try {
      const message = await this.#api.get({ last_by_subj: this.#subjects.ofFence(shard) }, oneTry());
      return { sequence: message?.sequence ?? 0, nonce: message && nonceIn(message.payload) };
    } catch (error) {
      failureIn(error);
      return undefined;
    }
  }

  async write(shard: number, nonce: string, previous: number): Promise<Written> {
    const message = {
      subject: this.#subjects.ofFence(shard),
      headers: { [EXPECTED_SEQUENCE]: String(previous) },
      payload: new TextEncoder().encode(JSON.stringify({ nonce, nodeId: this.#nodeId })),
    };
    try {
      return { kind: "stored", revision: await publish(this.#api, [message], oneTry(), false) };
    } catch (error) {
      failureIn(error); // whatever it is: it is looked at, and tried again
      return { kind: "unknown" };
    }
  }
}

/** Undefined for a fence that no node has written. */
function nonceIn(payload: Uint8Array): string | undefined {
  try {
    const { nonce } = JSON.parse(new TextDecoder().decode(payload)) as { nonce?: unknown };
    return typeof nonce === "string" ? nonce : undefined;
  } catch {
    return undefined;
  }
}
