/** What a seed stands for: a variant, and faults that are drawn before anything runs. */
import { numbers } from "../support/random.ts";
import type { Rates } from "./network.ts";

/** What happens to whom. */
export type FaultKind =
  | "pause" // SIGSTOP: the clocks run on
  | "suspend" // the machine sleeps, and its monotonic clock with it
  | "step" // the wall clock is set
  | "crash"
  | "leave" // as a deployment does it, and back again
  | "clone" // the old process is paused while a new one starts under its name
  | "cut"
  | "stall" // of polls
  | "outage" // of JetStream, or of all of NATS
  | "recreate" // the bucket is deleted and made anew
  | "erase" // a node crashes for good, if there are others, and somebody removes its record
  | "resign"
  | "kill" // for good
  | "join" // one more
  | "visit"; // one more, that leaves again

/** A fault; `who` and `how` from 0 to 1 choose among what there is by then. */
export interface Fault {
  readonly at: number;
  readonly kind: FaultKind;
  readonly length: number;
  readonly who: number;
  readonly how: number;
}

/** A schedule: all that a simulation depends on. */
export interface Schedule {
  readonly seed: number;
  readonly variant: string;
  readonly fenced: boolean;
  /** Whether clocks keep within their bound: else only what holds always is checked. */
  readonly clocks: "bounded" | "lying";
  readonly nodes: number;
  readonly shards: number;
  readonly clients: number;
  /** Milliseconds that a message takes at most. */
  readonly latency: number;
  readonly rates: Rates;
  readonly faults: readonly Fault[];
  /** From when messages meet faults, when the last fault has healed, and when the simulation ends. */
  readonly faulty: number;
  readonly healed: number;
  readonly end: number;
  /** Nothing moves, whatever happens. */
  readonly isCalm: boolean;
  /** No command fails. */
  readonly isGentle: boolean;
}

/** How a variant differs from the first one. */
interface Variant {
  readonly kinds?: readonly FaultKind[];
  readonly rates?: Partial<Rates>;
  readonly clocks?: "lying";
  readonly isCalm?: true;
  readonly isGentle?: true;
  readonly nodes?: number;
  readonly shards?: number;
  readonly clients?: number;
  readonly latency?: number;
  readonly faulty?: number;
  readonly healed?: number;
  /** Milliseconds after the last fault. */
  readonly settle?: number;
  /** Milliseconds between two faults. */
  readonly pause?: readonly [least: number, most: number];
  readonly length?: readonly [least: number, most: number];
}

const RATES: Rates = {
  late: 0.035,
  veryLate: 0.015,
  loss: 0.03,
  twice: 0.02,
  stale: 0.3,
  staleLeader: 0.05,
  lateCommands: 0.1,
  lateTables: 0.02,
  nudgeLoss: 0.05,
};
const NONE: Rates = {
  late: 0,
  veryLate: 0,
  loss: 0,
  twice: 0,
  stale: 0,
  staleLeader: 0,
  lateCommands: 0,
  lateTables: 0,
  nudgeLoss: 0,
};
const KINDS: readonly FaultKind[] = [
  "pause",
  "pause",
  "crash",
  "cut",
  "stall",
  "stall",
  "clone",
  "outage",
  "leave",
  "resign",
  "step",
];
const WILD: readonly FaultKind[] = [...KINDS, "suspend", "suspend", "recreate"];

/**
 * Milliseconds after the last fault until all is as it should be. Where all nodes have died, those that come back under
 * their names wait for one TTL until these are free, and for another until the leader is known to be dead.
 */
const SETTLE = 12_000;

/** Whatever a simulation may be told of. */
export const VARIANTS: Readonly<Record<string, Variant>> = {
  /** All faults, clocks within their bounds. */
  bounded: {},
  /** Machines that sleep, and buckets that are made anew. */
  wild: { kinds: WILD },
  heavy: { rates: { veryLate: 0.1 } },
  wildHeavy: { kinds: WILD, rates: { veryLate: 0.1 } },
  /** All clocks lie, by half and more. */
  lying: { kinds: WILD, clocks: "lying" },
  /** V3: outages of NATS alone move no shard and no leader. */
  outages: { kinds: ["outage"], rates: NONE, isCalm: true, pause: [3_000, 6_000], length: [3_000, 8_000] },
  /** V4: nudges are all lost. */
  noNudges: { rates: { nudgeLoss: 1 } },
  /** V4: polls get no answer for long. */
  noPolls: { kinds: ["stall", "stall", "stall", "crash", "pause"], pause: [300, 1_500], length: [2_000, 15_000] },
  /** V6: a process that is blocked for less than the margin moves nothing. */
  blocked: { kinds: ["pause"], rates: NONE, isCalm: true, pause: [200, 1_500], length: [100, 1_000] },
  /** V5: where nodes only leave and come back, or resign, no command fails. */
  rolling: { kinds: ["leave", "leave", "resign"], rates: NONE, isGentle: true, pause: [1_000, 6_000] },
  /** More nodes and shards: moves are throttled, and balanced. */
  large: { nodes: 5, shards: 24, clients: 2, settle: 14_000, pause: [1_500, 6_000], healed: 14_000 },
  /** Long enough that what is left of the dead is removed. */
  long: {
    kinds: ["visit", "visit", "leave", "crash", "pause", "cut"],
    nodes: 2,
    clients: 1,
    healed: 70_000,
    pause: [2_000, 8_000],
  },
  /** What is left of the dead is removed, and NATS is killed behind that. */
  removed: {
    kinds: ["visit", "visit", "crash", "erase", "outage", "outage"],
    rates: NONE,
    clients: 0,
    healed: 200_000,
    pause: [1_000, 60_000],
    length: [1_500, 6_000],
  },
  /** V1 and B2: one that dies. */
  kill: { kinds: ["kill"], rates: NONE, nodes: 4, shards: 12, pause: [1e9, 1e9], healed: 6_000 },
  killNoNudges: { kinds: ["kill"], rates: { ...NONE, nudgeLoss: 1 }, pause: [1e9, 1e9], healed: 6_000 },
  /** B2: one that joins. */
  join: { kinds: ["join"], rates: NONE, nodes: 3, shards: 12, pause: [1e9, 1e9], healed: 6_000, settle: 6_000 },
  /** Shards move often, and who answers is often late. */
  stale: { kinds: ["leave", "resign", "crash"], rates: { stale: 0.6, staleLeader: 0.5 }, pause: [300, 2_000] },
  /** Nodes come and go at once while the leader's own writes are late. */
  flicker: {
    kinds: ["visit"],
    faulty: 4_000,
    rates: { ...NONE, lateTables: 0.6 },
    pause: [500, 3_000],
    length: [1_500, 4_000],
    nodes: 2,
    shards: 8,
    clients: 0,
    healed: 12_000,
  },
  /** Commands and their answers overtake each other, while shards move and nodes are stopped. */
  lateCommands: {
    kinds: ["leave", "leave", "resign", "pause", "crash"],
    rates: { ...NONE, lateCommands: 0.6 },
    pause: [300, 1_500],
    shards: 2,
    clients: 8,
  },
  /** Clocks drift apart, and no message takes any time. */
  drift: { kinds: ["pause"], rates: NONE, latency: 0, pause: [3_000, 9_000], length: [3_000, 9_000] },
};

/** Which variant a seed is of, by its remainder. */
const TURNS = [
  ["bounded", 2],
  ["wild", 3],
  ["heavy", 2],
  ["wildHeavy", 2],
  ["lying", 3],
  ["outages", 1],
  ["noNudges", 2],
  ["noPolls", 1],
  ["blocked", 1],
  ["large", 1],
  ["kill", 1],
  ["killNoNudges", 1],
  ["join", 1],
  ["drift", 1],
  ["stale", 1],
  ["flicker", 1],
  ["long", 1],
  ["rolling", 1],
  ["lateCommands", 1],
  ["removed", 1],
] as const;
const ORDER = TURNS.flatMap(([variant, times]) => Array<string>(times).fill(variant));

/** The schedule of a seed, or of a seed in a variant that is not its own. */
export function drawSchedule(seed: number, options: { variant?: string; fenced?: boolean } = {}): Schedule {
  const random = numbers(seed);
  const variant = options.variant ?? ORDER[seed % ORDER.length] as string;
  const set = VARIANTS[variant];
  if (set === undefined) throw new Error(`No variant is called ${variant}: ${Object.keys(VARIANTS).join(", ")}`);
  const fenced = options.fenced ?? Math.floor(seed / ORDER.length) % 2 === 0;
  const healed = set.healed ?? 15_000;
  return {
    seed,
    variant,
    fenced,
    clocks: set.clocks ?? "bounded",
    nodes: set.nodes ?? 3,
    shards: set.shards ?? 3,
    clients: set.clients ?? 3,
    latency: set.latency ?? 6,
    rates: { ...RATES, ...set.rates },
    faults: drawFaults(random, set, healed),
    faulty: set.faulty ?? 0,
    healed,
    end: healed + (set.settle ?? SETTLE),
    isCalm: set.isCalm ?? false,
    isGentle: set.isGentle ?? false,
  };
}

function drawFaults(random: () => number, set: Variant, healed: number): Fault[] {
  const { kinds = KINDS, pause = [500, 4_000], length } = set;
  const between = ([least, most]: readonly [number, number]): number => least + random() * (most - least);
  const faults: Fault[] = [];
  for (let at = 4_000 + random() * 2_000; at < healed; at += between(pause)) {
    const kind = kinds[Math.floor(random() * kinds.length)] as FaultKind;
    faults.push({
      at: Math.round(at),
      kind,
      length: Math.round(Math.min(between(length ?? lengthOf(kind, random)), healed - at)),
      who: random(),
      how: random(),
    });
  }
  return faults;
}

/** Milliseconds that a fault takes. */
function lengthOf(kind: FaultKind, random: () => number): readonly [number, number] {
  switch (kind) {
    case "pause":
      return random() < 0.5 ? [300, 3_000] : [4_000, 11_000];
    case "suspend":
      return [3_000, 12_000];
    case "crash":
      return [50, 6_000];
    case "clone":
      return [2_000, 9_000];
    case "cut":
      return [200, 8_000];
    case "stall":
      return [1_000, 20_000];
    case "outage":
      return [3_000, 8_000];
    default:
      return [50, 1_000];
  }
}
