/**
 * Keeps the order in which keys last changed, including deleted keys (tombstones).
 *
 *   | slice b @7 | ·stale· | node n1 @9 | tombstone slice a @10 |     only the newest slot of a key counts
 *
 * Appending is O(1) amortized: stale slots and the oldest tombstones are removed when there are too many of them.
 */
import type { Kind } from "@isthmus/proto";
import { byApplyOrder, byDeleteOrder } from "./kinds.js";
import type { Point } from "./spans.js";
import type { HashedRecord } from "./types.js";

/** One write: the record or tombstone with sequence number `seq`. */
export interface LogEntry extends Point {
  /** 1 for the first write of an index, then one more for each. */
  readonly seq: number;
  /** Kind of the record, of a tombstone too. */
  readonly kind: Kind;
  /** Relative to the prefix of the source. */
  readonly key: string;
  /** Undefined for a tombstone. */
  readonly record: HashedRecord | undefined;
  /** As in the `SourceChange` that brought it; 0 = unknown. */
  readonly observedMicros: number;
}

export interface Collected {
  /** In apply order. */
  readonly upserts: HashedRecord[];
  /** In reverse apply order. */
  readonly deletes: { readonly kind: Kind; readonly key: string }[];
  /** The newest of all entries; 0 when there are none. */
  readonly observedMicros: number;
}

export interface ChangeLog {
  /** Of the last entry; 0 when nothing was appended. */
  readonly seq: number;
  /** The newest tombstone that was dropped: deletions up to it are unknown. */
  readonly floor: LogEntry | undefined;
  /** Gives the entry the next number; an older entry of the same key does not count any more. */
  append(entry: Omit<LogEntry, "seq">): void;
  /** The first slot after `seq`. */
  slotAfter(seq: number): number;
  /** Walks back from the tail while `unknown` is true; returns the first slot for which it was. */
  slotWhile(unknown: (entry: LogEntry) => boolean): number;
  /** Number of the entry before `slot`; 0 for the first slot. */
  seqBefore(slot: number): number;
  /** Latest state of every key from `slot` on: upserts in apply order, deletes in reverse. */
  collect(slot: number): Collected;
}

/** An empty log. Above `maxTombstones` the older half of them is dropped. */
export function createChangeLog(maxTombstones: number): ChangeLog {
  const newest = new Map<string, LogEntry>();
  let slots: LogEntry[] = [];
  let seq = 0;
  let tombstones = 0;
  let floor: LogEntry | undefined;

  const sweep = (): void => {
    let surplus = tombstones > maxTombstones ? tombstones - (maxTombstones >> 1) : 0;
    slots = slots.filter((entry) => {
      if (newest.get(entry.key) !== entry) return false;
      if (entry.record !== undefined || surplus === 0) return true;
      surplus--;
      tombstones--;
      newest.delete(entry.key);
      floor = entry;
      return false;
    });
  };
  return {
    get seq() {
      return seq;
    },
    get floor() {
      return floor;
    },
    append(written) {
      const entry: LogEntry = { ...written, seq: ++seq };
      const old = newest.get(entry.key);
      if (old !== undefined && old.record === undefined) tombstones--;
      if (entry.record === undefined) tombstones++;
      newest.set(entry.key, entry);
      slots.push(entry);
      if (tombstones > maxTombstones || slots.length > 2 * newest.size + 1024) sweep();
    },
    slotAfter(after) {
      let [low, high] = [0, slots.length];
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((slots[middle]?.seq ?? 0) <= after) low = middle + 1;
        else high = middle;
      }
      return low;
    },
    slotWhile(unknown) {
      let slot = slots.length;
      for (let entry = slots[slot - 1]; entry !== undefined && unknown(entry); entry = slots[slot - 1]) slot--;
      return slot;
    },
    seqBefore: (slot) => slots[slot - 1]?.seq ?? 0,
    collect(slot) {
      const latest: LogEntry[] = [];
      for (let i = slot; i < slots.length; i++) {
        const entry = slots[i];
        if (entry !== undefined && newest.get(entry.key) === entry) latest.push(entry);
      }
      return {
        upserts: latest.flatMap(({ record }) => (record === undefined ? [] : [record])).sort(byApplyOrder),
        deletes: latest
          .filter(({ record }) => record === undefined)
          .map(({ kind, key }) => ({ kind, key }))
          .sort(byDeleteOrder),
        observedMicros: latest.reduce((max, entry) => Math.max(max, entry.observedMicros), 0),
      };
    },
  };
}
