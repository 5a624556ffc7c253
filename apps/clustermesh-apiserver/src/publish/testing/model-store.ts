/**
 * For tests: a model of etcd as publisher and reader see it (revisions, comparisons, history, compaction, wipes, backups, a full
 * store), and publishers that run on it step by step, with calls that are lost before or after they are applied, or applied late.
 *
 * `model-store.test.ts` checks the model against etcd: it runs the same scripts on both.
 */
import { HeadState } from "@isthmus/proto";
import { createRecordTable, kindOfKey, STORE_KINDS, sameSums } from "@isthmus/records";
import type { Compare, NewPublisherEvent, PublisherEffect, PublisherEvent, StoredKey, Write } from "../events.js";
import { readHead } from "../meta-keys.js";
import type { PublisherState } from "../state.js";
import { createPublisherState, step } from "../step.js";
import { anyRecord } from "./fixture.js";

export interface ModelStore {
  readonly keys: ReadonlyMap<string, StoredKey>;
  readonly revision: bigint;
  /** Increases with every wipe or restore, which also ends the watches. */
  readonly life: number;
  /** Revisions below are compacted: a watch cannot begin there. */
  readonly compacted: bigint;
  /** While true every txn with a put is refused before its comparison; deletions are applied. */
  full: boolean;
  /** Returns the store's revision after the txn, or why nothing was written. */
  txn(compares: readonly Compare[], writes: readonly Write[]): bigint | "rejected" | "full";
  /** The events of a watch from a revision on, or why it cannot begin there. */
  after(from: bigint): readonly ModelEvent[] | "compacted" | "set-back";
  compact(revision: bigint): void;
  wipe(): void;
  /** Makes a backup under a name; `setBack` restores it. */
  keep(name?: string): void;
  setBack(name?: string): void;
  /** Violated invariants, as sentences. */
  readonly violations: string[];
}

export type ModelEvent = StoredKey & { readonly deleted: boolean };

interface Backup {
  readonly keys: ReadonlyMap<string, StoredKey>;
  readonly events: readonly ModelEvent[];
  readonly revision: bigint;
  readonly compacted: bigint;
}

/** `start`: the revision of an empty store. */
export function createModelStore(start = 1n): ModelStore {
  let keys = new Map<string, StoredKey>();
  let table = createRecordTable();
  let events: ModelEvent[] = [];
  let revision = start;
  let compacted = 0n;
  let life = 0;
  const nothing: Backup = { keys: new Map(), events: [], revision, compacted };
  const backups = new Map<string, Backup>();
  let full = false;
  const begin = (from: Backup): void => {
    [keys, events, revision, compacted] = [new Map(from.keys), [...from.events], from.revision, from.compacted];
    table = createRecordTable();
    for (const { key, value } of keys.values()) if (kindOfKey(key) !== undefined) table.set(anyRecord(key, value));
    life++;
  };
  const violations: string[] = [];
  const check = (writes: readonly Write[]): void => {
    const names = writes.map(({ key }) => key);
    if (new Set(names).size !== names.length) violations.push("a key twice in one txn");
    if (names.length > 128) violations.push("more than 128 operations in one txn");
    const head = readHead(keys.get("head"));
    if (head?.state !== HeadState.HEAD_STATE_LIVE) return;
    if (!sameSums(head.sums, table.sums(STORE_KINDS))) violations.push(`sums differ at revision ${revision}`);
  };
  return {
    get keys() {
      return keys;
    },
    get revision() {
      return revision;
    },
    get life() {
      return life;
    },
    get compacted() {
      return compacted;
    },
    get full() {
      return full;
    },
    set full(is) {
      full = is;
    },
    violations,
    txn(compares, writes) {
      if (full && writes.some(({ type }) => type === "put")) return "full";
      for (const { key, modRevision } of compares)
        if ((keys.get(key)?.modRevision ?? 0n) !== modRevision) return "rejected";
      // Deleting an absent key creates no revision.
      if (!writes.some(({ type, key }) => type === "put" || keys.has(key))) return revision;
      revision++;
      for (const write of writes) {
        const value = write.type === "put" ? write.value : new Uint8Array(0);
        const standing = { key: write.key, value, modRevision: revision };
        const deleted = write.type === "delete";
        if (deleted && !keys.delete(write.key)) continue;
        if (!deleted) keys.set(write.key, standing);
        if (deleted) table.delete(write.key);
        else if (kindOfKey(write.key) !== undefined) table.set(anyRecord(write.key, value));
        events.push({ ...standing, deleted });
      }
      check(writes);
      return revision;
    },
    after(from) {
      if (from < compacted) return "compacted";
      if (revision < from - 1n) return "set-back";
      return events.filter(({ modRevision }) => modRevision >= from);
    },
    compact(at) {
      compacted = at;
    },
    wipe: () => begin({ keys: new Map(), events: [], revision: start, compacted: 0n }),
    keep(name = "") {
      backups.set(name, { keys: new Map(keys), events: [...events], revision, compacted });
    },
    setBack: (name = "") => begin(backups.get(name) ?? nothing),
  };
}

/** What happens to a call. `late`: it is reported as lost, and applied later. */
export type Fate = "done" | "lost-before" | "lost-after" | "late";

export interface ModelPublisher {
  readonly state: PublisherState;
  /** Calls that wait for their fate. */
  readonly calls: number;
  /** Number of listings requested since the start. */
  readonly listings: number;
  readonly wakeAt: number;
  /** It holds the Lease. */
  leased: boolean;
  feed(event: NewPublisherEvent): void;
  /** Decides the fate of the oldest call. */
  decide(fate: Fate): void;
  /** Applies the writes that were reported as lost (`late`). */
  runLate(): void;
  /** Delivers the pending watch events. */
  deliver(): void;
  tick(): void;
}

export function createModelPublisher(
  store: ModelStore,
  clock: { now: number },
  instance: string,
  random: () => number,
  epoch: () => string = () => "",
): ModelPublisher {
  let ids = 0;
  let leased = false;
  const state = createPublisherState({
    hasLease: () => leased,
    clusterId: 1,
    claim: { name: "east", uid: "uid" },
    instance,
    config: Buffer.from("config"),
    epoch,
    newStoreId: () => Buffer.from(`${instance}-${++ids}`.padEnd(16)),
    kubeAgeMs: () => 0,
    random,
  });
  const calls: Exclude<PublisherEffect, { type: "watch" | "wake" }>[] = [];
  const late: Extract<PublisherEffect, { type: "txn" }>[] = [];
  let watch: { next: bigint; life: number } | undefined;
  let listings = 0;
  let wakeAt = Number.POSITIVE_INFINITY;

  const feed = (event: NewPublisherEvent): void => {
    const effects = step(state, { ...event, now: clock.now, wallMicros: clock.now * 1000 } as PublisherEvent);
    for (const effect of effects) {
      if (effect.type === "watch") watch = { next: effect.from, life: store.life };
      else if (effect.type === "wake") wakeAt = clock.now + effect.ms;
      else {
        if (effect.type === "inspect") listings++;
        calls.push(effect);
      }
    }
  };
  const answer = (effect: Exclude<PublisherEffect, { type: "watch" | "wake" | "txn" }>): NewPublisherEvent => {
    if (effect.type === "claim") return { type: "claimed" };
    if (effect.type === "read-head") {
      return { type: "head-read", head: store.keys.get("head"), fence: store.keys.get("fence") };
    }
    const entries = [...store.keys.values()];
    return { type: "inspected", authOn: true, claim: { name: "east", uid: "uid" }, entries, revision: store.revision };
  };
  return {
    state,
    get calls() {
      return calls.length;
    },
    get listings() {
      return listings;
    },
    get wakeAt() {
      return wakeAt;
    },
    get leased() {
      return leased;
    },
    set leased(now) {
      leased = now;
    },
    feed,
    decide(fate) {
      const call = calls.shift();
      if (call === undefined) return;
      if (call.type !== "txn") return feed(fate === "done" ? answer(call) : { type: "unanswered", sentence: "lost" });
      if (fate === "late") late.push(call);
      const outcome = fate === "done" || fate === "lost-after" ? store.txn(call.compares, call.writes) : "rejected";
      const failed = { type: "failed", id: call.id, sentence: "no answer" } as const;
      if (fate !== "done") feed({ ...failed, mayHaveHappened: true });
      else if (outcome === "full") feed({ ...failed, mayHaveHappened: false, full: true });
      else if (outcome === "rejected") feed({ type: "rejected", id: call.id });
      else feed({ type: "committed", id: call.id, revision: outcome });
    },
    runLate() {
      for (const { compares, writes } of late.splice(0)) store.txn(compares, writes);
    },
    deliver() {
      if (watch === undefined) return;
      if (watch.life !== store.life) {
        watch = undefined;
        return feed({ type: "watch-over", sentence: "set back" });
      }
      const events = store.after(watch.next);
      if (typeof events === "string") {
        watch = undefined;
        return feed({ type: "watch-over", sentence: events });
      }
      watch.next = store.revision + 1n;
      if (events.length > 0) feed({ type: "seen", events });
    },
    tick() {
      wakeAt = Number.POSITIVE_INFINITY;
      feed({ type: "tick" });
    },
  };
}

/** Runs without faults: all pending calls, events and timers, in order. */
export function settle(clock: { now: number }, publishers: readonly ModelPublisher[], rounds = 12): void {
  for (let round = 0; round < rounds; round++) {
    for (const publisher of publishers) publisher.runLate();
    for (let moving = true; moving; ) {
      moving = false;
      for (const publisher of publishers) {
        for (; publisher.calls > 0; moving = true) publisher.decide("done");
        publisher.deliver();
      }
    }
    const next = Math.min(...publishers.map(({ wakeAt }) => wakeAt));
    if (!Number.isFinite(next)) return;
    clock.now = Math.max(clock.now, next);
    for (const publisher of publishers) if (publisher.wakeAt <= clock.now) publisher.tick();
  }
}
