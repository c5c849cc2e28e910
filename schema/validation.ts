/** Data and its schema: what comes out is what a reader will get again. */
import type { StandardIssue } from "../errors.ts";
import { copyData } from "../validate.ts";
import type { EventRule } from "./event_rule.ts";
import { chain, isPromise, type MaybePromise } from "./maybe_promise.ts";
import { sameJson } from "./same_json.ts";
import type { StandardResult } from "./standard_schema.ts";

/** Throws the error of the event whose data it is. */
export type Refuse = (issues: readonly StandardIssue[], cause?: unknown) => never;

/** Event types whose schemas are known to answer later. */
const asynchronous = new WeakSet<EventRule>();

/**
 * The schema's output, which the schema accepts again unchanged; at once where the schema answers at once.
 *
 * Output that is not the input, or that JSON would change, goes through the schema once more: for otherwise what is
 * saved would not be what is read.
 */
export function validated(rule: EventRule, data: unknown, refuse: Refuse, isNew = false): MaybePromise<unknown> {
  if (asynchronous.has(rule)) return validatedLater(rule, data, refuse, isNew);
  const result = ask(rule, data, refuse);
  if (!isPromise(result)) return settled(rule, data, outputOf(result, refuse), refuse, isNew);
  asynchronous.add(rule);
  result.catch(() => {}); // it is asked again
  return validatedLater(rule, data, refuse, isNew);
}

/** Of a copy: the caller may change its data before the answer comes. */
function validatedLater(rule: EventRule, data: unknown, refuse: Refuse, isNew: boolean): MaybePromise<unknown> {
  const copy = copyData(data);
  return chain(answer(rule, copy, refuse), (output) => settled(rule, copy, output, refuse, isNew));
}

function settled(
  rule: EventRule,
  data: unknown,
  output: unknown,
  refuse: Refuse,
  isNew: boolean,
): MaybePromise<unknown> {
  // What was given back itself may have been changed in place: of what is to be stored that is found out.
  const mayBeChanged = isNew && typeof output === "object" && output === data;
  if (!mayBeChanged && sameJson(data, output)) return output;
  const stored = copyData(output);
  const changes: Refuse = (issues, cause) => refuse([{ message: CHANGES }, ...issues], cause);
  return chain(answer(rule, copyData(stored), changes), (again) => {
    return sameJson(stored, again) || sameJson(stored, copyData(again)) ? stored : changes([]);
  });
}

const CHANGES = "the schema changes its own output, so that what is saved would not be what is read";

function answer(rule: EventRule, data: unknown, refuse: Refuse): MaybePromise<unknown> {
  const result = ask(rule, data, refuse);
  if (!isPromise(result)) return outputOf(result, refuse);
  return result.then((late) => outputOf(late, refuse), (cause) => refuse([thrown(cause)], cause));
}

function ask(rule: EventRule, data: unknown, refuse: Refuse): MaybePromise<StandardResult<unknown>> {
  try {
    return rule.validate(data);
  } catch (cause) {
    return refuse([thrown(cause)], cause);
  }
}

function outputOf(result: StandardResult<unknown>, refuse: Refuse): unknown {
  return result.issues ? refuse(result.issues) : result.value;
}

function thrown(cause: unknown): StandardIssue {
  return { message: `the schema threw ${cause}` };
}
