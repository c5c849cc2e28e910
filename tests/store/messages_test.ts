import assert from "node:assert/strict";
import { it } from "node:test";
import { defineEvents, InMemoryEventStore, InvalidNamespaceError, type NewEvent, typed } from "../../mod.ts";
import { added, all, several } from "../../testing/event_store/scene.ts";
import { schema } from "../schema/schemas.ts";

it("the text of an error says what was given, and where", async () => {
  const store = new InMemoryEventStore();
  const says = async (work: () => unknown, text: RegExp): Promise<void> => {
    await assert.rejects((async () => await work())(), { message: text });
  };
  await says(() => store.append("order-1", several(1), { expectedVersion: 0n as never }), /not the bigint 0n$/);
  await says(() => store.append("order-1", several(1), { expectedVersion: "x" as never }), /not the string "x"$/);
  await says(() => store.getEvents("order-1", { limit: 1 } as never), /options are the third argument/);
  await says(() => store.getEvents("order-1", "3" as never), /from 0, not the string "3"$/);
  await says(() => all(store.readAll({ after: "3" as never })), /^after is an integer from 0, not the string "3"$/);
  await says(() => store.getEvents(undefined as never), /^An actor id is a text that is not empty, not undefined$/);
  const bad = { eventType: "Bad", data: { x: [NaN] } };
  await says(() => store.append("order-1", [bad]), /^Invalid event: data\.x\[0\]: NaN is not a JSON number$/);
  await says(() => store.append("order-1", [added(), bad]), /^Invalid event: events\[1\]\.data\.x\[0\]: NaN/);
  const commits = [{ actorId: "order-1", events: several(1) }, { actorId: "order-2", events: [bad] }] as const;
  await says(
    () => store.transact(commits),
    /^Invalid event: commits\[1\] \(order-2\), events\[0\]\.data\.x\[0\]: NaN/,
  );
  const foreign = { type: "Added", data: 1 } as unknown as NewEvent;
  await says(
    () => store.append("order-1", [foreign]),
    /not undefined \(it has `type`; did you mean `eventType`\?\)$/,
  );
  const Order = defineEvents("order", { Added: schema((data) => data) });
  await says(() => typed(store, Order).append("order-1", [foreign as never]), /did you mean `eventType`\?\)$/);
  await says(() => new InMemoryEventStore({ namespace: null as never }), /^Not a namespace: "null"/);
  assert.match(new InvalidNamespaceError({ namespace: String(undefined) }).message, /^The namespace is missing/);
});
