/**
 * One source in memory: its records and the order in which they last changed.
 *
 * In: `SourceChange`s. Out: changes after a cursor or a position, digests, buckets, notifications. A change costs
 * O(records changed). The index keeps one number (`seq`) per client and no queues: a slow client gets the latest state.
 * Tombstones are bounded (`maxTombstones`, default 16,384): a position older than a dropped one is "too-old". A
 * position without content is stored, but listeners are not called. It is announced with the next content, or when a
 * client asks with a newer position (`since`), so that `from` of each change is always `position` of the change before.
 */
import type { Kind, KindSum, Position } from "@isthmus/proto";
import { createEmitter } from "@isthmus/runtime";
import { createChangeLog } from "./change-log.js";
import { bucketOf, sameBytes } from "./hash.js";
import { byApplyOrder, byDeleteOrder, KINDS } from "./kinds.js";
import { isAtMost } from "./position.js";
import { createRecordTable } from "./record-table.js";
import { createSpans, hasChange } from "./spans.js";
import { accumulate, emptySum, sumBytes } from "./sum.js";
import type { HashedRecord, KindDigest, SourceChange } from "./types.js";

export const MAX_TOMBSTONES = 16_384;

/** The changes between two points of the index; upserts in apply order, deletes in reverse. */
export interface IndexDelta extends SourceChange {
  /** The position before the change; undefined for the first change, which is a first sync. */
  readonly previous: Position | undefined;
  /** Sequence number of the index before the change. */
  readonly fromSeq: number;
  /** Sequence number after it: the cursor of a client that has taken the change. */
  readonly toSeq: number;
}

/**
 * `behind`: the client's position is newer than this index. `too-old`: deletions since that position are unknown.
 * `other-store`: the position belongs to a store that this index never followed, or is newer than the last one followed
 * there.
 */
export type Since = IndexDelta | "behind" | "too-old" | "other-store";

export interface SourceIndex {
  /** Newest position known; undefined before the first change. */
  readonly position: Position | undefined;
  /** The position of the latest delta to listeners; at most `position`. */
  readonly announced: Position | undefined;
  /** The tail: the cursor of a client that has everything. */
  readonly seq: number;
  /** Records of all kinds; tombstones do not count. */
  readonly size: number;
  /** Applies a change, ignoring records that are equal. Returns the delta that listeners received, if any. */
  apply(change: SourceChange): IndexDelta | undefined;
  /** The record with this key, as of the last `apply`. */
  get(key: string): HashedRecord | undefined;
  /** Records of one kind, or all in apply order. */
  records(kind?: Kind): Iterable<HashedRecord>;
  /** As of the last `apply`; zeros for a kind without records. */
  digest(kind: Kind): KindDigest;
  /** Digests of the kinds given (default: all), in apply order. */
  sums(kinds?: readonly Kind[]): KindSum[];
  /** 256 sums of one kind. */
  buckets(kind: Kind): Buffer[];
  /** Records of one kind in the `wanted` buckets. */
  bucketRecords(kind: Kind, wanted: ReadonlySet<number>): Map<number, HashedRecord[]>;
  /** Changes after a cursor; undefined when deletions after it were dropped, so the client needs a new snapshot. */
  after(seq: number): IndexDelta | undefined;
  /** Changes after a client's position. */
  since(have: Position): Since;
  /** Calls the listener with each change, after it is in the index. Returns a function that removes the listener. */
  onChange(listener: (delta: IndexDelta) => void): () => void;
  /** Calls the listener after each `apply`, even without new content. Returns a function that removes the listener. */
  onPosition(listener: () => void): () => void;
}

export interface SourceIndexOptions {
  /** Deletions that are remembered; `MAX_TOMBSTONES` unless given. */
  readonly maxTombstones?: number;
}

/** Without records and position; the first `apply` gives it both. */
export function createSourceIndex(options: SourceIndexOptions = {}): SourceIndex {
  const table = createRecordTable();
  const log = createChangeLog(options.maxTombstones ?? MAX_TOMBSTONES);
  const spans = createSpans();
  const changes = createEmitter<IndexDelta>();
  const positions = createEmitter();
  let announced: Position | undefined;

  const isNew = (record: HashedRecord): boolean => {
    const old = table.get(record.key);
    return old === undefined || old.kind !== record.kind || !sameBytes(old.hash, record.hash);
  };
  const announce = (position: Position, fromSeq: number, content: Omit<SourceChange, "position">): IndexDelta => {
    const delta: IndexDelta = { ...content, position, previous: announced, fromSeq, toSeq: log.seq };
    announced = position;
    changes.emit(delta);
    return delta;
  };
  const delta = (position: Position, slot: number, fromSeq: number, from: Position | undefined): IndexDelta => ({
    ...log.collect(slot),
    position,
    previous: from,
    fromSeq,
    toSeq: log.seq,
  });

  function apply({ position, observedMicros, ...content }: SourceChange): IndexDelta | undefined {
    const upserts = content.upserts.filter(isNew).sort(byApplyOrder);
    const deletes = content.deletes.filter(({ key }) => table.get(key) !== undefined).sort(byDeleteOrder);
    const span = spans.enter(position);
    if (upserts.length === 0 && deletes.length === 0 && announced !== undefined) return undefined;
    const fromSeq = log.seq;
    for (const record of upserts) {
      table.set(record);
      log.append({ kind: record.kind, key: record.key, record, span, position, observedMicros });
    }
    for (const { kind, key } of deletes) {
      table.delete(key);
      log.append({ kind, key, record: undefined, span, position, observedMicros });
    }
    return announce(position, fromSeq, { upserts, deletes, observedMicros });
  }

  return {
    get position() {
      return spans.current?.last;
    },
    get announced() {
      return announced;
    },
    get seq() {
      return log.seq;
    },
    get size() {
      return table.size;
    },
    apply(change) {
      const emitted = apply(change);
      positions.emit();
      return emitted;
    },
    get: table.get,
    records: table.records,
    digest: table.digest,
    sums: (kinds = KINDS) => table.sums(kinds),
    buckets(kind) {
      const sums = Array.from({ length: 256 }, emptySum);
      for (const record of table.records(kind)) {
        const sum = sums[bucketOf(record.key)];
        if (sum !== undefined) accumulate(sum, record.hash, 1);
      }
      return sums.map(sumBytes);
    },
    bucketRecords(kind, wanted) {
      const buckets = new Map<number, HashedRecord[]>([...wanted].map((bucket) => [bucket, []]));
      for (const record of table.records(kind)) buckets.get(bucketOf(record.key))?.push(record);
      return buckets;
    },
    after(seq) {
      if (announced === undefined || seq < (log.floor?.seq ?? 0)) return undefined;
      return delta(announced, log.slotAfter(seq), seq, undefined);
    },
    since(have) {
      const current = spans.current;
      const span = spans.find(have.storeId);
      if (current === undefined || announced === undefined) return "behind";
      if (span === undefined) return "other-store";
      if (!isAtMost(have, span.last)) return span === current ? "behind" : "other-store";
      if (!isAtMost(span.first, have)) return "too-old";
      if (span === current && !isAtMost(have, announced)) {
        announce(current.last, log.seq, { upserts: [], deletes: [], observedMicros: 0 });
      }
      const slot = log.slotWhile((entry) => !hasChange(span, have, entry));
      if (!hasChange(span, have, log.floor)) return "too-old";
      return delta(announced, slot, Math.max(log.seqBefore(slot), log.floor?.seq ?? 0), have);
    },
    onChange: changes.subscribe,
    onPosition: positions.subscribe,
  };
}
