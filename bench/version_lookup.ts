/** The headline: the latest version in constant time, whatever the history. */
import process from "node:process";
import { type Histories, histories, LENGTHS } from "./histories.ts";
import { best, type Candidate, medians, type Row } from "./measure.ts";

const ROUNDS = 1_500;
const CACHED = 1_000_000;

/** Measures look-ups of histories of 10 to 1,000,000 events. */
export async function versionLookup(full: boolean): Promise<Row[]> {
  const filled = await histories();
  try {
    return await measure(filled, full);
  } finally {
    await filled[Symbol.asyncDispose]();
  }
}

async function measure(filled: Histories, full: boolean): Promise<Row[]> {
  const { store, actorOf } = filled;
  const candidates = LENGTHS.flatMap((length) => [bare(filled, length), lookUp(filled, length)]);
  const times = await medians(candidates, full ? 10 * ROUNDS : ROUNDS);
  const of = (name: string): number => times.get(name) ?? NaN;
  const rows: Row[] = LENGTHS.map((length) => {
    const ratio = of(lookUpName(length)) / of(bareName(length));
    const figure = `${ratio.toFixed(2)} × bare (${micro(of(lookUpName(length)))} against ${
      micro(of(bareName(length)))
    })`;
    const work = `latest version of ${length.toLocaleString("en")} events`;
    return { work, figure, bar: { text: "≤ 1.15 × a bare Direct Get", met: ratio <= 1.15 } };
  });
  const all = LENGTHS.map((length) => of(lookUpName(length)));
  const flat = Math.max(...all) / Math.min(...all);
  rows.push({
    work: "… slowest ÷ fastest of these",
    figure: flat.toFixed(2),
    bar: { text: "≤ 1.15", met: flat <= 1.15 },
  });
  for (const length of [LENGTHS[0], LENGTHS[3]]) {
    const time = await best(5, () => cached(store, actorOf(length)), Math.min);
    const work = `… "cached", of ${length.toLocaleString("en")} events`;
    rows.push({ work, figure: `${time.toFixed(0)} ns`, bar: { text: "≤ 150 ns, best of five", met: time <= 150 } });
  }
  const growth: number[] = [];
  for (const length of LENGTHS) growth.push(await heapGrowth(store, actorOf(length)));
  const figure = `${growth.map((bytes) => bytes.toFixed(0)).join(", ")} B`;
  const met = growth.every((bytes) => bytes < 16);
  rows.push({
    work: "… heap kept per look-up, the four histories",
    figure,
    bar: { text: "independent of history", met },
  });
  return rows;
}

/** A raw request on the same connection. */
export function bare({ nc, store, subjectOf }: Histories, length: number): Candidate {
  const subject = `$JS.API.DIRECT.GET.${store.stream}.${subjectOf(length)}`;
  return { name: bareName(length), run: () => nc.request(subject, "", { timeout: 5_000 }) };
}

/** The library's look-up. */
export function lookUp({ store, actorOf }: Histories, length: number): Candidate {
  const actorId = actorOf(length);
  return { name: lookUpName(length), run: () => store.getLatestVersion(actorId) };
}

function bareName(length: number): string {
  return `bare Direct Get, ${length} events`;
}

function lookUpName(length: number): string {
  return `getLatestVersion, ${length} events`;
}

/** Nanoseconds. */
async function cached(store: Histories["store"], actorId: string): Promise<number> {
  const start = performance.now();
  for (let count = 0; count < CACHED; count++) await store.getLatestVersion(actorId, { consistency: "cached" });
  return (performance.now() - start) / CACHED * 1e6;
}

/** Bytes still held after many look-ups, by look-up. */
async function heapGrowth(store: Histories["store"], actorId: string): Promise<number> {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) return NaN;
  const look = async (times: number): Promise<number> => {
    for (let count = 0; count < times; count++) await store.getLatestVersion(actorId);
    gc();
    return process.memoryUsage().heapUsed;
  };
  const before = await look(2_000);
  return Math.max(0, (await look(5_000) - before) / 5_000);
}

function micro(milliseconds: number): string {
  return `${(milliseconds * 1_000).toFixed(0)} µs`;
}
