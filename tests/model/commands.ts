/** Random commands, and what each does to the reference and to a store. */
import fc from "fast-check";
import assert from "node:assert/strict";
import { type EventStore, type ExpectedVersion, isAetherError } from "../../mod.ts";
import { all } from "../../testing/event_store/scene.ts";
import { type Outcome, Reference, type Written } from "./reference.ts";

/** Two of a kind, and two whose ids are a test of the encoding. */
const ACTORS = ["order-1", "order-2", "a.b>*", "é-\u{1F600}"] as const;
const TIMESTAMP = "2026-01-31T12:00:00.000Z";

/** What is expected, seen from the latest version. */
type Expects = "any" | "exists" | "the latest" | "an older" | "a newer" | "none";

interface PartCommand {
  readonly actor: number;
  readonly data: readonly unknown[];
  readonly expects: Expects;
}

/** One step of a run. */
export type Command =
  | { readonly type: "append" } & PartCommand
  | { readonly type: "transact"; readonly parts: readonly PartCommand[] }
  | { readonly type: "save"; readonly actor: number; readonly ahead: number; readonly data: unknown }
  | { readonly type: "repeat"; readonly back: number }
  | { readonly type: "delete"; readonly actor: number }
  | {
    readonly type: "read";
    readonly actor: number;
    readonly from: number;
    readonly to: number;
    readonly count: number;
  }
  | { readonly type: "look" }
  | { readonly type: "fault"; readonly fault: number };

const actor = fc.nat({ max: ACTORS.length - 1 });
/** As JSON gives it back. */
const value = fc.jsonValue({ maxDepth: 2 }).map((data) => JSON.parse(JSON.stringify(data)));
const part: fc.Arbitrary<PartCommand> = fc.record({
  actor,
  data: fc.array(value, { maxLength: 4 }),
  expects: fc.constantFrom<Expects[]>("any", "exists", "the latest", "the latest", "an older", "a newer", "none"),
});

/** The commands of a run. */
export const commands: fc.Arbitrary<Command[]> = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: part.map((one): Command => ({ type: "append", ...one })) },
    {
      weight: 4,
      arbitrary: fc.uniqueArray(part, { minLength: 1, maxLength: 3, selector: (one) => one.actor })
        .map((parts): Command => ({ type: "transact", parts })),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        type: fc.constant("save" as const),
        actor,
        ahead: fc.integer({ min: -1, max: 3 }),
        data: value,
      }),
    },
    { weight: 3, arbitrary: fc.record({ type: fc.constant("repeat" as const), back: fc.nat({ max: 3 }) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("delete" as const), actor }) },
    {
      weight: 3,
      arbitrary: fc.record({
        type: fc.constant("read" as const),
        actor,
        from: fc.nat({ max: 12 }),
        to: fc.nat({ max: 12 }),
        count: fc.nat({ max: 6 }),
      }),
    },
    { weight: 1, arbitrary: fc.constant<Command>({ type: "look" }) },
    { weight: 3, arbitrary: fc.record({ type: fc.constant("fault" as const), fault: fc.nat() }) },
  ),
  { minLength: 1, maxLength: 40, size: "max" },
);

/** What a run is about. */
export interface Subject {
  /** Another one now and then, as if the process had started anew. */
  store(): EventStore;
  /** Something happens to the network or the process. */
  fault(number: number): void | Promise<void>;
  /** A write may come back as its own duplicate, where answers are lost. */
  readonly lossy: boolean;
}

/** Runs commands on a store and on the reference, and compares what they say after each. */
export async function run(subject: Subject, steps: readonly Command[]): Promise<void> {
  const reference = new Reference();
  const done: Written[][] = [];
  let ids = 0;

  const written = ({ actor, data, expects }: PartCommand): Written => {
    const actorId = ACTORS[actor] as string;
    const latest = reference.latest(actorId);
    const expected: Record<Expects, ExpectedVersion> = {
      any: data.length === 0 ? "exists" : "any", // a check without an expectation is no command
      exists: "exists",
      "the latest": latest,
      "an older": Math.max(0, latest - 1),
      "a newer": latest + 1,
      none: 0,
    };
    return { actorId, events: data.map((one) => ({ id: `e${++ids}`, data: one })), expectedVersion: expected[expects] };
  };
  const newEvents = ({ events }: Written) => events.map(({ id, data }) => ({ id, data, eventType: "Added" }));

  /** Sends writes, and compares. */
  async function write(
    writes: readonly Written[],
    send: () => Promise<readonly { version: number; duplicate: boolean }[]>,
  ): Promise<void> {
    const outcomes = reference.write(writes);
    let actual: Outcome[];
    try {
      actual = (await send()).map(({ version, duplicate }) => ({ version, duplicate }));
    } catch (error) {
      if (isAetherError(error, "VERSION_CONFLICT")) {
        const { code, actorId, actualVersion } = error;
        actual = [{ code, actorId, actualVersion }];
      } else if (isAetherError(error, "ACTOR_DELETED")) {
        const { code, actorId } = error;
        actual = [{ code, actorId }];
      } else throw error;
    }
    const plain = (list: readonly Outcome[]): unknown[] =>
      list.map((one) => "duplicate" in one && subject.lossy ? { version: one.version } : one);
    assert.deepEqual(plain(actual), plain(outcomes));
    if (outcomes.every((one) => "version" in one)) done.push([...writes]);
  }

  async function send(writes: readonly Written[]): Promise<void> {
    const [first] = writes;
    if (first?.version !== undefined) {
      const { actorId, version, events: [event] } = first;
      const whole = {
        id: event?.id ?? "",
        data: event?.data,
        actorId,
        version,
        eventType: "Added",
        timestamp: TIMESTAMP,
      };
      return await write(writes, async () => [await subject.store().saveEvent(whole)]);
    }
    if (first && writes.length === 1) {
      const { actorId, expectedVersion } = first;
      return await write(
        writes,
        async () => [await subject.store().append(actorId, newEvents(first), { expectedVersion })],
      );
    }
    await write(writes, () =>
      subject.store().transact(writes.map((one) => ({
        actorId: one.actorId,
        events: newEvents(one),
        expectedVersion: one.expectedVersion,
      }))));
  }

  /** All that a store can be asked. */
  async function look(): Promise<void> {
    const store = subject.store();
    const commits = (await all(store.readAll())).map(({ actorId, version, events, deleted = false }) => ({
      actorId,
      version,
      events: events.map(({ id, version, data }) => ({ id, data, version })),
      deleted,
    }));
    assert.deepEqual(commits, reference.commits);
    const actors = new Map((await all(store.listActors())).map(({ actorId, version }) => [actorId, version]));
    assert.deepEqual([...actors].sort(), [...reference.actors()].sort());
    for (const actorId of ACTORS) {
      assert.equal(await store.getLatestVersion(actorId), reference.latest(actorId));
      assert.equal(await store.getLatestVersion(actorId, { consistency: "leader" }), reference.latest(actorId));
    }
  }

  for (const step of steps) {
    switch (step.type) {
      case "append":
        await send([written(step)]);
        break;
      case "transact": {
        const writes = step.parts.map(written);
        if (writes.some(({ events }) => events.length > 0)) await send(writes);
        break;
      }
      case "save": {
        const actorId = ACTORS[step.actor] as string;
        const version = Math.max(1, reference.latest(actorId) + step.ahead);
        await send([{
          actorId,
          version,
          expectedVersion: version - 1,
          events: [{ id: `e${++ids}`, data: step.data }],
        }]);
        break;
      }
      case "repeat": {
        const writes = done.at(-1 - step.back);
        const isAnchored = writes?.every(({ expectedVersion }) => typeof expectedVersion === "number");
        if (writes && isAnchored && writes.every(({ events }) => events.length > 0)) await send(writes);
        break;
      }
      case "delete": {
        const actorId = ACTORS[step.actor] as string;
        const { version } = await subject.store().deleteActor(actorId);
        assert.equal(version, reference.delete(actorId));
        break;
      }
      case "read":
        await read(step.actor, step.from, step.to, step.count);
        break;
      case "look":
        await look();
        break;
      case "fault":
        await subject.fault(step.fault);
    }
  }
  await look();

  async function read(actor: number, fromVersion: number, toVersion: number, count: number): Promise<void> {
    const actorId = ACTORS[actor] as string;
    const store = subject.store();
    const kept = reference.events(actorId);
    const within = kept.filter(({ version }) => version >= fromVersion && version <= toVersion);
    const got = async (options: { toVersion?: number; limit?: number; last?: number }): Promise<unknown[]> =>
      (await store.getEvents(actorId, fromVersion, options)).map(({ id, version, data }) => ({ id, data, version }));
    assert.deepEqual(await got({ toVersion }), within);
    assert.deepEqual(await got({ toVersion, limit: count }), within.slice(0, count));
    assert.deepEqual(await got({ toVersion, last: count }), count === 0 ? [] : within.slice(-count));
    assert.deepEqual(await got({}), kept.filter(({ version }) => version >= fromVersion));
  }
}
