/** For tests: the reader's state machine on the model of the store; the test controls each call and each watch event. */
import { createSourceIndex, type HashedRecord, hashRecord, kindOfKey } from "@isthmus/records";
import { type ModelPublisher, type ModelStore, settle } from "../../publish/testing/model-store.js";
import { createAddressClaims } from "../address-claims.js";
import { type Admission, createAdmission } from "../admission.js";
import type { Meta, NewReaderEvent, ReaderEffect, ReaderEvent } from "../events.js";
import { limitsOf } from "../peer.js";
import { isVerified } from "../report.js";
import type { ReaderState } from "../state.js";
import { createReaderState, step } from "../step.js";
import { LOCAL, peer } from "./fixture.js";

/** Small, so that tests exceed it. */
const HELD = { events: 8, bytes: 1 << 20 };

type Call = Extract<ReaderEffect, { type: "list" | "check-store" | "probe" }>;

export interface ModelReader {
  readonly state: ReaderState;
  readonly admission: Admission;
  readonly index: ReturnType<typeof createSourceIndex>;
  readonly deleted: Set<string>;
  readonly calls: number;
  /** Listings requested since the start. */
  readonly listings: number;
  readonly wakeAt: number;
  feed(event: NewReaderEvent): void;
  decide(answered: boolean): void;
  /**
   * Delivers the pending events of the watch; `lose` drops the n-th of them, as a broken watch would. Returns the key of
   * the event that was dropped.
   */
  deliver(lose?: number): string | undefined;
  /** Breaks the stream and opens another. */
  cut(): void;
  tick(): void;
}

export function createModelReader(store: ModelStore, clock: { now: number }): ModelReader {
  const east = peer("east", 1);
  const admission = createAdmission(limitsOf(east, LOCAL, [east]), createAddressClaims());
  const state = createReaderState({ cluster: "east", clusterId: 1, admission, random: () => 0.5, pendingLimits: HELD });
  const index = createSourceIndex();
  const deleted = new Set<string>();
  index.onChange(({ deletes }) => {
    for (const { key } of deletes) deleted.add(key);
  });
  const calls: Call[] = [];
  let watch: { next: bigint; life: number } | undefined;
  let [opens, listings, wakeAt] = [0, 0, Number.POSITIVE_INFINITY];

  function feed(event: NewReaderEvent): void {
    const effects = step(state, { ...event, now: clock.now, wallMicros: clock.now * 1000 } as ReaderEvent);
    for (const effect of effects) {
      if (effect.type === "emit") index.apply(effect.change);
      else if (effect.type === "wake") wakeAt = clock.now + effect.ms;
      else if (effect.type === "unwatch") watch = undefined;
      else if (effect.type === "watch") {
        watch = { next: effect.from, life: store.life };
        opens = 0;
        open();
      } else {
        if (effect.type === "list") listings++;
        calls.push(effect);
      }
    }
  }

  /** Opens a stream. The watch itself notices a restored store whose revision is below the last one. */
  function open(): void {
    if (watch === undefined) return;
    const ahead = store.after(watch.next);
    if (typeof ahead === "string") over(ahead);
    else {
      watch.life = store.life;
      feed({ type: "opened", open: ++opens });
    }
  }

  function over(sentence: string): void {
    watch = undefined;
    feed({ type: "watch-over", sentence });
  }

  function answer(call: Call): NewReaderEvent {
    if (call.type === "probe") return { type: "probed", headRevision: store.keys.get("head")?.modRevision ?? 0n };
    if (call.type === "check-store") {
      const { open } = call;
      return { type: "store-checked", open, storeId: store.keys.get("store")?.value, revision: store.revision };
    }
    const records: HashedRecord[] = [];
    const metas: Meta[] = [];
    for (const entry of store.keys.values()) {
      const kind = kindOfKey(entry.key);
      if (kind === undefined) metas.push(entry);
      else records.push(hashRecord(kind, entry.key, entry.value));
    }
    return { type: "listed", records, metas, claim: undefined, revision: store.revision };
  }

  return {
    state,
    admission,
    index,
    deleted,
    get calls() {
      return calls.length;
    },
    get listings() {
      return listings;
    },
    get wakeAt() {
      return wakeAt;
    },
    feed,
    decide(answered) {
      const call = calls.shift();
      if (call === undefined) return;
      if (answered) feed(answer(call));
      else if (call.type === "list") feed({ type: "list-failed", sentence: "lost" });
      else if (call.type === "check-store") feed({ type: "check-failed", open: call.open, sentence: "lost" });
    },
    deliver(lose) {
      if (watch === undefined) return undefined;
      if (watch.life !== store.life) {
        feed({ type: "lost", sentence: "reset" });
        open();
        return undefined;
      }
      const ahead = store.after(watch.next);
      if (typeof ahead === "string") {
        over(ahead);
        return undefined;
      }
      const events = ahead
        .filter((_, i) => i !== lose)
        .map((event) => {
          const kind = kindOfKey(event.key);
          if (event.deleted || kind === undefined) return event;
          return { ...event, record: hashRecord(kind, event.key, event.value) };
        });
      watch.next = store.revision + 1n;
      if (events.length > 0) feed({ type: "seen", events, revision: store.revision });
      return lose === undefined ? undefined : ahead[lose]?.key;
    },
    cut() {
      if (watch === undefined) return;
      feed({ type: "lost", sentence: "cut" });
      open();
    },
    tick() {
      wakeAt = Number.POSITIVE_INFINITY;
      feed({ type: "tick" });
    },
  };
}

/** Runs both without faults until the reader has verified what the publisher exports. */
export function settleBoth(
  clock: { now: number },
  store: ModelStore,
  publisher: ModelPublisher,
  reader: ModelReader,
): void {
  store.full = false;
  for (let round = 0; round < 30; round++) {
    settle(clock, [publisher], 1);
    for (let i = 0; i < 20; i++) {
      reader.deliver();
      while (reader.calls > 0) reader.decide(true);
    }
    // While it waits for the publisher of a restored store, it still has what it verified before.
    if (isVerified(reader.state) && reader.state.phase.status === "Following" && round > 3) break;
    clock.now = Math.max(clock.now + 5_000, Math.min(reader.wakeAt, clock.now + 60_000));
    if (publisher.wakeAt <= clock.now) publisher.tick();
    if (reader.wakeAt <= clock.now) reader.tick();
  }
}
