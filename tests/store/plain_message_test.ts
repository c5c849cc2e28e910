import fc from "fast-check";
import assert from "node:assert/strict";
import process from "node:process";
import { it } from "node:test";
import { encodeToken } from "../../actor_id.ts";
import type { Event } from "../../mod.ts";
import { PlainMessages } from "../../store/plain_message.ts";
import { shardOfToken } from "../../store/shard.ts";
import { Subjects } from "../../store/subjects.ts";
import { Decoder, encodeCommit, type Part, type RawMessage } from "../../store/wire.ts";

const seed = Number(process.env.AETHER_SEED ?? Date.now() % 2 ** 31);
const SHARDS = 4;
const subjects = new Subjects("shop", SHARDS);
const decoder = new Decoder(subjects);
const plain = new PlainMessages(subjects, SHARDS);
const utf8 = new TextEncoder();
const storedAt = "2026-01-31T12:00:00.000Z";

const actorId = fc.oneof(
  fc.constantFrom("order-1", "order", "-x", "a.b", "a.b-c", "é-1", "a=2Eb", "order-1 ", "_-_"),
  fc.string({ minLength: 1, maxLength: 12 }),
);
/** The first one most of the time. */
function rarely<T>(usual: T, ...others: T[]): fc.Arbitrary<T> {
  return fc.oneof({ weight: 4, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) });
}

const message = fc.record({
  actorId,
  versions: fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { maxLength: 3 }).chain((list) =>
    fc.constantFrom(list, list.toSorted(), list.toSorted(), list.toSorted())
  ),
  data: fc.jsonValue({ maxDepth: 1 }),
  previous: fc.nat({ max: 99 }),
  epoch: fc.nat({ max: 2 }),
  deleted: fc.nat({ max: 9 }).map((number) => number === 0),
  /** What is made wrong of it: of the payload's text, of the headers, of the subject. */
  payload: rarely<[string, string]>(
    ["", ""],
    ["[{", "[["],
    ['"id"', '"it"'],
    ['"data"', '"extra":1,"data"'],
    ["]", "\ud800]"],
  ),
  header: rarely(
    "",
    "Aether-Part: 1/1",
    "Aether-Format: 2",
    "Aether-Version: 1",
    "Aether-Version: x",
    "X: y",
    "Nats-Expected-Stream: s",
  ),
  subject: rarely<[string, string]>(["", ""], ["events.", "events.9."], ["shop", "ship"], [
    ".order.",
    ".other.",
  ]),
});

it(`the short way gives what the decoder gives, or nothing (AETHER_SEED=${seed})`, () => {
  let short = 0;
  fc.assert(
    fc.property(message, (made) => {
      const { actorId, previous, epoch, data } = made;
      const token = tokenOf(actorId);
      const subject = subjects.ofActor(token, shardOfToken(token, SHARDS));
      const timestamp = storedAt;
      const events = made.versions.map((version): Event => ({
        id: `e${version}`,
        eventType: "A",
        actorId,
        version,
        data,
        timestamp,
      }));
      const version = events.at(-1)?.version ?? 1;
      const [{ headers, payload } = assert.fail()] = encodeCommit({
        subject,
        events,
        version,
        previous,
        epoch,
        deleted: made.deleted,
      }, 1e6);
      const lines = [
        ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
        ...(made.header ? [made.header] : []),
      ];
      const head = `NATS/1.0\r\n${lines.join("\r\n")}\r\n\r\n`;
      const body = utf8.encode(new TextDecoder().decode(payload).replace(...made.payload));
      const place = subject.replace(...made.subject);
      const raw: RawMessage = {
        subject: place,
        sequence: 7,
        storedAt,
        payload: body,
        header: (name) => lines.find((line) => line.startsWith(`${name}:`))?.slice(name.length + 2) ?? "",
      };
      const headBytes = utf8.encode(head);
      const whole = new Uint8Array([...headBytes, ...body]);
      const read = plain.read({
        sequence: 7,
        storedAt,
        subjectBytes: utf8.encode(place),
        data: whole,
        headersLength: headBytes.length,
      });
      if (read === undefined) return;
      short++;
      assert.deepEqual(read, decoder.part(raw) satisfies Part);
    }),
    { seed, numRuns: 3_000 },
  );
  assert(short > 100, `only ${short} of 3,000 went the short way`);
});

function tokenOf(actorId: string): string {
  try {
    return encodeToken(actorId);
  } catch {
    return "x"; // a lone surrogate
  }
}
