/**
 * For tests: etcd as far as publisher and reader see it (revisions, comparisons, history, compaction, wipes), and
 * publishers that run on it step by step, with calls that get lost before, after, or come late.
 */
import { Head, HeadState } from "@isthmus/proto";
import { createRecordTable, kindOfKey, STORE_KINDS, sameSums } from "@isthmus/records";
import type { Compare, PublisherEffect, PublisherEvent, Standing, Write } from "./events.js";
import { anyRecord } from "./fixture.js";
import type { PublisherState } from "./state.js";
import { createPublisherState, step } from "./step.js";

export interface ModelStore {
  readonly keys: ReadonlyMap<string, Standing>;
  readonly revision: bigint;
  /** Grows with every wipe: streams of an older life break. */
  readonly life: number;
  readonly events: readonly (Standing & { readonly deleted: boolean })[];
  /** Revisions at or below are compacted. */
  compacted: bigint;
  txn(compares: readonly Compare[], writes: readonly Write[]): bigint | undefined;
  wipe(): void;
  /** Sentences of what no history may hold. */
  readonly violations: string[];
}

export function createModelStore(): ModelStore {
  let keys = new Map<string, Standing>();
  let table = createRecordTable();
  let events: (Standing & { deleted: boolean })[] = [];
  let revision = 1n;
  let life = 0;
  const violations: string[] = [];
  const check = (writes: readonly Write[]): void => {
    const names = writes.map(({ key }) => key);
    if (new Set(names).size !== names.length) violations.push("a key twice in one txn");
    if (names.length > 128) violations.push("more than 128 operations in one txn");
    const live = keys.get("head");
    const head = live === undefined ? undefined : Head.decode(live.value);
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
    get events() {
      return events;
    },
    compacted: 0n,
    violations,
    txn(compares, writes) {
      for (const { key, modRevision } of compares)
        if ((keys.get(key)?.modRevision ?? 0n) !== modRevision) return undefined;
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
    wipe() {
      [keys, events, revision] = [new Map(), [], 1n];
      table = createRecordTable();
      this.compacted = 0n;
      life++;
    },
  };
}

/** What happens to a call. `late`: it is told as lost, and done at some later time. */
export type Fate = "done" | "lost-before" | "lost-after" | "late";

export interface ModelPublisher {
  readonly state: PublisherState;
  /** Calls that wait for their fate. */
  readonly calls: number;
  readonly wakeAt: number;
  feed(event: NewEvent): void;
  /** Decides the fate of the oldest call. */
  decide(fate: Fate): void;
  /** Writes that were told as lost happen now. */
  runLate(): void;
  /** Hands on what the watch has. */
  deliver(): void;
  tick(): void;
}

export type NewEvent = PublisherEvent extends infer E
  ? E extends PublisherEvent
    ? Omit<E, "now" | "wallMicros">
    : never
  : never;

export function createModelPublisher(
  store: ModelStore,
  clock: { now: number },
  instance: string,
  random: () => number,
): ModelPublisher {
  let ids = 0;
  const state = createPublisherState({
    clusterId: 1,
    claim: { name: "east", uid: "uid" },
    instance,
    config: Buffer.from("config"),
    epoch: () => "",
    newStoreId: () => Buffer.from(`${instance}-${++ids}`.padEnd(16)),
    kubeAgeMs: () => 0,
    random,
  });
  const calls: Exclude<PublisherEffect, { type: "watch" | "wake" }>[] = [];
  const late: Extract<PublisherEffect, { type: "txn" }>[] = [];
  let watch: { next: bigint; life: number } | undefined;
  let wakeAt = Number.POSITIVE_INFINITY;

  const feed = (event: NewEvent): void => {
    const effects = step(state, { ...event, now: clock.now, wallMicros: clock.now * 1000 } as PublisherEvent);
    for (const effect of effects) {
      if (effect.type === "watch") watch = { next: effect.from, life: store.life };
      else if (effect.type === "wake") wakeAt = clock.now + effect.ms;
      else calls.push(effect);
    }
  };
  const answer = (effect: Exclude<PublisherEffect, { type: "watch" | "wake" | "txn" }>): NewEvent => {
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
    get wakeAt() {
      return wakeAt;
    },
    feed,
    decide(fate) {
      const call = calls.shift();
      if (call === undefined) return;
      if (call.type !== "txn") return feed(fate === "done" ? answer(call) : { type: "unanswered", sentence: "lost" });
      if (fate === "late") late.push(call);
      const revision = fate === "done" || fate === "lost-after" ? store.txn(call.compares, call.writes) : undefined;
      if (fate !== "done") feed({ type: "failed", id: call.id, sentence: "lost", mayHaveHappened: true });
      else if (revision === undefined) feed({ type: "rejected", id: call.id });
      else feed({ type: "committed", id: call.id, revision });
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
      const from = watch.next;
      const events = store.events.filter(({ modRevision }) => modRevision >= from);
      watch.next = store.revision + 1n;
      if (events.length > 0) feed({ type: "seen", events });
    },
    tick() {
      wakeAt = Number.POSITIVE_INFINITY;
      feed({ type: "tick" });
    },
  };
}

/** No more faults: everything that waits happens, in time. */
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
