import { defineDecider, defineEvents } from "../../mod.ts";
import { z } from "zod";

export const Counter = defineEvents("counter", { Increased: z.object({ by: z.number().int().positive() }) });

/** A number that only ever grows. */
export const counter = defineDecider({
  events: Counter,
  initialState: () => 0,
  evolve: (value: number, { data }) => value + data.by,
  decide: (command: { readonly increase: number }) => ({ eventType: "Increased", data: { by: command.increase } }),
});
