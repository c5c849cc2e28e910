import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isAetherError } from "../../errors.ts";
import { answerOf, errorOf, Failed, failureOf, isPassing, isWorthAnother, limitOf } from "../../store/answer.ts";

/** What the server says, what it means, the error where it stays so, and whether a write, a read is tried again. */
const ANSWERS = [
  [10071, "wrong last sequence: 7", "conflict", "UNAVAILABLE", { write: true, read: false }],
  [10164, "wrong last sequence", "conflict", "UNAVAILABLE", { write: true, read: false }],
  [10008, "JetStream system temporarily unavailable", "busy", "UNAVAILABLE", { write: true, read: true }],
  [10009, "JetStream cluster can not handle request", "busy", "UNAVAILABLE", { write: true, read: true }],
  [10118, "stream is offline", "busy", "UNAVAILABLE", { write: true, read: true }],
  [10167, "too many requests", "busy", "UNAVAILABLE", { write: true, read: true }],
  [10210, "atomic publish too many inflight", "busy", "UNAVAILABLE", { write: true, read: true }],
  [10176, "atomic publish batch is incomplete", "incomplete", "UNAVAILABLE", { write: true, read: false }],
  [10199, "atomic publish batch is too large: 1000", "large", "UNAVAILABLE", { write: false, read: false }],
  [10037, "no message found", "none", "UNAVAILABLE", { write: false, read: false }],
  [10043, "sequence 7 not found", "none", "UNAVAILABLE", { write: false, read: false }],
  [10057, "no message found", "none", "UNAVAILABLE", { write: false, read: false }],
  [10057, "message delete not permitted", "refused", "UNAVAILABLE", { write: false, read: false }],
  [10059, "stream not found", "gone", "STREAM_CONFIG", { write: false, read: false }],
  [10002, "resource limits exceeded for account", "limit", "LIMIT_REACHED", { write: false, read: false }],
  [10023, "insufficient resources", "limit", "LIMIT_REACHED", { write: false, read: false }],
  [10026, "maximum consumers limit reached", "limit", "LIMIT_REACHED", { write: false, read: false }],
  [10027, "maximum number of streams reached", "limit", "LIMIT_REACHED", { write: false, read: false }],
  [10028, "insufficient memory resources available", "limit", "LIMIT_REACHED", { write: false, read: false }],
  [10047, "insufficient storage resources available", "limit", "LIMIT_REACHED", { write: false, read: false }],
  [10054, "message size exceeds maximum allowed", "limit", "LIMIT_REACHED", { write: false, read: false }],
  [10077, "maximum bytes exceeded", "limit", "LIMIT_REACHED", { write: false, read: false }],
  [10122, "stream max bytes exceeds account limit", "limit", "LIMIT_REACHED", { write: false, read: false }],
  [10039, "JetStream not enabled for account", "off", "UNAVAILABLE", { write: false, read: false }],
  [10076, "JetStream not enabled", "off", "UNAVAILABLE", { write: false, read: false }],
  [10109, "invalid operation on sealed stream", "changed", "STREAM_CONFIG", { write: false, read: false }],
  [10174, "atomic publish is disabled", "changed", "STREAM_CONFIG", { write: false, read: false }],
  [10060, "expected stream does not match", "refused", "UNAVAILABLE", { write: false, read: false }],
  [10201, "batch contains duplicate message id", "refused", "UNAVAILABLE", { write: false, read: false }],
  [99999, "an error of a later server", "refused", "UNAVAILABLE", { write: false, read: false }],
] as const;

/** What the client throws. */
const THROWN = [
  ["NoResponders", "absent", "UNAVAILABLE", { write: true, read: true }],
  ["TimeoutError", "silence", "UNAVAILABLE", { write: false, read: true }],
  ["RequestError", "silence", "UNAVAILABLE", { write: false, read: true }], // the connection ended while it waited
  ["ClosedConnectionError", "closed", "CLOSED", { write: false, read: false }],
  ["DrainingConnectionError", "closed", "CLOSED", { write: false, read: false }],
  ["PermissionViolationError", "forbidden", "PERMISSION", { write: false, read: false }],
] as const;

describe("an answer has one meaning", () => {
  for (const [code, description, meaning, error, again] of ANSWERS) {
    it(`${code} ${description}: ${meaning}`, () => {
      const failure = answerOf({ err_code: code, description });
      assert.deepEqual(failure, { kind: "answer", meaning, code, description: `${description} (${code})` });
      assert.equal(errorOf(failure, "AETHER_x").code, error);
      assert.deepEqual({ write: isWorthAnother(failure), read: isPassing(failure) }, again);
    });
  }

  for (const [name, kind, error, again] of THROWN) {
    it(`${name}: ${kind}, in causes too`, () => {
      for (const thrown of [named(name), named("RequestError", named(name))]) {
        const failure = failureOf(thrown, "subject");
        assert.equal(failure.kind, kind);
        assert.equal(errorOf(failure, "AETHER_x").code, error);
        assert.deepEqual({ write: isWorthAnother(failure), read: isPassing(failure) }, again);
      }
    });
  }

  it("whatever else is thrown is silence: nobody knows", () => {
    assert.equal(failureOf("odd", "subject").kind, "silence");
    assert.equal(failureOf(new TypeError("odd"), "subject").kind, "silence");
  });

  it("a refusal names the subject that was refused, and keeps its cause", () => {
    const cause = new Failed({ kind: "absent", description: "" });
    const own = errorOf(failureOf(named("PermissionViolationError"), "aether.x"), "AETHER_x", cause);
    assert.ok(isAetherError(own, "PERMISSION") && own.subject === "aether.x" && own.cause === cause);
    const inbox = named("RequestError", Object.assign(named("PermissionViolationError"), { subject: "_INBOX.x" }));
    const other = errorOf(failureOf(inbox, "aether.x"), "AETHER_x");
    assert.ok(isAetherError(other, "PERMISSION") && other.subject === "_INBOX.x");
  });

  it("the limit of a batch is what the server says", () => {
    const failure = answerOf({ err_code: 10199, description: "atomic publish batch is too large: 50" });
    assert.equal(failure.kind === "answer" && limitOf(failure), 50);
  });
});

function named(name: string, cause?: Error): Error {
  return Object.assign(new Error("text", { cause }), { name });
}
