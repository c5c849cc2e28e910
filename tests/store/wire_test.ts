import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { actorTypeOf, decodeToken, encodeToken } from "../../actor_id.ts";
import { isAetherError } from "../../errors.ts";
import type { Event } from "../../event.ts";
import { shardOf } from "../../store/mod.ts";
import { Subjects } from "../../store/subjects.ts";
import { Assembler } from "../../store/assembler.ts";
import { Decoder, encodeCommit, HEADER, type Part, type RawMessage } from "../../store/wire.ts";

interface Tokens {
  readonly tokens: { actorId: string; token: string; actorType: string; shard: Record<string, number> }[];
  readonly refused: string[];
}
interface Vector {
  readonly name: string;
  readonly actorId: string;
  readonly events: Event[];
  readonly previous: number;
  readonly version?: number;
  readonly epoch?: number;
  readonly deleted?: boolean;
  readonly messageSize?: number;
  readonly checks?: { subject: string; sequence: number }[];
  readonly messages: { subject: string; headers: Record<string, string>; payload: string }[];
}

const { tokens, refused } = vectors<Tokens>("tokens");
const { commits } = vectors<{ commits: Vector[] }>("commits");
const subjects = new Subjects("shop", 64);
const decoder = new Decoder(subjects);
const storedAt = "2026-01-31T12:00:00.000Z";

describe("tokens", () => {
  it("are as published, both ways", () => {
    for (const { actorId, token, actorType } of tokens) {
      assert.equal(encodeToken(actorId), token);
      assert.equal(decodeToken(token), actorId);
      assert.equal(encodeToken(actorTypeOf(actorId)), actorType);
    }
  });

  it("in any other form are refused", () => {
    for (const token of refused) assert.equal(decodeToken(token), undefined, token);
  });

  it("give the published shard and subject, and the subject gives the actor back", () => {
    for (const { actorId, token, actorType, shard } of tokens) {
      for (const [shards, expected] of Object.entries(shard)) assert.equal(shardOf(actorId, Number(shards)), expected);
      const subject = subjects.ofActor(token, shard["64"] ?? -1);
      assert.equal(subject, `aether.shop.events.${shard["64"]}.${actorType}.${token}`);
      assert.deepEqual(subjects.parse(subject), { actorId, shard: shard["64"] });
    }
  });

  it("on a wrong subject are nobody's", () => {
    const good = subjects.ofActor("order-1", shardOf("order-1", 64));
    const wrong = [
      good.replace("events.", "events.9"),
      good.replace(".order.", ".account."),
      good.replace("shop", "shop2"),
      `${good}.x`,
      "aether.shop.events.1.a",
      "aether.shop.fence.1",
    ];
    for (const subject of wrong) assert.equal(subjects.parse(subject), undefined, subject);
  });
});

describe("commits", () => {
  for (const { name, actorId, messages, messageSize = 16_384, ...vector } of commits) {
    const subject = messages[0]?.subject ?? "";
    const version = vector.version ?? vector.events.at(-1)?.version ?? 0;

    it(`encode as published: ${name}`, () => {
      const encoded = encodeCommit({ ...vector, subject, version, epoch: vector.epoch ?? 0 }, messageSize);
      const text = encoded.map((message) => ({ ...message, payload: new TextDecoder().decode(message.payload) }));
      assert.deepEqual(text, messages);
    });

    it(`decode as published: ${name}`, () => {
      const assembler = new Assembler();
      let commit;
      for (const [index, message] of messages.entries()) {
        commit = assembler.add(decoder.part(raw(message, 100 + index)));
      }
      const position = 99 + messages.length;
      const expected = { actorId, version, position, events: vector.events, storedAt };
      assert.deepEqual(commit, vector.deleted ? { ...expected, deleted: true } : expected);
    });
  }

  it("whose parts are missing are told apart", () => {
    const messages = commits.find(({ name }) => name.startsWith("cut into parts"))?.messages ?? [];
    const at = (first: number): Part[] => messages.map((message, index) => decoder.part(raw(message, first + index)));
    /** Of each part: whether a commit is complete with it, and the parts by which broken ones are known. */
    const outcome = (...given: (Part | undefined)[]): string[] => {
      const assembler = new Assembler();
      return given.flatMap((part) => part === undefined ? [] : [part]).map((part) => {
        const commit = assembler.add(part);
        const broken = assembler.broken.splice(0).map((part) => `${part.part}@${part.sequence}`);
        return [commit ? "commit" : "-", ...broken].join(" ");
      });
    };
    const [one, two, three] = at(10);
    assert.deepEqual(outcome(one, two, three), ["-", "-", "commit"]);
    assert.deepEqual(outcome(two, three), ["-", "- 3@12"]);
    assert.deepEqual(outcome(one, three), ["-", "- 3@12"]);
    assert.deepEqual(outcome(one, ...at(20)), ["-", "- 1@10", "-", "commit"]);
    assert.deepEqual(outcome(one, two, ...at(20)), ["-", "-", "- 2@11", "-", "commit"]);
  });
});

describe("messages that are no commit are an EventDecodeError with stream, position and subject", () => {
  const [good] = commits[0]?.messages ?? [];
  assert(good);
  const wrong: Record<string, Partial<typeof good>> = {
    "no version": { headers: {} },
    "a version that is no number": { headers: { [HEADER.version]: "1e3" } },
    "another version than its last event's": { headers: { [HEADER.version]: "2" } },
    "a format that is not known": { headers: { ...good.headers, [HEADER.format]: "2" } },
    "an encoding that is not known": { headers: { ...good.headers, [HEADER.encoding]: "zstd" } },
    "a part beyond the last": { headers: { ...good.headers, [HEADER.part]: "3/2" } },
    "an epoch that is no number": { headers: { ...good.headers, [HEADER.epoch]: "x" } },
    "not JSON": { payload: "[{" },
    "not an array": { payload: "{}" },
    "not events": { payload: "[1]" },
    "an event without data": { payload: good.payload.replace(/"data":\{[^}]*\},/, "") },
    "an event of another actor": { payload: good.payload.replace("order-123", "order-124") },
    "a subject of nobody": { subject: "aether.shop.events.0.order.order-123" },
  };
  for (const [name, change] of Object.entries(wrong)) {
    it(name, () => {
      const message = raw({ ...good, ...change }, 42);
      try {
        decoder.part(message);
      } catch (error) {
        if (!isAetherError(error, "EVENT_DECODE")) throw error;
        const { stream, position, subject } = error;
        assert.deepEqual({ stream, position, subject }, {
          stream: "AETHER_shop",
          position: 42,
          subject: message.subject,
        });
        return;
      }
      assert.fail("decoded");
    });
  }

  it("unknown keys of an event are ignored", () => {
    const { events } = decoder.part(raw({ ...good, payload: good.payload.replace('"id"', '"later":1,"id"') }, 1));
    assert.deepEqual(events, commits[0]?.events);
  });
});

function raw({ subject, headers, payload }: Vector["messages"][number], sequence: number): RawMessage {
  const header = (name: string): string => headers[name] ?? "";
  return { subject, sequence, storedAt, payload: new TextEncoder().encode(payload), header };
}

function vectors<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), "utf8"));
}
