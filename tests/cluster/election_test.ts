import { connect } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isAetherError, LeaderElection, type Leadership } from "../../mod.ts";
import { FaultyNetwork } from "../../testing/mod.ts";
import { until } from "../support/jetstream.ts";
import { serverOf } from "./support/place.ts";

/** A candidate whose work does nothing until its term ends, and what it has been given. */
interface Standing extends AsyncDisposable {
  readonly election: LeaderElection;
  readonly terms: Leadership[];
  /** Whether it leads right now. */
  readonly leads: boolean;
}

describe("LeaderElection", () => {
  const at = serverOf();

  async function stand(namespace: string, nodeId: string, nc = at.nc): Promise<Standing> {
    const election = await LeaderElection.campaign(nc, { namespace, name: "a.b", nodeId });
    const terms: Leadership[] = [];
    const leading = election.lead(async (term) => {
      terms.push(term);
      await new Promise<void>((resolve) => term.signal.addEventListener("abort", () => resolve()));
    });
    return {
      election,
      terms,
      get leads(): boolean {
        return terms.some(({ assert, signal }) => {
          try {
            assert();
            return !signal.aborted;
          } catch {
            return false;
          }
        });
      },
      async [Symbol.asyncDispose](): Promise<void> {
        await election[Symbol.asyncDispose]();
        await leading.catch((error) => assert.ok(isAetherError(error, "CLOSED"), String(error)));
      },
    };
  }

  it("is over where its connection is closed: lead rejects with CLOSED, at once", async () => {
    const namespace = at.namespace();
    const nc = await connect({ servers: at.url });
    const election = await LeaderElection.campaign(nc, { namespace });
    const begun = Promise.withResolvers<Leadership>();
    const leading = election.lead(async (term) => {
      begun.resolve(term);
      await new Promise<void>((resolve) => term.signal.addEventListener("abort", () => resolve()));
    });
    const rejected = assert.rejects(leading, { code: "CLOSED" });
    const term = await begun.promise;
    const began = performance.now();
    await nc.close();
    await rejected;
    assert.throws(term.assert, { code: "LEADERSHIP_LOST" });
    await assert.rejects(election.lead(() => {}), { code: "CLOSED" });
    await election[Symbol.asyncDispose]();
    assert.equal(election.leader, undefined);
    const took = performance.now() - began;
    assert.ok(took < 3_000, `${took} ms: nobody is to be told`);
  });

  it("has one leader, whose token is greater than all before; after it resigned it may not act", async () => {
    const namespace = at.namespace();
    await using a = await stand(namespace, "a");
    await using b = await stand(namespace, "b");
    const both = [a, b];
    const tokens: number[] = [];
    for (let round = 0; round < 6; round++) {
      await until(() => both.some(({ leads }) => leads));
      const [leader, other] = a.leads ? [a, b] : [b, a];
      assert.equal(other.leads, false);
      const term = leader.terms.at(-1) as Leadership;
      tokens.push(term.token);
      await until(() => both.every(({ election }) => election.leader?.token === term.token));
      assert.equal(other.election.leader?.nodeId, leader === a ? "a" : "b");
      await leader.election.resign();
      assert.throws(term.assert, (error) => isAetherError(error, "LEADERSHIP_LOST") && error.token === term.token);
      assert.ok(isAetherError(term.signal.reason, "LEADERSHIP_LOST"));
      await until(() => other.leads);
    }
    assert.deepEqual(tokens, [...new Set(tokens)].sort((one, two) => one - two));
  });

  it("steps down only once its work has returned, and gives out what it rejects with", async () => {
    const namespace = at.namespace();
    await using one = await LeaderElection.campaign(at.nc, { namespace });
    const [ended, returned] = [new AbortController(), Promise.withResolvers<void>()];
    let term: Leadership | undefined;
    const leading = one.lead(async (given) => {
      term = given;
      await returned.promise;
    }, { signal: ended.signal });
    await until(() => term !== undefined);
    ended.abort();
    await until(() => term?.signal.aborted === true);
    await using other = await LeaderElection.campaign(at.nc, { namespace });
    let isLed = false;
    const failing = other.lead(({ assert }) => {
      assert();
      isLed = true;
      throw new RangeError("broken");
    });
    assert.equal(isLed, false);
    returned.resolve();
    await leading;
    await assert.rejects(failing, new RangeError("broken"));
    // Work that rejects with what ended its term has returned.
    const last = new AbortController();
    let begun = false;
    const quiet = one.lead(async ({ signal }) => {
      begun = true;
      await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    }, { signal: last.signal });
    await until(() => begun);
    last.abort();
    await quiet;
    await one.lead(() => assert.fail(), { signal: last.signal });
  });

  it("is suspended while NATS is away, and goes on with the same token if nobody led in between", async () => {
    const namespace = at.namespace();
    await using network = await FaultyNetwork.between(at.url);
    await using nc = await connect({ servers: network.url, reconnectTimeWait: 20, maxReconnectAttempts: -1 });
    await using a = await stand(namespace, "a", nc);
    await until(() => a.leads);
    await using b = await stand(namespace, "b", nc); // cut off as well: nobody else can write
    const [term] = a.terms as [Leadership];
    network.pause();
    const began = performance.now();
    await until(() => term.signal.aborted);
    const margin = performance.now() - began;
    assert.ok(margin > 2_000 && margin < 4_500, `${margin} ms`);
    assert.throws(term.assert, { code: "LEADERSHIP_LOST" });
    await until(() => performance.now() - began > 6_000); // more than a lease
    network.resume();
    await until(() => a.leads);
    assert.deepEqual(a.terms.map(({ token }) => token), [term.token, term.token]);
    assert.equal(b.terms.length, 0);
  });

  it("passes to another once the leader is silent for as long as a lease lasts", async () => {
    const namespace = at.namespace();
    const own = await connect({ servers: at.url });
    const crashed = await stand(namespace, "a", own);
    await until(() => crashed.leads);
    await using other = await stand(namespace, "b");
    await until(() => other.election.leader !== undefined);
    await own.close();
    const began = performance.now();
    const ending = crashed[Symbol.asyncDispose]();
    await until(() => other.leads, 20);
    const waited = performance.now() - began;
    assert.ok(waited > 3_400 && waited < 8_000, `${waited} ms`);
    assert.equal(crashed.leads, false);
    assert.ok((other.terms[0]?.token ?? 0) > (crashed.terms[0]?.token ?? 0));
    await ending;
  });
});
