/** The bus within a process: deliveries, what very many subscriptions cost, and memory behind a slow subscriber. */
import Emittery from "emittery";
import process from "node:process";
import { actorTypeOf } from "../actor_id.ts";
import { type Event, type EventSubscription, LocalEventBus, shardOf } from "../mod.ts";
import { median, type Row } from "./measure.ts";

/** Published at once: fewer than may wait. */
const LOT = 1_000;
const LOTS = 2_000;
const MANY = 100_000;
const FEW = 10;
const DISPATCHES = 200_000;
const SHARDS = 65_536;
const MILLION = 1_000_000;

type Bus = LocalEventBus<Event>;

export async function localBus(): Promise<Row[]> {
  const rows: Row[] = [];
  let [rate, theirs] = [0, 0];
  for (let round = 0; round < 5; round++) { // in turns, so that a noisy machine is noisy for both
    rate = Math.max(rate, await ours());
    theirs = Math.max(theirs, await emitterys());
  }
  rows.push({
    work: "local bus: deliveries to one handler, filtered by type",
    figure: `${millions(rate)} a second`,
    bar: { text: "≥ 5,000,000 a second, best of five", met: rate >= 5 * MILLION },
  }, {
    work: "… against emittery",
    figure: `${(rate / theirs).toFixed(1)} × (${millions(theirs)} a second)`,
    bar: { text: "≥ 10 ×", met: rate >= 10 * theirs },
  });
  for (const kind of ["actorId", "eventTypes", "actorTypes", "shards", "a quarter each"] as const) {
    const { ratio, few, many } = await dispatch(kind);
    rows.push({
      work: `… an event among 100,000 subscriptions by ${kind} ÷ among 10`,
      figure: `${ratio.toFixed(2)} (${many.toFixed(0)} ns ÷ ${few.toFixed(0)} ns)`,
      bar: { text: "≤ 2", met: ratio <= 2 },
    });
  }
  const growth = await slowSubscriber();
  rows.push({
    work: "… heap growth from the 1st to the 10th million through slow subscribers",
    figure: `${(growth / 1024).toFixed(0)} KB`,
    bar: { text: "≤ 1 MB: flat", met: growth <= 2 ** 20 },
  });
  return rows;
}

const EVENTS = Array.from({ length: LOT }, (_, index) => eventOf(`order-${index}`, "OrderPlaced"));

/** Deliveries a second. Each contender has a loop of its own: a shared one would cost more than the faster of them. */
async function ours(): Promise<number> {
  await using bus = new LocalEventBus();
  let count = 0;
  bus.on({ eventTypes: ["OrderPlaced"] }, () => void count++);
  const start = performance.now();
  for (let lot = 1; lot <= LOTS; lot++) {
    for (const event of EVENTS) void bus.publish(event);
    while (count < lot * LOT) await undefined;
  }
  return LOTS * LOT / (performance.now() - start) * 1_000;
}

async function emitterys(): Promise<number> {
  const emitter = new Emittery<Record<string, Event>>();
  let count = 0;
  emitter.on("OrderPlaced", () => void count++);
  const start = performance.now();
  for (let lot = 1; lot <= LOTS; lot++) {
    for (const event of EVENTS) void emitter.emit(event.eventType, event);
    while (count < lot * LOT) await undefined;
  }
  return LOTS * LOT / (performance.now() - start) * 1_000;
}

type Kind = "actorId" | "eventTypes" | "actorTypes" | "shards" | "a quarter each";

/** One event at a time that one subscription is for: nanoseconds, with few and with many others. */
async function dispatch(kind: Kind): Promise<{ ratio: number; few: number; many: number }> {
  const few = new LocalEventBus({ shards: SHARDS });
  const many = new LocalEventBus({ shards: SHARDS });
  const events = subscribeAll(few, kind, FEW);
  subscribeAll(many, kind, MANY);
  const times = new Map<Bus, number[]>([[few, []], [many, []]]);
  for (let round = -2; round < 7; round++) { // the first ones warm up
    for (const [bus, list] of times) {
      const start = performance.now();
      for (let count = 0; count < DISPATCHES; count++) {
        void bus.publish(events[count % events.length] as Event);
        if (count % LOT === 0) await undefined;
      }
      if (round >= 0) list.push((performance.now() - start) / DISPATCHES * 1e6);
    }
  }
  const [a = NaN, b = NaN] = [...times.values()].map(median);
  await few[Symbol.asyncDispose]();
  await many[Symbol.asyncDispose]();
  return { ratio: b / a, few: a, many: b };
}

/** Each with a filter of its own; the events that the first of them are for. */
function subscribeAll(bus: Bus, kind: Kind, count: number): Event[] {
  const kinds = kind === "a quarter each" ? ["actorId", "eventTypes", "actorTypes", "shards"] as const : [kind];
  const events: Event[] = [];
  const taken = new Set<number>();
  for (let index = 0; index < count; index++) {
    const event = eventOf(`type${index}-1`, `Type${index}`);
    const { actorId, eventType } = event;
    const shard = shardOf(actorId, SHARDS);
    if (index < FEW) {
      events.push(event);
      taken.add(shard);
    }
    const subscribers: Readonly<Record<Exclude<Kind, "a quarter each">, () => EventSubscription<Event>>> = {
      actorId: () => bus.on({ actorId }, () => {}),
      eventTypes: () => bus.on({ eventTypes: [eventType] }, () => {}),
      actorTypes: () => bus.on({ actorTypes: [actorTypeOf(actorId)] }, () => {}),
      // There are fewer shards than subscriptions; those of the events stay with one each.
      shards: () => bus.on({ shards: [index >= FEW && taken.has(shard) ? SHARDS - 1 : shard] }, () => {}),
    };
    subscribers[kinds[index % kinds.length] ?? "actorId"]();
  }
  return events;
}

/** Bytes, from after a million events to after ten, each an object of its own. */
async function slowSubscriber(): Promise<number> {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) return NaN;
  const bus: Bus = new LocalEventBus();
  for (const overflow of ["drop-oldest", "drop-newest"] as const) {
    bus.on({ eventTypes: ["OrderPlaced"], overflow }, () => new Promise((resolve) => setTimeout(resolve, 1)));
    bus.subscribe({ actorTypes: ["order"], overflow });
  }
  bus.on({ onError: () => {} }, () => new Promise(() => {})); // hangs: its subscription ends with OVERFLOW
  const publish = async (from: number, to: number): Promise<number> => {
    for (let index = from; index < to; index++) {
      void bus.publish(eventOf(`order-${index}`, "OrderPlaced"));
      if (index % 10_000 === 0) await new Promise((resolve) => setTimeout(resolve, 0));
    }
    gc();
    return process.memoryUsage().heapUsed;
  };
  const before = await publish(0, MILLION);
  const growth = await publish(MILLION, 10 * MILLION) - before;
  await bus[Symbol.asyncDispose]();
  return Math.max(0, growth);
}

function eventOf(actorId: string, eventType: string): Event {
  return { id: "e-1", eventType, actorId, version: 1, data: { total: 42 }, timestamp: "2026-01-31T12:00:00.000Z" };
}

function millions(rate: number): string {
  return `${(rate / MILLION).toFixed(1)} million`;
}
