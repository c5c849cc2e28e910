/** The actors of a simulation: they count, and refuse every third command while their count is odd. */
import type { Decider } from "../../decider/decider.ts";
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

/** Counts; `onNone` is told of each decision that stores nothing. */
export function counting(onNone: (command: Command) => void): Decider<number, Command, CounterEvent> {
  return {
    initialState: () => 0,
    evolve: (state) => state + 1,
    decide(command, state) {
      const { number } = command;
      const isRefused = number % 3 === 0 && state % 2 === 1;
      const isNothing = number % 7 === 0 && state % 2 === 0;
      if (isRefused || isNothing) onNone(command);
      if (isRefused) throw new Refusal(state);
      if (isNothing) return [];
      const event = { eventType: "Counted" as const, data: { command: number } };
      return number % 5 === 0 ? [event, event] : [event];
    },
  };
}
