import assert from "node:assert/strict";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import * as errors from "../errors.ts";

const { AetherError, isAetherError, VersionConflictError, ActorDeletedError } = errors;
const facts = { actorId: "order-1", expectedVersion: 3, actualVersion: 5 };

/** Every class of errors.ts, with something in each field. */
const classes = Object.entries(errors).filter(([name]) =>
  name.endsWith("Error") && name !== "AetherError" && !name.startsWith("is")
);

describe("errors", () => {
  it("have their facts as fields, their class's name, and keep the cause", () => {
    const cause = new Error("below");
    const error = new VersionConflictError(facts, { cause });
    assert.deepEqual({ ...error }, { code: "VERSION_CONFLICT", name: "VersionConflictError", ...facts });
    assert.equal(error.message, "order-1 is at version 5, not 3");
    assert.equal(error.cause, cause);
    assert.match(error.stack ?? "", /errors_test/);
  });

  it("UnknownOutcomeError says how the write is repeated so that it is stored once", () => {
    const says = (fields: Partial<errors.ErrorFields["UNKNOWN_OUTCOME"]>, text: RegExp): void => {
      const { message } = new errors.UnknownOutcomeError({ actorIds: ["a"], eventIds: ["e"], ...fields });
      assert.match(message, text);
    };
    says({ expectedVersion: 0 }, /unknown: repeat it with the event ids of this error and expectedVersion: 0$/);
    says({ expectedVersion: 3, commandId: "c" }, /unknown: repeat it with the same commandId, "c"$/);
    says(
      { eventIds: [], commandId: "c" },
      /^What became of the command to a is unknown: repeat it with the same commandId, "c"$/,
    );
    says({}, /unknown: repeat it as it was$/); // `saveEvent`
    says({ actorIds: ["a", "b"], eventIds: [] }, /a, b is stored is unknown: repeat it as it was$/);
    says({ actorIds: ["a", "b"] }, /if none of them was a number, look for the event ids/);
  });

  it("are instances of their class, of AetherError and of Error, and of no other class", () => {
    for (const [name, one] of classes) {
      const make = one as unknown as new (fields: object, problem?: string) => Error;
      const error = new make(
        { actorIds: [], eventIds: [], missing: [], issues: [], differences: [], reason: {} },
        "problem",
      );
      assert.equal(error.name, name);
      assert.ok(error instanceof AetherError && error instanceof Error && error instanceof make, name);
      for (const [other, two] of classes) {
        if (other !== name) assert.ok(!(error instanceof (two as unknown as new () => Error)), `${name} ${other}`);
      }
    }
    assert.equal(classes.length, 28);
  });

  it("are instances across copies of the package", async () => {
    const folder = await mkdtemp(join(tmpdir(), "aether-"));
    const file = join(folder, "errors.ts");
    for (const name of ["errors.ts", "json.ts"]) {
      await copyFile(new URL(`../${name}`, import.meta.url), join(folder, name));
    }
    const copy: typeof errors = await import(pathToFileURL(file).href);
    await rm(folder, { recursive: true });
    assert.notEqual(copy.AetherError, AetherError);
    const theirs = new copy.VersionConflictError(facts);
    assert.ok(theirs instanceof VersionConflictError && theirs instanceof AetherError);
    assert.ok(!(theirs instanceof ActorDeletedError));
    assert.ok(new VersionConflictError(facts) instanceof copy.VersionConflictError);
    assert.ok(isAetherError(theirs, "VERSION_CONFLICT"));
  });

  it("can be extended, and what is not of a subclass is no instance of it", () => {
    class OrderConflict extends VersionConflictError {}
    assert.ok(new OrderConflict(facts) instanceof VersionConflictError);
    assert.ok(new OrderConflict(facts) instanceof OrderConflict);
    assert.ok(!(new VersionConflictError(facts) instanceof OrderConflict));
  });

  it("isAetherError narrows by code, and knows copies that have lost their class", () => {
    const error: unknown = new VersionConflictError(facts);
    assert.ok(isAetherError(error));
    assert.ok(!isAetherError(error, "ACTOR_DELETED"));
    if (isAetherError(error, "VERSION_CONFLICT")) assert.equal(error.actualVersion satisfies number, 5);
    const copied: unknown = JSON.parse(JSON.stringify({ ...(error as object) }));
    assert.ok(isAetherError(copied, "VERSION_CONFLICT"));
  });

  it("isAetherError is false for everything else", () => {
    const others = [undefined, null, 7, "CLOSED", new Error("x"), { code: "ENOENT" }, { code: "CLOSED" }, {
      code: 10071,
    }];
    for (const other of others) assert.ok(!isAetherError(other), String(other));
    assert.ok(!isAetherError({ code: "toString" }));
    for (const other of others) assert.ok(!(other as unknown instanceof AetherError));
  });
});
