/** A decider that is easy to count with, and what wraps a store. */
import { type ActorEvents, type Decider, defineDecider, type EventStore } from "../../mod.ts";

export type CounterEvent = ActorEvents<"counter", { Added: { by: number }; Reset: { to: number } }>;
export type CounterCommand = { readonly add: number; readonly times?: number } | { readonly reset: number };
export interface CounterState {
  readonly sum: number;
  readonly events: number;
}

/** Adding 0 does nothing, adding what is negative is refused. */
export const counter: Decider<CounterState, CounterCommand, CounterEvent> = defineDecider({
  initialState: (): CounterState => ({ sum: 0, events: 0 }),
  evolve({ sum, events }, event: CounterEvent) {
    switch (event.eventType) {
      case "Added":
        return { sum: sum + event.data.by, events: events + 1 };
      case "Reset":
        return { sum: event.data.to, events: events + 1 };
    }
  },
  decide(command: CounterCommand, { sum }) {
    if ("reset" in command) return { eventType: "Reset", data: { to: command.reset } };
    const { add, times = 1 } = command;
    if (add < 0 && sum + add < 0) throw new RangeError(`${sum} is less than ${-add}`);
    if (add === 0) return [];
    return Array.from({ length: times }, () => ({ eventType: "Added", data: { by: add } }) as const);
  },
});

/** The store, with some methods in place of its own. */
export function wrapped(store: EventStore, methods: Partial<EventStore>): EventStore {
  return new Proxy(store, {
    get(target, name): unknown {
      if (name in methods) return methods[name as keyof EventStore];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
