import { Failed } from "../store/answer.ts";
import type { JetStreamApi } from "../store/jetstream_api.ts";
import { Operation } from "../store/operation.ts";
import { publish } from "../store/publish.ts";
import type { Subjects } from "../store/subjects.ts";
import { EXPECTED_SEQUENCE } from "../store/wire.ts";
import type { Written } from "./bucket.ts";
import type { FenceMessage, Fences } from "./fences.ts";

/** Milliseconds that one answer may take. */
const TRY = 800;

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
      const message = await this.#api.get({ last_by_subj: this.#subjects.ofFence(shard) }, operation());
      return { sequence: message?.sequence ?? 0, nonce: message && nonceIn(message.payload) };
    } catch (error) {
      return unless(error, undefined);
    }
  }

  async write(shard: number, nonce: string, previous: number): Promise<Written> {
    const message = {
      subject: this.#subjects.ofFence(shard),
      headers: { [EXPECTED_SEQUENCE]: String(previous) },
      payload: new TextEncoder().encode(JSON.stringify({ nonce, nodeId: this.#nodeId })),
    };
    try {
      return { kind: "stored", revision: await publish(this.#api, [message], operation(), false) };
    } catch (error) {
      return unless(error, { kind: "unknown" });
    }
  }
}

function operation(): Operation {
  return new Operation(TRY, undefined, TRY);
}

/** What stands for any failure: it is tried again, and looked at before. @throws what is none */
function unless<T>(error: unknown, otherwise: T): T {
  if (error instanceof Failed || error instanceof Error && "code" in error) return otherwise;
  throw error;
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
