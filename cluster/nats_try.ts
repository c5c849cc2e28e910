/** Requests to JetStream of which nobody here waits for long: whoever sends them tries again by himself. */
import { Failed, type Failure } from "../store/answer.ts";
import { Operation } from "../store/operation.ts";

/** Milliseconds that one answer may take. */
const TRY = 800;

/** The time of one try. */
export function oneTry(): Operation {
  return new Operation(TRY, undefined, TRY);
}

/**
 * What a try failed with.
 * @throws what is no answer of the server, nor the lack of one
 */
export function failureIn(error: unknown): Failure {
  if (error instanceof Failed) return error.failure;
  if (error instanceof Error && "code" in error) return { kind: "silence", description: error.message };
  throw error;
}
