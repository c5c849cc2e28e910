/** A counter that lives in one of the houses of a town. */
import assert from "node:assert/strict";
import type { EventStore } from "../../../mod.ts";
import { wrapped } from "../../support/counter.ts";
import { type House, shard } from "./town.ts";

export const ACTOR = "counter-1";
export const HOME = shard(ACTOR);

/** Something that is waited for. */
export function gate(): { readonly open: () => void; readonly opened: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { open: resolve, opened: promise };
}

/** Whatever was thrown. */
export async function thrown(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return assert.fail("nothing was thrown");
}

/** The shard of the counter becomes the house's. */
export function take(house: House): House {
  house.estate.take(HOME);
  return house;
}

/** A store whose appends wait. */
export function slowed(store: EventStore, opened: Promise<void>): EventStore {
  return wrapped(store, {
    async append(actorId: string, events: never, options) {
      await opened;
      return await store.append(actorId, events, options) as never;
    },
  });
}
