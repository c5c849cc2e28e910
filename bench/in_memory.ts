/** Appends to the store in memory, awaited one by one: validation and copy included. */
import { InMemoryEventStore } from "../mod.ts";
import { best, type Row } from "./measure.ts";

const APPENDS = 400_000;
/** 100 bytes as JSON. */
const DATA = { total: 99.99, items: 3, customer: "customer-0815", note: "leave it at the door please!", ok: true };

export async function inMemory(): Promise<Row[]> {
  const rate = await best(5, appends, Math.max);
  const work = `append in memory, ${JSON.stringify(DATA).length} bytes of data`;
  const figure = `${Math.round(rate / 1_000).toLocaleString("en")},000 a second`;
  return [{ work, figure, bar: { text: "≥ 500,000 a second, best of five", met: rate >= 500_000 } }];
}

/** A second. */
async function appends(): Promise<number> {
  const store = new InMemoryEventStore();
  const start = performance.now();
  for (let count = 0; count < APPENDS; count++) {
    await store.append(`order-${count % 1_000}`, [{ eventType: "OrderPlaced", data: DATA }]);
  }
  return APPENDS / (performance.now() - start) * 1_000;
}
