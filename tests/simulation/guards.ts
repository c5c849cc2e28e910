/** The guards of the protocol, and how each is taken out of a copy of the library: then something must break. */

/** What stands in a file, and what stands there without the guard. */
export interface Patch {
  readonly file: string;
  readonly code: string;
  readonly without: string;
}

/** A guard, and where its absence shows. */
export interface Guard {
  readonly patches: readonly Patch[];
  /** Of schedules that show it soon; left out: all. */
  readonly variant?: string;
  readonly fenced?: boolean;
  /** The first of some seeds that show it. */
  readonly from?: number;
}

const STEP_DOWN: Patch = {
  file: "cluster/lease.ts",
  code: "return now < this.until && this.#began > timeline.era;",
  without: "return this.#began > timeline.era && now > -1;",
};

/** By name, as in the notes on the protocol. */
export const GUARDS: Readonly<Record<string, Guard>> = {
  /** A shard gets its next owner only once the last one has released it. */
  release: {
    variant: "bounded",
    patches: [{
      file: "cluster/plan.ts",
      code: "if (known.hasReleased(owner, shard, since)) return { owner: next };",
      without: "if (next !== undefined) return { owner: next };",
    }],
  },
  /** Nobody acts behind the end of a lease, by the local clock. */
  stepdown: { variant: "bounded", patches: [STEP_DOWN] },
  /** A restart is another member. */
  nonce: {
    variant: "bounded",
    patches: [{
      file: "cluster/presence.ts",
      code: "const incarnation = crypto.randomUUID();",
      without: "const incarnation = key;",
    }],
  },
  /** Only who was declared dead by compare-and-set is dead. */
  deathcas: {
    variant: "bounded",
    patches: [{
      file: "cluster/allocator.ts",
      code: "const written = await bucket.write(key, value, revision);",
      without: 'const written = { kind: "stored", revision: revision + 1 } as const;',
    }],
  },
  /** What a lagging replica says is not news. */
  monotone: {
    variant: "bounded",
    patches: [
      {
        file: "cluster/view.ts",
        code: "if (revision <= this.revisionRead(key)) return;",
        without: "if (revision === this.revisionRead(key)) return;",
      },
      {
        file: "cluster/view.ts",
        code: "const isNews = known === undefined || known.revision < revision;",
        without: "const isNews = known?.revision !== revision;",
      },
      {
        file: "cluster/ownership.ts",
        code: "if (table === undefined || table.epoch <= this.#applied) return;",
        without: "if (table === undefined || table.epoch === this.#applied) return;",
      },
    ],
  },
  /** The leader works on the newer of its own table and the polled one. */
  tablefollow: {
    variant: "flicker",
    patches: [{
      file: "cluster/allocator.ts",
      code: "version = this.#newest(version) ?? await this.#read();",
      without: "version ??= await this.#read();",
    }],
  },
  /** What is loaded reaches the fence. */
  upto: {
    variant: "stale",
    fenced: true,
    patches: [
      {
        file: "decider/execution.ts",
        code: "const options = { snapshots, signal, commandId, observer, atLeast: fence?.epoch };",
        without: "const options = { snapshots, signal, commandId, observer };",
      },
      {
        file: "decider/execution.ts",
        code: "{ signal, commandId, atLeast: fence?.epoch }",
        without: "{ signal, commandId }",
      },
    ],
  },
  /** A command is looked for in the commits that were missed. */
  cmdcheck: {
    variant: "lying",
    fenced: false,
    patches: [{
      file: "decider/execution.ts",
      code: "return await catchUp(this.#store, standing, this.#actorId, { signal, commandId, atLeast: fence?.epoch });",
      without: "return void await catchUp(this.#store, standing, this.#actorId, { signal, atLeast: fence?.epoch });",
    }],
  },
  /** What was answered without a write is not decided anew. */
  outcomes: {
    variant: "bounded",
    patches: [{
      file: "cluster/command_server.ts",
      code: "if (remembered !== undefined) {",
      without: "if (remembered?.isStored) {",
    }],
  },
  /** That an earlier try was refused ends nothing: a later one may be done by another owner. */
  lateanswer: {
    variant: "lateCommands",
    from: 100,
    patches: [{
      file: "cluster/router.ts",
      code: 'if (answer?.kind !== "result") return false;',
      without: 'if (answer?.kind !== "result") return answer?.kind === "rejected";',
    }],
  },
  /** A lease from before the clock jumped proves nothing. */
  walljump: {
    variant: "wild",
    patches: [{
      file: "cluster/clock.ts",
      code: "if (Math.abs(offset - this.#offset) > JUMP) this.#era = now;",
      without: "",
    }],
  },
  /** A bucket that was made anew begins above all that was before. */
  bucketid: {
    variant: "wild",
    patches: [
      {
        file: "cluster/candidate.ts",
        code: "const token = Math.max(highest + 1, seen === undefined ? bucket.created : 0);",
        without: "const token = highest + 1;",
      },
      {
        file: "cluster/allocator.ts",
        code: "table: emptyTable(this.#shards, bucket.created)",
        without: "table: emptyTable(this.#shards, 0)",
      },
    ],
  },
  /** What a server that was killed brings back is the record of one that is gone. */
  grave: {
    variant: "removed",
    patches: [{
      file: "cluster/allocator.ts",
      code: "const written = await this.#writeOff(found, { nodeId, incarnation, state }, term);",
      without: "const written = found;",
    }],
  },
  /** A record that somebody has removed is that of a dead node all the same. */
  older: {
    variant: "removed",
    patches: [{
      file: "cluster/allocator.ts",
      code: "if (last < Math.min(revision, view.revisionRead(key))) {",
      without: "if (last < 0) {",
    }],
  },
  /** Who finds no trace of the bucket that it joined looks whether that was made anew. */
  rebirth: {
    variant: "wild",
    patches: [{
      file: "cluster/presence.ts",
      code: "if (created !== bucket.created) this.#stranger.abort();",
      without: "",
    }],
  },
  /** Silence counts only while the store takes one's own writes. */
  grace: {
    variant: "outages",
    patches: [
      {
        file: "cluster/lease.ts",
        code: "return timeline.now() - Math.max(since, this.#steady, timeline.era);",
        without: "return timeline.now() - since;",
      },
      {
        file: "cluster/lease.ts",
        code: "return this.#parts.timeline.now() - this.#confirmed < this.#parts.times.renew + LATE;",
        without: "return true;",
      },
    ],
  },
  /** A lease ends earlier for its holder than for the others. */
  margin: {
    variant: "drift",
    patches: [
      {
        file: "cluster/lease.ts",
        code: "return this.#began + ttl - margin;",
        without: "return this.#began + ttl;",
      },
      { file: "cluster/discovery.ts", code: "export const KILL = 200;", without: "export const KILL = 0;" },
      {
        file: "cluster/candidate.ts",
        code: "const JITTER = { least: 100, most: 500 } as const;",
        without: "const JITTER = { least: 0, most: 0 } as const;",
      },
    ],
  },
  /** At every takeover a new fence is written. */
  fence: {
    variant: "lying",
    patches: [{
      file: "cluster/ownership.ts",
      code: "const written = await fences.write(shard, nonce, last.sequence);",
      without: "return last.sequence;",
    }, {
      file: "cluster/ownership.ts",
      code: 'if (written.kind === "stored") return written.revision;',
      without: "",
    }],
  },
  /** Nobody appends onto a commit of a higher epoch. */
  epochrule: {
    variant: "lying",
    fenced: false,
    patches: [{
      file: "store/fence.ts",
      code: "if (lastEpoch > fence.epoch) throw new FencedError({ shard, epoch: lastEpoch });",
      without: "",
    }],
  },
};
