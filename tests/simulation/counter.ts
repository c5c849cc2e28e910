/** The actors of a simulation: they count, and refuse every third command while their count is odd. */
import { defineDecider } from "../../decider/decider.ts";
import type { ActorEvents } from "../../event.ts";

type CounterEvent = ActorEvents<"counter", { Counted: { command: number } }>;

/** A command. */
export interface Command {
  readonly id: string;
  readonly number: number;
  readonly actorId: `counter-${string}`;
}

/** Why a command was refused: the state was this one. */
export class Refusal extends Error {
  override readonly name = Refusal.name;

  constructor(version: number) {
    super(`odd at ${version}`);
  }

  static versionIn(message: string): number {
    return Number(message.split(" ").at(-1));
  }
}

/** Counts. */
export const counter = defineDecider({
  initialState: () => 0,
  evolve: (state: number, _event: CounterEvent) => state + 1,
  decide: ({ number }: Command, state: number) => {
    if (number % 3 === 0 && state % 2 === 1) throw new Refusal(state);
    if (number % 7 === 0 && state % 2 === 0) return [];
    const event = { eventType: "Counted" as const, data: { command: number } };
    return number % 5 === 0 ? [event, event] : [event];
  },
});
