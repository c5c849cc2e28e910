import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Frame, FrameReader, infoFrame } from "../testing/nats_frames.ts";
import { numbers } from "./support/random.ts";

const HEADERS = "NATS/1.0\r\nA: 1\r\n\r\n";

/** A frame, and what is to be read from it. */
const FRAMES: readonly (readonly [string | Uint8Array, Partial<Frame>])[] = [
  ['INFO {"max_payload":1048576,"name":"a b"}\r\n', {
    verb: "INFO",
    argument: '{"max_payload":1048576,"name":"a b"}',
  }],
  ["+OK\r\n", { verb: "+OK", argument: "" }],
  ["-ERR 'Unknown Protocol Operation'\r\n", { verb: "-ERR", argument: "'Unknown Protocol Operation'" }],
  ["ping\r\n", { verb: "PING", argument: "" }],
  ["SUB a.* q 7\r\n", { verb: "SUB", argument: "a.* q 7" }],
  message("PUB a 0", "", "", { subject: "a" }),
  message("PUB a r 5", "", "PUB b", { subject: "a", reply: "r" }),
  message("pub\ta  2 ", "", "\r\n", { subject: "a" }),
  message("MSG ü 7 4", "", "MSG\n", { subject: "ü", sid: "7" }),
  message("MSG a 7 r 3", "", "\0\r\n", { subject: "a", sid: "7", reply: "r" }),
  message(`HPUB a ${HEADERS.length} ${HEADERS.length + 1}`, HEADERS, "x", { subject: "a" }),
  message(`HPUB a r ${HEADERS.length} ${HEADERS.length}`, HEADERS, "", { subject: "a", reply: "r" }),
  message(`HMSG a 7 ${HEADERS.length} ${HEADERS.length + 2}`, HEADERS, "xy", { subject: "a", sid: "7" }),
  message(`HMSG a 7 r ${HEADERS.length} ${HEADERS.length + 2}`, HEADERS, "xy", { subject: "a", sid: "7", reply: "r" }),
  message("PUB a 100000", "", "\r\nMSG".repeat(20_000), { subject: "a" }),
];

describe("FrameReader", () => {
  const stream = joined(FRAMES.map(([bytes]) => bytesOf(bytes)));

  it("reads every frame of one chunk", () => {
    check(new FrameReader().read(stream));
  });

  it("reads the same from any chunks", () => {
    check(readBy(() => 1));
    for (let seed = 1; seed <= 20; seed++) {
      const random = numbers(seed);
      check(readBy(() => 1 + Math.floor(random() ** 4 * 5_000)), `seed ${seed}`);
    }
  });

  it("gives a frame as soon as it is complete", () => {
    const reader = new FrameReader();
    assert.equal(reader.read(bytesOf("PUB a 2\r\nxy\r")).length, 0);
    assert.equal(reader.read(bytesOf("\nPIN")).length, 1);
    assert.equal(reader.read(bytesOf("G\r\n")).length, 1);
  });

  it("refuses what is not NATS", () => {
    for (const line of ["PUB a\r\n", "PUB a -1\r\n", "MSG a 1 1e3\r\n", "HPUB a x 3\r\n"]) {
      assert.throws(() => new FrameReader().read(bytesOf(line)), SyntaxError, line);
    }
  });

  it("reads what infoFrame writes", () => {
    const [frame] = new FrameReader().read(infoFrame({ name: "é" }));
    assert.deepEqual([frame?.verb, frame?.argument], ["INFO", '{"name":"é"}']);
  });

  function check(frames: readonly Frame[], how?: string): void {
    assert.deepEqual(frames.map(({ verb }) => verb), FRAMES.map(([, { verb }]) => verb), how);
    for (const [index, [bytes, expected]] of FRAMES.entries()) {
      assert.deepEqual(frames[index], { ...frames[index], ...expected, bytes: bytesOf(bytes) }, how);
    }
  }

  function readBy(size: () => number): Frame[] {
    const reader = new FrameReader();
    const frames: Frame[] = [];
    for (let from = 0; from < stream.length;) {
      const to = from + size();
      frames.push(...reader.read(stream.subarray(from, to)));
      from = to;
    }
    return frames;
  }
});

function message(
  line: string,
  headers: string,
  payload: string,
  fields: { subject: string; reply?: string; sid?: string },
): [Uint8Array, Partial<Frame>] {
  const bytes = bytesOf(`${line}\r\n${headers}${payload}\r\n`);
  const verb = line.split(/\s/)[0]?.toUpperCase() ?? "";
  return [bytes, { verb, message: { ...fields, headers: bytesOf(headers), payload: bytesOf(payload) } }];
}

function bytesOf(text: string | Uint8Array): Uint8Array {
  return typeof text === "string" ? new TextEncoder().encode(text) : text;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
