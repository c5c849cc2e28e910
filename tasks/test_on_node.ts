/**
 * Node's reporter `spec`, with dots for what passed. Its reporter `dot` leaves out what a file printed, such as the
 * reason why it could not be loaded.
 * @module
 */
import { Readable } from "node:stream";
import { spec, type TestEvent } from "node:test/reporters";

/** Called by `node --test`. */
export default async function* (events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  yield* Readable.from(shortened(events)).pipe(new spec());
  yield "\n";
}

async function* shortened(events: AsyncIterable<TestEvent>): AsyncGenerator<TestEvent> {
  for await (const event of events) {
    if (event.type === "test:pass") {
      if (event.data.details.type !== "suite") yield { type: "test:stdout", data: { file: "", message: "." } };
    } else if (event.type === "test:diagnostic") {
      // Of a file: what came after a test had ended. The others are the totals.
      if (event.data.file !== undefined) yield event;
    } else if (event.type !== "test:start") yield event;
  }
}
